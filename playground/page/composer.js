// The box people write in: messages, slash commands with a hint, people by "@name".

import { commands, write } from "./actions.js";
import { icon } from "./icons.js";
import { avatar } from "./messages.js";
import { displayName, redraw, snap, ui } from "./state.js";
import { h } from "./vdom.js";

/** @typedef {Record<string, any>} Json */

/** What was sent from a place, for the up arrow. @type {Map<string, string[]>} */
const sent = new Map();
/** The suggestion that is picked out, and the text for which the list was closed. */
const pick = { at: 0, closedFor: "" };

/** @param {string} text @param {boolean} inThread @returns {{key: string, fill: string, face: any}[]} */
function suggestions(text, inThread) {
  if (pick.closedFor === text) return [];
  if (!inThread && /^\/\S*$/.test(text)) {
    return commands()
      .filter((one) => (one.command.startsWith(text) && one.command !== text.trim()) || one.command === text)
      .map((one) => ({
        key: one.command,
        fill: `${one.command} `,
        face: [
          h("span", { class: "hint-name" }, one.command),
          h("span", { class: "hint-use" }, one.hint),
          h("span", { class: "hint-about" }, one.about),
        ],
      }));
  }
  const at = /(^|\s)@([\w.-]*)$/.exec(text);
  if (!at) return [];
  const start = at[2].toLowerCase();
  return snap()
    .users.filter(
      (/** @type {Json} */ one) =>
        !one.deleted &&
        (one.name.toLowerCase().startsWith(start) || displayName(one).toLowerCase().startsWith(start)),
    )
    .slice(0, 6)
    .map((/** @type {Json} */ one) => ({
      key: one.id,
      fill: `${text.slice(0, text.length - at[2].length)}${one.name} `,
      face: [
        avatar(one, "avatar-tiny"),
        h("span", { class: "hint-name" }, displayName(one)),
        h("span", { class: "hint-about" }, `@${one.name}`),
      ],
    }));
}

/** Grows with what is typed, up to a third of the window. @param {HTMLTextAreaElement} field */
function fit(field) {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, window.innerHeight / 3)}px`;
}

/**
 * @param {Json} channel
 * @param {string|null} thread ts of the thread it writes into
 */
export function composer(channel, thread) {
  const place = `${channel.id}|${thread || ""}`;
  const key = `say|${place}`;
  const text = ui.drafts.get(place) || "";
  const failure = ui.failures.get(key);
  const sending = ui.sending.has(key);
  const name = thread ? "reply" : "composer";
  if (channel.is_archived) {
    return h(
      "div",
      { key: "composer", class: "composer-closed" },
      "This channel is archived. Nobody can write here.",
    );
  }
  const list = suggestions(text, Boolean(thread));
  const chosen = Math.min(pick.at, Math.max(list.length - 1, 0));
  const set = (/** @type {string} */ value) => {
    ui.drafts.set(place, value);
    ui.failures.delete(key);
    pick.at = 0;
    redraw();
  };
  // A key may come before the redraw that follows the last letter, so both read what is there now.
  const submit = async () => {
    const draft = ui.drafts.get(place) || "";
    if (!draft.trim() || ui.sending.has(key)) return;
    const done = await write(channel.id, thread, draft);
    if (done) {
      sent.set(place, [draft.trim(), ...(sent.get(place) || [])].slice(0, 20));
      if (ui.drafts.get(place) === draft) ui.drafts.set(place, "");
      redraw();
    }
  };
  const onkeydown = (/** @type {any} */ event) => {
    if (event.isComposing) return;
    const draft = ui.drafts.get(place) || "";
    const offers = suggestions(draft, Boolean(thread));
    const at = Math.min(pick.at, Math.max(offers.length - 1, 0));
    if (offers.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      pick.at = (at + (event.key === "ArrowDown" ? 1 : offers.length - 1)) % offers.length;
    } else if (
      offers.length &&
      (event.key === "Tab" || (event.key === "Enter" && offers[at].fill.trim() !== draft.trim()))
    ) {
      set(offers[at].fill);
    } else if (offers.length && event.key === "Escape") {
      pick.closedFor = draft;
    } else if (event.key === "Enter" && !event.shiftKey) {
      void submit();
    } else if (event.key === "ArrowUp" && !draft && sent.get(place)?.length) {
      set(/** @type {string[]} */ (sent.get(place))[0]);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    redraw();
  };
  return h(
    "div",
    { key: "composer", class: "composer" },
    list.length
      ? h(
          "ul",
          { class: "hints", role: "listbox", id: `${name}-hints`, "data-testid": "hints" },
          list.map((one, i) =>
            h(
              "li",
              {
                key: one.key,
                id: `${name}-hint-${i}`,
                role: "option",
                "aria-selected": i === chosen ? "true" : "false",
                class: `hint${i === chosen ? " is-picked" : ""}`,
                onmousedown: (/** @type {Event} */ event) => {
                  event.preventDefault();
                  set(one.fill);
                },
              },
              one.face,
            ),
          ),
        )
      : null,
    failure
      ? h(
          "div",
          { class: "act-error", role: "alert", "data-testid": "composer-error" },
          icon("warn"),
          failure.text,
        )
      : null,
    h(
      "div",
      { class: "composer-box" },
      h("textarea", {
        rows: 1,
        class: "composer-field",
        "data-testid": name,
        value: text,
        "aria-label": thread
          ? "Reply in this thread"
          : `Message ${channel.kind === "dm" ? "" : "#"}${channel.name}`,
        placeholder: thread
          ? "Reply…"
          : channel.kind === "dm"
            ? "Write a message, or / for a command"
            : `Message #${channel.name}, or / for a command`,
        "aria-autocomplete": "list",
        "aria-controls": list.length ? `${name}-hints` : null,
        "aria-activedescendant": list.length ? `${name}-hint-${chosen}` : null,
        oncreate: fit,
        onupdate: fit,
        onkeydown,
        oninput: (/** @type {any} */ event) => set(event.currentTarget.value),
      }),
      h(
        "button",
        {
          type: "button",
          class: `send${sending ? " is-sending" : ""}`,
          "aria-label": "Send",
          "data-testid": `${name}-send`,
          "aria-disabled": text.trim() ? null : "true",
          onclick: () => void submit(),
        },
        sending ? h("span", { class: "spinner" }) : icon("send"),
      ),
    ),
  );
}
