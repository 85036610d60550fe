// The middle of the page: the open channel or DM, the app's Home, and the thread beside it.

import { closeThread } from "./actions.js";
import { drawBlocks } from "./blocks.js";
import { composer } from "./composer.js";
import { icon } from "./icons.js";
import { avatar, heads, messageList, threadOf } from "./messages.js";
import { releaseHold, toBottom } from "./scroll.js";
import { channelTitle, displayName, openChannel, redraw, snap, ui, userById } from "./state.js";
import { makeSurface } from "./surface.js";
import { h } from "./vdom.js";

/** @typedef {Record<string, any>} Json */

/** @param {Json} channel */
function header(channel) {
  const partner = channel.kind === "dm" ? userById(channel.user) : null;
  return h(
    "header",
    { class: "place-head" },
    h(
      "h1",
      { class: "place-title", "data-testid": "place-title" },
      partner ? avatar(partner, "avatar-small") : icon(channel.is_private ? "lock" : "hash"),
      h("span", null, channelTitle(channel)),
    ),
    channel.is_ext_shared ? h("span", { class: "tag tag-warn" }, "shared with another company") : null,
    channel.is_archived ? h("span", { class: "tag" }, "archived") : null,
    h("span", { class: "topic" }, partner ? partner.title || "" : channel.topic || ""),
  );
}

/** @param {Json} channel */
function empty(channel) {
  const bot = channel.kind === "dm" && userById(channel.user)?.is_bot;
  return h(
    "div",
    { class: "empty" },
    h("div", { class: "empty-mark" }, icon(channel.kind === "dm" ? "chat" : "seal")),
    h(
      "p",
      { class: "empty-title" },
      channel.kind === "dm" ? "Nothing said here yet" : `This is the start of #${channel.name}`,
    ),
    h(
      "p",
      null,
      bot
        ? "What the app has to tell you alone appears here."
        : "When an agent asks for something that this channel decides, its card appears here.",
    ),
    h("button", { type: "button", class: "btn", onclick: showConsole }, "Go to the agents’ console"),
  );
}

/** Brings the console into view, whatever the window's width, and its first call under the fingers. */
export function showConsole() {
  ui.consoleOpen = true;
  ui.pane = "agent";
  redraw();
  setTimeout(() => {
    const first = document.querySelector(".preset .btn");
    if (first instanceof HTMLElement) first.focus();
  }, 60);
}

/** @param {any} event j, k and the arrows walk through the messages */
export function walkMessages(event) {
  if (event.target.closest("input, textarea, select, [role=menu]")) return;
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[/** @type {"j"} */ (event.key)];
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  const all = [...event.currentTarget.querySelectorAll(".msg")];
  if (!all.length) return;
  const at = all.indexOf(event.target.closest(".msg"));
  const next = all[at < 0 ? all.length - 1 : Math.min(Math.max(at + step, 0), all.length - 1)];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  event.preventDefault();
}

/** @param {Json} channel */
function conversation(channel) {
  const messages = heads(channel);
  return h(
    "section",
    { key: channel.id, class: "place", "aria-label": channelTitle(channel) },
    header(channel),
    h(
      "div",
      {
        key: "list",
        class: "msg-list",
        id: "messages",
        role: "log",
        tabindex: "0",
        "data-testid": "messages",
        "aria-label": `Messages in ${channelTitle(channel)}`,
        "aria-relevant": "additions",
        onkeydown: walkMessages,
        onmouseleave: releaseHold,
      },
      messages.length ? messageList(channel, messages, false) : empty(channel),
    ),
    ui.unseenBelow
      ? h(
          "button",
          { key: "below", type: "button", class: "below", onclick: () => toBottom("messages") },
          icon("down"),
          ui.unseenBelow === "new" ? "New messages" : "More below",
        )
      : null,
    composer(channel, null),
  );
}

function homeTab() {
  const { home, users } = snap();
  const app = users.find((/** @type {Json} */ one) => one.is_bot);
  return h(
    "section",
    { key: "home", class: "place", "aria-label": "Home of the app" },
    h(
      "header",
      { class: "place-head" },
      h(
        "h1",
        { class: "place-title", "data-testid": "place-title" },
        avatar(app || null, "avatar-small"),
        h("span", null, displayName(app || null)),
      ),
      h("span", { class: "tag" }, "app"),
      h("span", { class: "topic" }, "Home"),
    ),
    h(
      "div",
      { key: "home", class: "home", id: "home", tabindex: "0", "data-testid": "home" },
      home && home.blocks
        ? drawBlocks(home.blocks, makeSurface("home", "home", {}, { saved: home.state?.values }))
        : h(
            "div",
            { class: "empty" },
            h("div", { class: "empty-mark" }, icon("home")),
            h("p", { class: "empty-title" }, "The app has not drawn a Home for you yet"),
            h("p", null, "It does so when you open this page; give it a moment."),
          ),
    ),
  );
}

export const place = () => {
  const channel = openChannel();
  return channel ? conversation(channel) : homeTab();
};

/** @returns {any} */
export function threadPane() {
  const channel = openChannel();
  if (!channel || !ui.thread) return null;
  const messages = threadOf(channel, ui.thread);
  return h(
    "aside",
    { key: `thread-${ui.thread}`, class: "thread", "aria-label": "Thread", "data-testid": "thread" },
    h(
      "header",
      { class: "place-head" },
      h("h2", { class: "place-title" }, "Thread"),
      h("span", { class: "topic" }, channel.kind === "dm" ? channelTitle(channel) : `#${channel.name}`),
      h(
        "button",
        {
          type: "button",
          class: "tool",
          "aria-label": "Close thread",
          "data-testid": "thread-close",
          onclick: closeThread,
        },
        icon("close"),
      ),
    ),
    h(
      "div",
      {
        class: "msg-list",
        id: "thread-messages",
        tabindex: "0",
        role: "log",
        "aria-label": "Messages in this thread",
        onkeydown: walkMessages,
        onmouseleave: releaseHold,
      },
      messageList(channel, messages, true),
    ),
    composer(channel, ui.thread),
  );
}
