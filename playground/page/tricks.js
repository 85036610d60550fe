// What one can do to the world of the agents and the bot: let time pass, and break Slack.

import { moveClock, setFault } from "./actions.js";
import { timeText } from "./dates.js";
import { icon } from "./icons.js";
import { now, redraw, scope, snap, ui } from "./state.js";
import { h } from "./vdom.js";

/** @typedef {Record<string, any>} Json */

/** @type {[string, string, number][]} test id → label → seconds */
const STEPS = [
  ["1m", "1 min", 60],
  ["5m", "5 min", 300],
  ["10m", "10 min", 600],
  ["1h", "1 h", 3600],
];

/** "10 min", "1 h 10 min": how far the clock was moved. @param {number} seconds */
export function aheadText(seconds) {
  const minutes = Math.floor(seconds / 60);
  const days = Math.floor(minutes / 1440);
  const hours = Math.floor((minutes % 1440) / 60);
  const parts = [
    [days, "d"],
    [hours, "h"],
    [minutes % 60, "min"],
  ].filter(([count]) => count);
  return parts.length ? parts.map(([count, unit]) => `${count} ${unit}`).join(" ") : `${seconds} s`;
}

function clock() {
  const moved = snap().clock;
  if (!moved) return null;
  const ahead = moved.ahead_seconds;
  const sending = ui.sending.has("clock");
  return h(
    "div",
    { key: "clock", class: "time", role: "group", "aria-label": "Time" },
    h(
      "div",
      { class: "time-text", "data-testid": "clock-now", role: "status" },
      h("div", { class: "time-label" }, icon("clock"), timeText(now(), scope().me.tz)),
      ahead ? h("b", { class: "time-ahead", "data-testid": "clock-ahead" }, `+${aheadText(ahead)}`) : null,
    ),
    STEPS.map(([key, label, seconds]) =>
      h(
        "button",
        {
          key,
          type: "button",
          class: "btn btn-small btn-time",
          "aria-label": `Let time pass: ${label}`,
          "aria-disabled": sending ? "true" : null,
          "data-testid": `clock-${key}`,
          onclick: () => void moveClock(seconds),
        },
        `+${label.replace("min", "m")}`,
      ),
    ),
  );
}

function faults() {
  const { available, active } = snap().faults;
  const toggle = () => {
    ui.faultsOpen = !ui.faultsOpen;
    redraw();
  };
  return h(
    "div",
    { class: "faults", key: "faults" },
    h(
      "button",
      {
        type: "button",
        class: "fold",
        "aria-expanded": ui.faultsOpen ? "true" : "false",
        "data-testid": "faults-toggle",
        onclick: toggle,
      },
      icon("caret", ui.faultsOpen ? "is-open" : ""),
      "Break something",
      active.length ? h("span", { class: "tag tag-warn" }, `${active.length} on`) : null,
    ),
    ui.faultsOpen
      ? h(
          "ul",
          { class: "fault-list" },
          available.map((/** @type {Json} */ fault) => {
            const on = active.includes(fault.key);
            const id = `fault-${fault.key}`;
            return h(
              "li",
              { key: fault.key, class: "fault" },
              h(
                "div",
                { class: "preset-text" },
                h("div", { class: "preset-label", id }, fault.label),
                h("div", { class: "preset-note" }, fault.explain),
              ),
              h(
                "button",
                {
                  type: "button",
                  class: `switch${ui.sending.has(`fault|${fault.key}`) ? " is-sending" : ""}`,
                  role: "switch",
                  "aria-checked": on ? "true" : "false",
                  "aria-labelledby": id,
                  "data-testid": id,
                  onclick: () => void setFault(fault.key, !on),
                },
                h("span", { class: "knob" }),
              ),
            );
          }),
        )
      : null,
  );
}


export const tricks = () => h("div", { class: "tricks", "data-testid": "tricks" }, clock(), faults());
