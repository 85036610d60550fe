// The agents' console: ready-made calls, a call of one's own, and what became of each.
//
// The agents' side is the server's: the page only says which call to send and draws what the agent reports.

import { askAsAgent } from "./actions.js";
import { icon } from "./icons.js";
import { jsonFault } from "./json.js";
import { runs } from "./runs.js";
import { redraw, snap, ui } from "./state.js";
import { tricks } from "./tricks.js";
import { h } from "./vdom.js";

/** @typedef {Record<string, any>} Json */

/** @param {Json} preset */
function editPreset(preset) {
  ui.free = {
    ...ui.free,
    open: true,
    agent: preset.agent || "",
    tool: preset.tool,
    server: preset.server || "",
    args: preset.arguments_text,
    reasoning: preset.reasoning || "",
    timeout: preset.timeout || "10m",
    touched: false,
    error: "",
  };
  redraw();
  setTimeout(() => document.getElementById("free-args")?.focus(), 60);
}

/** @param {Json} preset @param {boolean} ready @param {boolean} first whether to begin with this one */
function presetCard(preset, ready, first) {
  const sending = ui.sending.has(`ask|${preset.key}`);
  const open = ui.shownPresets.has(preset.key);
  const toggle = () => {
    if (open) ui.shownPresets.delete(preset.key);
    else ui.shownPresets.add(preset.key);
    redraw();
  };
  return h(
    "li",
    { key: preset.key, class: "preset", "data-testid": `preset-${preset.key}` },
    h(
      "div",
      { class: "preset-row" },
      h(
        "button",
        {
          type: "button",
          class: "preset-open",
          "aria-expanded": open ? "true" : "false",
          title: "Show the call",
          "data-testid": `agent-preset-show-${preset.key}`,
          onclick: toggle,
        },
        icon("caret", open ? "is-open" : ""),
        h(
          "span",
          { class: "preset-text" },
          h("span", { class: "preset-label" }, preset.label),
          h("span", { class: "preset-note" }, preset.explain),
        ),
      ),
      h(
        "button",
        {
          type: "button",
          class: `btn btn-ask${first ? " btn-primary" : ""}${sending ? " is-sending" : ""}`,
          "data-testid": `agent-preset-${preset.key}`,
          "aria-label": `Ask: ${preset.label}`,
          "aria-disabled": ready ? null : "true",
          "aria-busy": sending ? "true" : null,
          onclick: () => ready && void askAsAgent({ preset: preset.key }, preset.key),
        },
        h("span", { class: "btn-face" }, "Ask"),
        sending ? h("span", { class: "spinner" }) : null,
      ),
    ),
    open
      ? h(
          "div",
          { class: "preset-args" },
          h(
            "div",
            { class: "preset-more" },
            h("code", null, [preset.agent, preset.server, preset.tool].filter(Boolean).join(" · ")),
            h(
              "button",
              {
                type: "button",
                class: "quiet",
                onclick: () => editPreset(preset),
                "data-testid": `agent-preset-edit-${preset.key}`,
              },
              "Change it",
            ),
          ),
          h("pre", { class: "pre", tabindex: "0", "aria-label": "Arguments" }, preset.arguments_text),
          preset.reasoning ? h("p", { class: "preset-note" }, "The agent says: “", preset.reasoning, "”") : null,
        )
      : null,
  );
}

/** @param {string} name @param {string} label @param {Record<string, any>} props */
function field(name, label, props) {
  const free = /** @type {any} */ (ui.free);
  const tag = props.rows ? "textarea" : "input";
  return h(
    "label",
    { class: "free-field" },
    h("span", { class: "b-label" }, label),
    h(tag, {
      class: "field",
      id: `free-${name}`,
      "data-testid": `free-${name}`,
      autocomplete: "off",
      spellcheck: "false",
      value: free[name],
      ...props,
      oninput: (/** @type {any} */ event) => {
        ui.free = { ...ui.free, [name]: event.currentTarget.value, error: "" };
        if (name === "args") ui.free.touched = true;
        redraw();
      },
    }),
  );
}

function whichAgent() {
  const names = snap().agent.names;
  if (names.length < 2) return null;
  const chosen = ui.free.agent || names[0];
  return h(
    "label",
    { class: "free-field" },
    h("span", { class: "b-label" }, "Agent"),
    h(
      "select",
      {
        class: "field",
        "data-testid": "free-agent",
        onchange: (/** @type {any} */ event) => {
          ui.free = { ...ui.free, agent: event.currentTarget.value, error: "" };
          redraw();
        },
      },
      names.map((/** @type {string} */ name) =>
        h("option", { key: name, value: name, selected: name === chosen }, name),
      ),
    ),
  );
}

async function sendFree() {
  const { agent, tool, server, args, reasoning, timeout } = ui.free;
  if (jsonFault(args) || !tool.trim()) {
    ui.free = { ...ui.free, touched: true, error: tool.trim() ? "" : "Name the tool the agent wants to call." };
    redraw();
    return;
  }
  /** @type {Json} */
  const call = { tool: tool.trim(), arguments_text: args, timeout };
  if (agent) call.agent = agent;
  if (server.trim()) call.server = server.trim();
  if (reasoning.trim()) call.reasoning = reasoning;
  const answer = await askAsAgent(call, "free");
  ui.free.error = answer.ok ? "" : answer.error || "";
  redraw();
}

/** @param {boolean} ready */
function freeCall(ready) {
  const free = ui.free;
  const fault = free.touched ? jsonFault(free.args) : null;
  const sending = ui.sending.has("ask|free");
  const toggle = () => {
    ui.free.open = !ui.free.open;
    if (ui.free.open && !ui.free.args) ui.free.args = "{\n  \n}";
    redraw();
  };
  return h(
    "div",
    { class: "free" },
    h(
      "button",
      {
        type: "button",
        class: "fold",
        "aria-expanded": free.open ? "true" : "false",
        "data-testid": "free-toggle",
        onclick: toggle,
      },
      icon("caret", free.open ? "is-open" : ""),
      "Write a call of your own",
    ),
    free.open
      ? h(
          "div",
          {
            class: "free-body",
            onkeydown: (/** @type {any} */ event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void sendFree();
            },
          },
          whichAgent(),
          h(
            "div",
            { class: "free-pair" },
            field("tool", "Tool", { placeholder: "issue_refund" }),
            field("server", "Server (optional)", { placeholder: "payments" }),
          ),
          field("args", "Arguments, as JSON", {
            rows: 6,
            class: `field mono${fault ? " is-bad" : ""}`,
            "aria-invalid": fault ? "true" : null,
            "aria-describedby": fault ? "free-fault" : null,
          }),
          fault
            ? h(
                "div",
                { class: "b-error", id: "free-fault", role: "status", "data-testid": "free-fault" },
                icon("warn"),
                fault,
              )
            : null,
          field("reasoning", "What the agent says about it (optional)", { rows: 2 }),
          h(
            "div",
            { class: "free-foot" },
            field("timeout", "Waits for", { class: "field field-tiny", placeholder: "10m" }),
            h(
              "button",
              {
                type: "button",
                class: `btn btn-primary${sending ? " is-sending" : ""}`,
                "data-testid": "free-send",
                "aria-disabled": ready && !fault ? null : "true",
                onclick: () => ready && void sendFree(),
              },
              h("span", { class: "btn-face" }, "Ask"),
              sending ? h("span", { class: "spinner" }) : null,
            ),
          ),
          free.error
            ? h("div", { class: "b-error", role: "alert", "data-testid": "free-error" }, icon("warn"), free.error)
            : null,
        )
      : null,
  );
}

function closeConsole() {
  ui.consoleOpen = false;
  ui.pane = "chat";
  redraw();
}

export function agentConsole() {
  const { agent } = snap();
  return h(
    "aside",
    { class: "console", "aria-label": "The agents' console", "data-testid": "agent-console" },
    h(
      "header",
      { class: "place-head" },
      h("h2", { class: "place-title" }, icon("bolt"), h("span", null, "The agents’ console")),
      h(
        "button",
        { type: "button", class: "tool only-narrow", "aria-label": "Close the console", onclick: closeConsole },
        icon("close"),
      ),
    ),
    h(
      "div",
      { class: "console-scroll", id: "console-scroll", tabindex: "-1" },
      h(
        "p",
        { class: "console-lead" },
        agent.ready
          ? "Be an AI agent: ask, and see what it hears."
          : h(
              "span",
              { class: "waiting-line" },
              h("span", { class: "spinner" }),
              "No agent is connected yet; calls can be sent as soon as one is.",
            ),
      ),
      agent.presets.length
        ? h(
            "ul",
            { class: "presets", "aria-label": "Ready-made calls" },
            agent.presets.map((/** @type {Json} */ preset, /** @type {number} */ at) =>
              presetCard(preset, agent.ready, at === 0 && !agent.runs.length),
            ),
          )
        : null,
      freeCall(agent.ready),
      runs(),
    ),
    tricks(),
  );
}
