// What lies over everything else: menus, questions before an act, short notices.

import { dropToast, go, openThread } from "./actions.js";
import { plain } from "./elements.js";
import { withEmoji } from "./emoji.js";
import { icon } from "./icons.js";
import { avatar } from "./messages.js";
import { mrkdwn, textObject } from "./mrkdwn.js";
import { standing } from "./sidebar.js";
import { displayName, redraw, scope, ui } from "./state.js";
import { h } from "./vdom.js";

/** @typedef {Record<string, any>} Json */

/** @param {boolean} [focusBack] */
export function closeMenu(focusBack = true) {
  const anchor = ui.menu?.anchor;
  ui.menu = null;
  redraw();
  if (focusBack && anchor?.isConnected) anchor.focus({ preventScroll: true });
}

/** Puts a menu beside what opened it, inside the window. @param {HTMLElement} el @param {HTMLElement} anchor */
function placeMenu(el, anchor) {
  const box = anchor.getBoundingClientRect();
  const left = Math.max(8, Math.min(box.left, window.innerWidth - el.offsetWidth - 8));
  const below = box.bottom + 4;
  const top =
    below + el.offsetHeight > window.innerHeight - 8 ? Math.max(8, box.top - el.offsetHeight - 4) : below;
  el.style.left = `${left}px`;
  el.style.top = `${top}px`;
}

/** @param {any} event */
function menuKeys(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[/** @type {"ArrowUp"} */ (event.key)];
  const all = [...event.currentTarget.querySelectorAll("button, a")];
  if (step && all.length) {
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
    event.preventDefault();
  } else if (event.key === "Tab") {
    closeMenu();
    event.preventDefault();
  }
}

/** @returns {any} */
function menu() {
  const open = ui.menu;
  if (!open) return null;
  const run = (/** @type {any} */ item) => {
    closeMenu();
    item.run();
  };
  const items = open.items.map((/** @type {any} */ item) => {
    const shared = {
      key: item.key,
      class: "menu-item",
      role: open.person ? null : "menuitem",
      onclick: () => run(item),
    };
    return item.url
      ? h("a", { ...shared, href: item.url, target: "_blank", rel: "noopener noreferrer" }, item.label)
      : h("button", { ...shared, type: "button", "data-testid": `menu-${item.key}` }, item.label);
  });
  return h(
    "div",
    {
      key: "menu-layer",
      class: "menu-layer",
      onmousedown: (/** @type {Event} */ event) => {
        if (event.target === event.currentTarget) closeMenu(false);
      },
    },
    h(
      "div",
      {
        class: "menu",
        role: open.person ? "dialog" : "menu",
        "aria-label": open.person ? displayName(open.person) : "More actions",
        tabindex: "-1",
        "data-testid": open.person ? "person-card" : "menu",
        onkeydown: menuKeys,
        oncreate: (/** @type {HTMLElement} */ el) => {
          setTimeout(() => {
            placeMenu(el, open.anchor);
            const first = el.querySelector("button, a");
            (first instanceof HTMLElement ? first : el).focus({ preventScroll: true });
          }, 0);
        },
      },
      open.person ? personCard(open.person) : null,
      items,
    ),
  );
}

/** @param {Json} user */
function personCard(user) {
  return h(
    "div",
    { class: "person-card" },
    avatar(user, "avatar-big"),
    h(
      "div",
      null,
      h("div", { class: "person-name" }, displayName(user)),
      h(
        "div",
        { class: "person-note" },
        [`@${user.name}`, user.is_bot ? "app" : standing(user)].filter(Boolean).join(" · "),
      ),
      h("div", { class: "person-note" }, [user.id, user.tz].filter(Boolean).join(" · ")),
    ),
  );
}

/** @param {boolean} yes */
export function answerConfirm(yes) {
  const asked = ui.confirm;
  ui.confirm = null;
  redraw();
  if (asked?.back?.isConnected) asked.back.focus({ preventScroll: true });
  if (yes && asked) asked.run();
}

/** @returns {any} */
function confirm() {
  const asked = ui.confirm;
  if (!asked) return null;
  return h(
    "div",
    { key: "confirm", class: "shade shade-confirm" },
    h(
      "div",
      {
        class: "modal modal-top modal-confirm",
        role: "alertdialog",
        "aria-modal": "true",
        "aria-labelledby": "confirm-title",
        "aria-describedby": "confirm-text",
        "data-testid": "confirm",
      },
      h(
        "header",
        { class: "modal-head" },
        h("h2", { class: "modal-title", id: "confirm-title" }, plain(asked.title || { text: "Are you sure?" })),
      ),
      h("div", { class: "modal-body", id: "confirm-text" }, textObject(asked.text, scope(), withEmoji)),
      h(
        "footer",
        { class: "modal-foot" },
        h(
          "button",
          { type: "button", class: "btn", "data-testid": "confirm-no", onclick: () => answerConfirm(false) },
          asked.deny ? plain(asked.deny) : "Cancel",
        ),
        h(
          "button",
          {
            type: "button",
            class: `btn ${asked.style === "danger" ? "btn-danger-fill" : "btn-primary"}`,
            "data-testid": "confirm-yes",
            onclick: () => answerConfirm(true),
            oncreate: (/** @type {HTMLElement} */ el) => setTimeout(() => el.focus(), 0),
          },
          asked.confirm ? plain(asked.confirm) : "OK",
        ),
      ),
    ),
  );
}

/** @param {Json} one */
function notice(one) {
  if (!one.message) {
    return h(
      "div",
      { key: one.key, class: `toast toast-${one.tone}`, role: one.tone === "error" ? "alert" : "status" },
      icon(one.tone === "error" ? "warn" : "info"),
      h("span", null, one.text),
      h(
        "button",
        { type: "button", class: "tool", "aria-label": "Dismiss", onclick: () => dropToast(one.key) },
        icon("close"),
      ),
    );
  }
  const { channel, message, from, title } = one;
  return h(
    "div",
    { key: one.key, class: "toast toast-note", role: "status", "data-testid": "notification" },
    h(
      "button",
      {
        type: "button",
        class: "toast-open",
        onclick: () => {
          dropToast(one.key);
          go(channel.id);
          if (message.thread_ts && message.thread_ts !== message.ts) openThread(message.thread_ts);
        },
      },
      h(
        "span",
        { class: "toast-head" },
        avatar(from, "avatar-tiny"),
        h("b", null, displayName(from)),
        h("span", null, title),
      ),
      h(
        "span",
        { class: "toast-text" },
        mrkdwn(message.text || "", { ...scope(), onUser: undefined, onChannel: undefined }),
      ),
    ),
    h(
      "button",
      { type: "button", class: "tool", "aria-label": "Dismiss", onclick: () => dropToast(one.key) },
      icon("close"),
    ),
  );
}

const KEYS = [
  ["j / k, arrows", "walk through messages, channels and menus"],
  ["Alt + ↑ / ↓", "the channel above or below"],
  ["/", "write, starting with a command"],
  ["c", "the agents' console"],
  ["Enter", "send, submit, open"],
  ["Ctrl or ⌘ + Enter", "submit a modal from anywhere in it"],
  ["Esc", "close what is on top"],
  ["?", "this list"],
];

function help() {
  if (!ui.help) return null;
  const close = () => {
    ui.help = false;
    redraw();
  };
  return h(
    "div",
    { key: "help", class: "shade shade-confirm" },
    h(
      "div",
      {
        class: "modal modal-top modal-confirm",
        role: "dialog",
        "aria-modal": "true",
        "aria-labelledby": "help-title",
        "data-testid": "help",
      },
      h(
        "header",
        { class: "modal-head" },
        h("h2", { class: "modal-title", id: "help-title" }, "Keys"),
        h(
          "button",
          {
            type: "button",
            class: "tool",
            "aria-label": "Close",
            onclick: close,
            oncreate: (/** @type {HTMLElement} */ el) => setTimeout(() => el.focus(), 0),
          },
          icon("close"),
        ),
      ),
      h(
        "dl",
        { class: "modal-body keys" },
        KEYS.map(([key, what]) => h("div", null, h("dt", null, h("kbd", null, key)), h("dd", null, what))),
      ),
    ),
  );
}

/** @returns {any[]} */
export const overlays = () => [
  ui.toasts.length
    ? h("div", { key: "toasts", class: "toasts", "aria-live": "polite" }, ui.toasts.map(notice))
    : null,
  confirm(),
  help(),
  menu(),
];
