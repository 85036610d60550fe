// What became of each call, as the agent sees it: a time line from "asked" to "ran".

import { cancelRun, visit } from "./actions.js";
import { fullText, spanText, timeSecs } from "./dates.js";
import { icon } from "./icons.js";
import { channelById, chatOnScreen, displayName, now, scope, snap, ui, userById } from "./state.js";
import { h } from "./vdom.js";

/** @typedef {Record<string, any>} Json */

/** @type {Record<string, [string, string, string]>} kind → word, icon, tone */
const STEPS = {
  asked: ["Asked", "ask", "plain"],
  waiting: ["Waiting", "clock", "wait"],
  approved: ["Approved", "check", "good"],
  denied: ["Denied", "close", "bad"],
  expired: ["Expired", "clock", "bad"],
  cancelled: ["Cancelled", "stop", "plain"],
  consumed: ["Consumed", "key", "good"],
  ran: ["Ran", "play", "good"],
  reported: ["Reported", "flag", "good"],
  refused: ["Refused", "close", "bad"],
  error: ["Error", "warn", "bad"],
};

/** The word on a run's chip: the last thing that decides it. @param {Json} run */
function outcome(run) {
  const kinds = run.steps.map((/** @type {Json} */ step) => step.kind);
  const found = ["error", "refused", "ran", "denied", "expired", "cancelled", "consumed", "approved"].find(
    (kind) => kinds.includes(kind),
  );
  if (run.state === "running" && !found) return { word: "Waiting", tone: "wait" };
  const [word, , tone] = STEPS[found || "asked"];
  return { word, tone };
}

/** The time that a step names, in the reader's zone. @param {Json} step */
const stepText = (step) =>
  step.moment ? step.text.replace("{moment}", () => timeSecs(Date.parse(step.moment), scope().me.tz)) : step.text;

/** @param {Json} run @param {Json} step @param {number} at */
function drawStep(run, step, at) {
  const [word, sign, tone] = STEPS[step.kind] || [step.kind, "info", "plain"];
  const started = Date.parse(run.started_at);
  const when = Date.parse(step.at);
  const last = at === run.steps.length - 1;
  const live = last && run.state === "running";
  return h(
    "li",
    {
      key: `${at}-${step.kind}`,
      class: `step tone-${tone}${live ? " is-live" : ""}`,
      "data-testid": `step-${step.kind}`,
    },
    h("span", { class: "step-dot" }, icon(sign)),
    h(
      "div",
      { class: "step-text" },
      h(
        "div",
        { class: "step-head" },
        h("b", null, word),
        h(
          "span",
          { class: "step-at", title: fullText(when, { tz: scope().me.tz, now: now() }) },
          live && step.kind === "waiting"
            ? `for ${spanText(now() - when)}`
            : at === 0
              ? ""
              : `+${spanText(when - started)}`,
        ),
      ),
      step.text ? h("div", { class: "step-note" }, stepText(step)) : null,
      step.kind === "ran" && run.result
        ? h("pre", { class: "pre run-result", "data-testid": "run-result" }, run.result)
        : null,
    ),
  );
}

const REVEAL_MS = 1500;

/** A call that has just been made comes into view inside the console, and so do its first steps. @param {Element} el */
function reveal(el) {
  const growing = new ResizeObserver(() => {
    const list = el.closest(".console-scroll");
    if (!list) return;
    const [box, seen] = [el.getBoundingClientRect(), list.getBoundingClientRect()];
    const over = Math.min(box.bottom + 14 - seen.bottom, box.top - seen.top);
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (over > 0) list.scrollBy({ top: over, behavior: calm ? "instant" : "smooth" });
  });
  growing.observe(el);
  setTimeout(() => growing.disconnect(), REVEAL_MS);
}

/** The way to somebody who may answer this call, unless that is on screen already. @param {Json} run */
function whereToAnswer(run) {
  const person = run.answer_as ? userById(run.answer_as) : null;
  if (!person || (ui.user === run.answer_as && ui.at === run.answer_in && chatOnScreen())) return null;
  const channel = channelById(run.answer_in);
  const as = ui.user === run.answer_as ? "" : ` as ${displayName(person)}`;
  return h(
    "button",
    {
      key: "visit",
      type: "button",
      class: "btn btn-small btn-visit",
      "data-testid": `agent-visit-${run.id}`,
      onclick: () => visit(run),
    },
    `Answer it${as}${channel ? ` in #${channel.name}` : ""}`,
  );
}

/** @param {Json} run */
function drawRun(run) {
  const { word, tone } = outcome(run);
  const waiting = run.state === "running";
  const cancelling = ui.sending.has(`cancel|${run.id}`);
  const title = `run-${run.id}`;
  return h(
    "li",
    { key: run.id, class: `run${waiting ? " is-running" : ""}`, oncreate: waiting ? reveal : null },
    h(
      "article",
      { "aria-labelledby": title, "data-testid": `agent-run-${run.id}`, "data-state": run.state },
      h(
        "header",
        { class: "run-head" },
        h(
          "div",
          { class: "preset-text" },
          h("h3", { class: "run-title", id: title }, run.label || run.tool),
          h("code", { class: "run-tool" }, `${run.agent} · ${run.tool}`),
        ),
        h("span", { class: `chip tone-${tone}`, "data-testid": "run-outcome" }, word),
      ),
      h(
        "ol",
        { class: "steps", role: "log", "aria-label": "What the agent saw" },
        run.steps.map((/** @type {Json} */ step, /** @type {number} */ i) => drawStep(run, step, i)),
      ),
      waiting
        ? h(
            "div",
            { class: "run-foot" },
            whereToAnswer(run),
            h(
              "button",
              {
                key: "cancel",
                type: "button",
                class: `btn btn-small${cancelling ? " is-sending" : ""}`,
                "data-testid": `agent-cancel-${run.id}`,
                onclick: () => void cancelRun(run.id),
              },
              h("span", { class: "btn-face" }, "Cancel the request"),
              cancelling ? h("span", { class: "spinner" }) : null,
            ),
          )
        : null,
    ),
  );
}

/** Many calls that were sent in one moment: how many of them ended how. @param {Json[]} all newest first */
function drawBurst(all) {
  const [last] = all;
  const waiting = all.find((run) => run.state === "running");
  const where = waiting ? whereToAnswer(waiting) : null;
  const title = `burst-${last.burst}`;
  /** @type {Map<string, {word: string, tone: string, count: number}>} */
  const outcomes = new Map();
  for (const { word, tone } of all.map(outcome)) {
    outcomes.set(word, { word, tone, count: (outcomes.get(word)?.count || 0) + 1 });
  }
  return h(
    "li",
    { key: last.burst, class: `run${waiting ? " is-running" : ""}`, oncreate: waiting ? reveal : null },
    h(
      "article",
      { "aria-labelledby": title, "data-testid": `agent-burst-${last.burst}`, "data-state": waiting ? "running" : "done" },
      h(
        "header",
        { class: "run-head" },
        h(
          "div",
          { class: "preset-text" },
          h("h3", { class: "run-title", id: title }, last.label || last.tool),
          h("code", { class: "run-tool" }, `${last.agent} · ${last.tool}`),
        ),
      ),
      h(
        "div",
        { class: "run-outcomes", role: "status", "data-testid": "burst-outcomes" },
        [...outcomes.values()].sort((one, other) => other.count - one.count).map(({ word, tone, count }) =>
          h("span", { key: word, class: `chip tone-${tone}` }, `${count} ${word.toLowerCase()}`),
        ),
      ),
      where ? h("div", { class: "run-foot" }, where) : null,
    ),
  );
}

/** The calls as they are listed: those of a burst together. @param {Json[]} all @returns {Json[][]} */
function grouped(all) {
  /** @type {Json[][]} */
  const groups = [];
  for (const run of all) {
    const before = groups[groups.length - 1];
    if (run.burst && before?.[0].burst === run.burst) before.push(run);
    else groups.push([run]);
  }
  return groups;
}

export function runs() {
  const all = snap().agent.runs;
  return h(
    "section",
    { class: "runs", "aria-label": "Calls so far" },
    h(
      "h3",
      { class: "console-title" },
      "Calls so far",
      all.length ? h("span", { class: "tag" }, all.length) : null,
    ),
    all.length
      ? h("ol", { class: "run-list" }, grouped(all).slice(0, 40).map((group) => (group[0].burst ? drawBurst(group) : drawRun(group[0]))))
      : h(
          "p",
          { class: "console-none" },
          "Nothing asked yet. Each call appears here, step by step: asked, waiting, approved, consumed, ran.",
        ),
  );
}
