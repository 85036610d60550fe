// The stack of modals of this person: the top one is alive, the ones under it wait behind.
//
// What was typed lives in ui.forms, so a snapshot that redraws a modal never takes it away.

import { closeView, submitView } from "./actions.js";
import { drawBlocks } from "./blocks.js";
import { plain } from "./elements.js";
import { icon } from "./icons.js";
import { avatar } from "./messages.js";
import { snap, ui } from "./state.js";
import { makeSurface } from "./surface.js";
import { h } from "./vdom.js";

/** @typedef {Record<string, any>} Json */

/** Where the focus was before the first modal came. @type {Element|null} */
let cameFrom = null;

/** @param {Element} el the first field, else the dialog itself, gets the focus when a modal opens */
function focusIn(el) {
  const field = el.querySelector("[data-autofocus] , .modal-body input, .modal-body textarea, .modal-body select");
  const target = field instanceof HTMLElement ? field : /** @type {HTMLElement} */ (el);
  setTimeout(() => {
    if (el.isConnected) target.focus({ preventScroll: true });
  }, 0);
}

/** A modal that has once been tall stays so: its buttons keep their place when its content is redrawn. @param {any} el */
function keepHeight(el) {
  const tall = Math.max(parseFloat(el.style.getPropertyValue("--tall")) || 0, el.offsetHeight);
  el.style.setProperty("--tall", `${tall}px`);
}

/** @param {Json} view @param {number} at @param {number} count */
function modal(view, at, count) {
  const top = at === count - 1;
  const surface = makeSurface(
    "modal",
    `v:${view.id}`,
    { view_id: view.id },
    { view, enter: () => void submitView(view) },
  );
  const failure = ui.failures.get(`v:${view.id}`);
  const sending = ui.sending.has(`submit|${view.id}`);
  const app = snap().users.find((/** @type {Json} */ one) => one.is_bot);
  const close = () => void closeView(view);
  const hasInput = (view.blocks || []).some((/** @type {Json} */ block) => block.type === "input");
  return h(
    "div",
    {
      key: view.id,
      class: `modal depth-${Math.min(count - 1 - at, 2)}${top ? " modal-top" : ""}`,
      role: "dialog",
      "aria-modal": top ? "true" : null,
      "aria-labelledby": `t-${view.id}`,
      tabindex: "-1",
      inert: !top,
      "data-testid": top ? "modal" : "modal-under",
      "data-callback": view.callback_id || null,
      "data-view": view.id,
      oncreate: (/** @type {Element} */ el) => {
        focusIn(el);
        setTimeout(() => keepHeight(el), 0);
      },
      onupdate: keepHeight,
    },
    h(
      "header",
      { class: "modal-head" },
      avatar(app || null, "avatar-mid"),
      h(
        "h2",
        { class: "modal-title", id: `t-${view.id}`, "data-testid": top ? "modal-title" : null },
        plain(view.title),
      ),
      count > 1 && top ? h("span", { class: "modal-step" }, `${at + 1} of ${count}`) : null,
      h(
        "button",
        {
          type: "button",
          class: "tool",
          "aria-label": "Close",
          "data-testid": top ? "modal-x" : null,
          onclick: close,
        },
        icon("close"),
      ),
    ),
    h(
      "div",
      {
        class: "modal-body",
        tabindex: "0",
        role: "group",
        "aria-labelledby": `t-${view.id}`,
        oncreate: (/** @type {Element} */ el) => void drawn.set(el, view.hash),
        onupdate: (/** @type {Element} */ el) => {
          // Another page is read from its top. A form that is being filled in stays where it is.
          if (drawn.get(el) !== view.hash && !hasInput) el.scrollTop = 0;
          drawn.set(el, view.hash);
        },
      },
      failure && failure.block === null
        ? h(
            "div",
            { class: "b-alert b-alert-error", role: "alert", "data-testid": "modal-error" },
            icon("warn"),
            h("div", null, failure.text),
          )
        : null,
      drawBlocks(view.blocks, surface),
    ),
    h(
      "footer",
      { class: "modal-foot" },
      h(
        "button",
        { type: "button", class: "btn", "data-testid": top ? "modal-close" : null, onclick: close },
        view.close ? plain(view.close) : view.submit ? "Cancel" : "Close",
      ),
      view.submit || hasInput
        ? h(
            "button",
            {
              type: "button",
              class: `btn btn-primary${sending ? " is-sending" : ""}`,
              "data-testid": top ? "modal-submit" : null,
              "aria-busy": sending ? "true" : null,
              onclick: () => void submitView(view),
            },
            h("span", { class: "btn-face" }, view.submit ? plain(view.submit) : "Submit"),
            sending ? h("span", { class: "spinner" }) : null,
          )
        : null,
    ),
  );
}

/** Which state of its view a modal's body shows. @type {WeakMap<Element, string>} */
const drawn = new WeakMap();

/** The views of this person, or none while there is no snapshot. @returns {Json[]} */
export const views = () => snap().modals || [];

/** @returns {any} */
export function modals() {
  const all = views();
  if (all.length && !cameFrom) cameFrom = document.activeElement;
  if (!all.length) {
    if (cameFrom instanceof HTMLElement) {
      const back = cameFrom;
      setTimeout(() => {
        if (back.isConnected && document.activeElement === document.body) back.focus({ preventScroll: true });
      }, 0);
    }
    cameFrom = null;
    return null;
  }
  return h(
    "div",
    { key: "modals", class: "shade", "data-testid": "modals", onkeydown: trapKeys },
    all.map((view, i) => modal(view, i, all.length)),
  );
}

/** @param {any} event Enter with Ctrl or Cmd submits from anywhere in the modal */
function trapKeys(event) {
  const top = views()[views().length - 1];
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && top) {
    event.preventDefault();
    void submitView(top);
  }
}
