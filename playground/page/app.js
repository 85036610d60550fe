// The page's entry: joins the line to the server, the drawing and the keyboard. Draws the frame around all.

import { become, closeThread, closeView, go, markRead, readAddress, settlePlace, showPerson } from "./actions.js";
import { agentConsole } from "./agent.js";
import { place, showConsole, threadPane } from "./channel.js";
import { icon } from "./icons.js";
import { modals, views } from "./modals.js";
import { answerConfirm, closeMenu, overlays } from "./overlays.js";
import { holdScroll } from "./scroll.js";
import { sidebar } from "./sidebar.js";
import { connect, listen, send } from "./socket.js";
import {
  channelById,
  channelTitle,
  chatOnScreen,
  now,
  onMention,
  onRedraw,
  redraw,
  remember,
  remembered,
  snap,
  ui,
  userById,
  world,
} from "./state.js";
import { aheadText } from "./tricks.js";
import { h, patch } from "./vdom.js";

/** @typedef {Record<string, any>} Json */

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
const layer = /** @type {HTMLElement} */ (document.getElementById("over"));

/** Notifying messages this window has already told of. @type {Set<string>} */
const told = new Set();
/** The person of the last snapshot: the first one of a person tells of nothing old. @type {string|null} */
let toldFor = null;

/** @param {Json} state */
function receive(state) {
  world.snap = state;
  const stamp = Date.parse(state.now);
  if (!Number.isNaN(stamp)) world.skew = stamp - Date.now();
  const fresh = toldFor !== state.me.id;
  settlePlace();
  if (fresh && ui.at === "home") void send("open_home");
  tell(state, fresh);
  toldFor = state.me.id;
  redraw();
}

/** Shows what a phone would buzz for: the notification text of messages that are not on screen. */
function tell(/** @type {Json} */ state, /** @type {boolean} */ quiet) {
  for (const channel of state.channels) {
    for (const message of channel.messages) {
      if (!message.notified || message.user === state.me.id) continue;
      const key = `${state.me.id}|${channel.id}|${message.ts}`;
      if (told.has(key)) continue;
      told.add(key);
      const onScreen = ui.at === channel.id && chatOnScreen();
      if (quiet || onScreen) continue;
      const title = channel.kind === "dm" ? "direct message" : `#${channelTitle(channel)}`;
      ui.toasts = [...ui.toasts.slice(-2), { key, channel, message, title, from: userById(message.user) }];
      setTimeout(() => {
        ui.toasts = ui.toasts.filter((one) => one.key !== key);
        redraw();
      }, 8000);
    }
  }
}

const THEMES = ["auto", "light", "dark"];

function nextTheme() {
  ui.theme = THEMES[(THEMES.indexOf(ui.theme) + 1) % THEMES.length];
  remember("theme", ui.theme);
  redraw();
}

function hideBanner() {
  ui.bannerHidden = true;
  remember("banner", "hidden");
  redraw();
}

/** @param {"nav"|"chat"|"agent"} pane */
function showPane(pane) {
  ui.pane = pane;
  ui.consoleOpen = pane === "agent";
  markRead();
  redraw();
}

/** How much waits for this person, over all places. */
const waitingCount = () =>
  snap().channels.reduce(
    (/** @type {number} */ sum, /** @type {Json} */ one) =>
      sum + (one.id === ui.at && chatOnScreen() ? 0 : one.kind === "dm" ? one.unread : one.mentions),
    0,
  );

const runningCount = () => snap().agent.runs.filter((/** @type {Json} */ one) => one.state === "running").length;

/** @param {string} count */
const badge = (count) => h("span", { class: "badge" }, count);

function topbar() {
  const running = runningCount();
  const sign = { auto: "auto", light: "sun", dark: "moon" }[ui.theme] || "auto";
  const active = snap().faults.active;
  const labels = snap()
    .faults.available.filter((/** @type {Json} */ one) => active.includes(one.key))
    .map((/** @type {Json} */ one) => one.label);
  return h(
    "header",
    { class: "topbar" },
    h(
      "div",
      { class: "brand" },
      icon("seal"),
      h("span", null, "Signoff"),
      h("span", { class: "brand-note" }, "playground"),
    ),
    labels.length
      ? h(
          "div",
          { class: "fault-note", role: "status", "data-testid": "fault-note" },
          icon("plug"),
          h("span", null, labels.join(" · ")),
        )
      : null,
    snap().clock?.ahead_seconds
      ? h(
          "div",
          { key: "time", class: "time-note", role: "status", "data-testid": "time-note" },
          icon("clock"),
          h("span", null, `${aheadText(snap().clock.ahead_seconds)} ahead`),
        )
      : null,
    h(
      "div",
      { class: "topbar-end" },
      h(
        "button",
        {
          type: "button",
          class: "tool",
          title: "Keys (?)",
          "aria-label": "Keys",
          onclick: () => {
            ui.help = true;
            redraw();
          },
        },
        h("span", { class: "glyph" }, "?"),
      ),
      h(
        "button",
        {
          type: "button",
          class: "tool",
          "data-testid": "theme",
          title: `Colours: ${ui.theme}`,
          "aria-label": `Colours: ${ui.theme}. Change`,
          onclick: nextTheme,
        },
        icon(sign),
      ),
      h(
        "button",
        {
          type: "button",
          class: "tool tool-wide only-narrow",
          "data-testid": "console-toggle",
          "aria-expanded": ui.consoleOpen ? "true" : "false",
          onclick: () => (ui.consoleOpen ? showPane("chat") : showConsole()),
        },
        icon("bolt"),
        "Agent",
        running ? badge(String(running)) : null,
      ),
    ),
  );
}

function banner() {
  if (ui.bannerHidden) return null;
  return h(
    "div",
    { key: "banner", class: "banner", role: "note", "data-testid": "banner" },
    h("p", null, "AI agents ask, people decide: press Ask in the console, then Approve or Deny the card that appears."),
    h(
      "button",
      { type: "button", class: "tool", "aria-label": "Hide this hint", onclick: hideBanner },
      icon("close"),
    ),
  );
}

function lineNote() {
  if (world.line === "open") return null;
  return h(
    "div",
    { key: "line", class: "line-note", role: "status", "data-testid": "line-note" },
    h("span", { class: "spinner" }),
    world.line === "lost" ? "The playground is not answering. Trying again…" : "Connecting…",
  );
}

function tabs() {
  const waiting = waitingCount();
  const running = runningCount();
  const tab = (
    /** @type {"nav"|"chat"|"agent"} */ pane,
    /** @type {string} */ sign,
    /** @type {string} */ label,
    /** @type {number} */ count,
  ) =>
    h(
      "button",
      {
        type: "button",
        class: `tab${ui.pane === pane ? " is-open" : ""}`,
        "aria-current": ui.pane === pane ? "page" : null,
        "data-testid": `tab-${pane}`,
        onclick: () => showPane(pane),
      },
      icon(sign),
      h("span", null, label),
      count ? badge(String(count)) : null,
    );
  return h(
    "nav",
    { class: "tabs", "aria-label": "Panes" },
    tab("nav", "menu", "Places", waiting),
    tab("chat", "chat", "Messages", 0),
    tab("agent", "bolt", "Agent", running),
  );
}

function title() {
  const waiting = waitingCount();
  const channel = ui.at ? channelById(ui.at) : null;
  const name = ui.at === "home" ? "Home" : channel ? channelTitle(channel) : "";
  return `${waiting ? `(${waiting}) ` : ""}${name ? `${name} · ` : ""}Signoff playground`;
}

onRedraw(() => {
  document.documentElement.dataset.theme = ui.theme;
  if (!world.snap) {
    patch(root, [
      h(
        "div",
        { class: "loading" },
        h("span", { class: "spinner" }),
        world.line === "lost" ? "The playground is not answering. Trying again…" : "Opening the playground…",
      ),
    ]);
    return;
  }
  // What is on screen needs no notice.
  ui.toasts = ui.toasts.filter((one) => !(one.channel && one.channel.id === ui.at && chatOnScreen()));
  const release = holdScroll();
  const blocked = views().length > 0 || Boolean(ui.confirm) || ui.help;
  const front = ui.thread && ui.at !== "home" ? " has-thread" : "";
  patch(root, [
    h(
      "div",
      { class: `frame pane-${ui.pane}${ui.consoleOpen ? " console-open" : ""}${front}`, inert: blocked },
      topbar(),
      lineNote(),
      sidebar(),
      h("main", { class: "main" }, banner(), place()),
      threadPane(),
      agentConsole(),
      ui.consoleOpen ? h("div", { key: "veil", class: "veil", onclick: () => showPane("chat") }) : null,
      tabs(),
    ),
  ]);
  patch(layer, [h("div", { class: "modal-layer", inert: Boolean(ui.confirm) || ui.help }, modals()), overlays()]);
  release();
  document.title = title();
});

/** Closes what lies on top. @returns {boolean} whether there was something */
function escape() {
  const open = views();
  if (ui.menu) closeMenu();
  else if (ui.confirm) answerConfirm(false);
  else if (ui.help) ui.help = false;
  else if (open.length) void closeView(open[open.length - 1]);
  else if (ui.personMenu) {
    ui.personMenu = false;
    document.getElementById("person-switcher")?.focus();
  } else if (ui.thread) closeThread();
  else if (ui.consoleOpen) showPane("chat");
  else return false;
  redraw();
  return true;
}

/** @param {number} step */
function neighbour(step) {
  const ids = [...snap().channels]
    .sort((a, b) => Number(a.kind === "dm") - Number(b.kind === "dm"))
    .map((/** @type {Json} */ one) => one.id)
    .concat("home");
  const at = ids.indexOf(String(ui.at));
  go(ids[(at + step + ids.length) % ids.length]);
}

window.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || !world.snap) return;
  if (event.key === "Escape") {
    if (escape()) event.preventDefault();
    return;
  }
  const target = /** @type {HTMLElement} */ (event.target);
  const typing = target.closest("input, textarea, select, [contenteditable]");
  if (views().length || ui.confirm || ui.help || ui.menu) return;
  if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown"))
    neighbour(event.key === "ArrowUp" ? -1 : 1);
  else if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  else if (event.key === "/") {
    const box = document.querySelector(".main .composer-field");
    if (!(box instanceof HTMLTextAreaElement)) return;
    box.focus();
    if (box.value) event.preventDefault();
    return;
  } else if (event.key === "c") showConsole();
  else if (event.key === "?") {
    ui.help = true;
    redraw();
  } else return;
  event.preventDefault();
});

window.addEventListener("mousedown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (ui.personMenu && !target.closest(".person")) {
    ui.personMenu = false;
    redraw();
  }
});
window.addEventListener("resize", () => {
  if (ui.menu) closeMenu(false);
  redraw();
});
document.addEventListener("visibilitychange", () => {
  if (world.snap) settlePlace();
  redraw();
});
window.addEventListener("hashchange", (event) => {
  // Not where the address is by now: news that came in between may have written the old place there again.
  const { user, at, thread } = readAddress(new URL(event.newURL).hash);
  if (user && user !== ui.user) become(user);
  if (at && world.snap && at !== ui.at) go(at, thread);
});

onMention({ onUser: showPerson, onChannel: go });
listen({
  onState: receive,
  onLine: (line) => {
    world.line = line;
    redraw();
  },
});

const start = readAddress();
ui.user = start.user || remembered("user");
ui.at = start.at;
ui.thread = start.thread;
ui.theme = remembered("theme") || "auto";
ui.bannerHidden = remembered("banner") === "hidden";
connect(ui.user || "");
redraw();
// Waiting calls and "5 minutes ago" move on without a message from the server.
setInterval(() => {
  if (world.snap && (runningCount() || Math.floor(now() / 1000) % 30 === 0)) redraw();
}, 1000);
