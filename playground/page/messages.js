// One message, and lists of them: day dividers, who spoke, cards, threads' footers, what may be done to it.
//
// Draws only. A message that did not change since the last redraw is not drawn again.

import { deleteMessage, openThread, showPerson } from "./actions.js";
import { drawBlocks } from "./blocks.js";
import { dayKey, dayLabel, fullText, timeText, tsMillis } from "./dates.js";
import { icon } from "./icons.js";
import { mrkdwn } from "./mrkdwn.js";
import { displayName, now, redraw, scope, snap, ui, userById } from "./state.js";
import { makeSurface } from "./surface.js";
import { h } from "./vdom.js";

/** @typedef {Record<string, any>} Json */

/** A colour that stays with a person; neighbours in the list differ. @param {Json|null} user */
const hue = (user) =>
  Math.max(
    0,
    snap().users.findIndex((/** @type {Json} */ one) => one.id === user?.id),
  ) % 8;

/** @param {Json|null} user @param {string} [size] */
export function avatar(user, size = "") {
  const name = displayName(user);
  if (user?.is_bot) return h("span", { class: `avatar avatar-app ${size}`, "aria-hidden": "true" }, icon("seal"));
  const initials = name
    .split(/\s+/)
    .map((word) => Array.from(word)[0] || "")
    .slice(0, 2)
    .join("")
    .toUpperCase();
  return h("span", { class: `avatar hue-${hue(user)} ${size}`, "aria-hidden": "true" }, initials);
}

/** @param {Json} channel @param {Json} message */
const surfaceId = (channel, message) => `m:${channel.id}:${message.ts}`;

/** @param {Json} message */
const isReply = (message) => Boolean(message.thread_ts && message.thread_ts !== message.ts);

/** @param {Json} channel */
export const heads = (channel) => channel.messages.filter((/** @type {Json} */ one) => !isReply(one));

/** @param {Json} channel @param {string} ts */
export const threadOf = (channel, ts) =>
  channel.messages.filter((/** @type {Json} */ one) => one.ts === ts || (one.thread_ts === ts && one.ts !== ts));

/** @param {Json} channel @param {Json} message */
function body(channel, message) {
  const place = makeSurface(
    "message",
    surfaceId(channel, message),
    { channel: channel.id, ts: message.ts },
    { notified: message.notified },
  );
  const edited = message.edited
    ? h("span", { class: "edited", title: "This message was edited" }, " (edited)")
    : null;
  if (message.blocks && message.blocks.length) return [drawBlocks(message.blocks, place), edited];
  return [h("div", { class: "msg-text", dir: "auto" }, mrkdwn(message.text || "", place.scope), edited)];
}

/** @param {Json} channel @param {Json} message */
function tools(channel, message) {
  const inThread = isReply(message) || ui.thread === message.ts;
  return h(
    "div",
    { class: "msg-tools", role: "group", "aria-label": "Message actions" },
    message.ephemeral || inThread
      ? null
      : h(
          "button",
          {
            type: "button",
            class: "tool",
            title: "Reply in thread",
            "aria-label": "Reply in thread",
            "data-testid": `reply-${message.ts}`,
            onclick: () => openThread(message.ts),
          },
          icon("reply"),
        ),
    message.ephemeral
      ? null
      : h(
          "button",
          {
            type: "button",
            class: "tool",
            title: "Delete message",
            "aria-label": "Delete message",
            "data-testid": `delete-${message.ts}`,
            onclick: () => deleteMessage(channel.id, message),
          },
          icon("trash"),
        ),
  );
}

/** @param {Json} channel @param {Json} message */
function threadFooter(channel, message) {
  if (!message.reply_count) return null;
  const replies = threadOf(channel, message.ts).slice(1);
  const people = [...new Set(replies.map((/** @type {Json} */ one) => one.user))].slice(0, 3);
  return h(
    "button",
    {
      type: "button",
      class: "thread-link",
      "data-testid": `thread-${message.ts}`,
      onclick: () => openThread(message.ts),
    },
    people.map((id) => avatar(userById(id), "avatar-tiny")),
    h("span", null, `${message.reply_count} ${message.reply_count === 1 ? "reply" : "replies"}`),
  );
}

/** @param {Json} channel @param {Json} message @param {boolean} compact @param {boolean} inThread */
function drawMessage(channel, message, compact, inThread) {
  const user = userById(message.user);
  const clock = { tz: scope().me.tz, now: now() };
  const ms = tsMillis(message.ts);
  const mine = message.notified && message.user !== snap().me.id;
  const stamp = h("time", { class: "stamp", title: fullText(ms, clock) }, timeText(ms, clock.tz));
  return h(
    "article",
    {
      key: message.ts,
      class: `msg${compact ? " msg-compact" : ""}${message.ephemeral ? " msg-ephemeral" : ""}${mine ? " msg-notified" : ""}`,
      "data-testid": `message-${message.ts}`,
      "data-ts": message.ts,
      tabindex: "-1",
      "aria-label": `${displayName(user)}, ${timeText(ms, clock.tz)}`,
    },
    message.ephemeral ? h("div", { class: "only-you" }, icon("eye"), "Only visible to you") : null,
    h(
      "div",
      { class: "msg-row" },
      h("div", { class: "msg-side" }, compact ? stamp : avatar(user)),
      h(
        "div",
        { class: "msg-main" },
        compact
          ? null
          : h(
              "div",
              { class: "msg-head" },
              h(
                "button",
                {
                  type: "button",
                  class: "author",
                  onclick: (/** @type {Event} */ event) => showPerson(message.user, event),
                },
                displayName(user),
              ),
              user?.is_bot ? h("span", { class: "tag" }, "app") : null,
              stamp,
            ),
        body(channel, message),
        inThread ? null : threadFooter(channel, message),
      ),
      tools(channel, message),
    ),
  );
}

/** @type {Map<string, {sign: string, node: any}>} */
const drawn = new Map();

/** The drawn message, from the last redraw if nothing in it changed. */
function remembered(
  /** @type {Json} */ channel,
  /** @type {Json} */ message,
  /** @type {boolean} */ compact,
  /** @type {boolean} */ inThread,
) {
  const id = surfaceId(channel, message);
  const busy = [...ui.sending].filter((key) => key.startsWith(`${id}|`)).join();
  const day = dayKey(now(), scope().me.tz);
  const sign = JSON.stringify([
    snap().me.id,
    message,
    compact,
    ui.thread === message.ts,
    day,
    busy,
    ui.failures.get(id),
    ui.forms.get(id),
    snap().users.length,
    Math.floor(now() / 60000),
  ]);
  const key = `${inThread ? "t" : "c"}${id}`;
  const found = drawn.get(key);
  if (found && found.sign === sign) return found.node;
  const node = drawMessage(channel, message, compact, inThread);
  drawn.set(key, { sign, node });
  if (drawn.size > 1500) drawn.delete(/** @type {string} */ (drawn.keys().next().value));
  return node;
}

/** Whether a message stands under the one before it without saying again who spoke. */
function continues(/** @type {Json|null} */ before, /** @type {Json} */ message) {
  return (
    Boolean(before) &&
    before?.user === message.user &&
    !message.blocks?.length &&
    !before?.blocks?.length &&
    !message.ephemeral &&
    !before?.ephemeral &&
    tsMillis(message.ts) - tsMillis(before?.ts) < 300000
  );
}

/** How many messages are drawn before one asks for more. */
const DEPTH = 120;

/** @param {Json} channel @param {Json[]} all @param {boolean} inThread */
export function messageList(channel, all, inThread) {
  const clock = { tz: scope().me.tz, now: now() };
  const depth = ui.depth.get(channel.id) || DEPTH;
  const shown = inThread ? all : all.slice(-depth);
  const newFrom = inThread ? null : ui.newFrom.get(channel.id);
  /** @type {any[]} */
  const out = [];
  /** @type {Json|null} */
  let before = null;
  let day = 0;
  if (shown.length < all.length) {
    out.push(
      h(
        "button",
        {
          key: "more",
          type: "button",
          class: "btn more",
          onclick: () => {
            ui.depth.set(channel.id, depth + DEPTH);
            redraw();
          },
        },
        `Show ${all.length - shown.length} earlier messages`,
      ),
    );
  }
  shown.forEach((message, i) => {
    const ms = tsMillis(message.ts);
    const today = dayKey(ms, clock.tz);
    if (today !== day && !inThread) {
      out.push(
        h("div", { key: `day-${today}`, class: "day", role: "separator" }, h("span", null, dayLabel(ms, clock))),
      );
    }
    if (newFrom === message.ts)
      out.push(h("div", { key: "new", class: "new-line", role: "separator" }, h("span", null, "New")));
    const compact =
      today === day && newFrom !== message.ts && continues(before, message) && !(inThread && i === 1);
    day = today;
    before = message;
    out.push(remembered(channel, message, compact, inThread));
    if (inThread && i === 0) {
      const replies = all.length - 1;
      out.push(
        h(
          "div",
          { key: "replies", class: "replies" },
          h("span", null, replies ? `${replies} ${replies === 1 ? "reply" : "replies"}` : "No replies yet"),
        ),
      );
    }
  });
  return out;
}
