// A Surface is where blocks stand: a message, a modal or the Home tab. It tells the drawing code what a field
// holds and what a click does there, and it is the only way from a drawn element to an act.

import { actOn } from "./actions.js";
import { initialState } from "./form.js";
import { channelTitle, displayName, redraw, scope, snap, ui } from "./state.js";

/**
 * @typedef {{
 *   kind: "message"|"modal"|"home", id: string, scope: import("./mrkdwn.js").Scope,
 *   people: {label: string, value: string}[], places: {label: string, value: string}[],
 *   value: (block: any, element: any) => any,
 *   change: (block: any, element: any, state: any, done: boolean) => void,
 *   act: (block: any, element: any, payload: any) => void,
 *   status: (block: any, element: any) => {sending: boolean},
 *   error: (block: any) => string|null,
 *   failure: (block: any) => string|null,
 *   describe: (block: any) => Record<string, any>,
 *   fieldId: (block: any, element: any) => string,
 *   menu: (anchor: HTMLElement, items: any[]) => void,
 *   enter: () => void,
 * }} Surface
 */

/**
 * @param {"message"|"modal"|"home"} kind
 * @param {string} id "m:<channel>:<ts>", "v:<view id>" or "home"
 * @param {Record<string, any>} target what an act on this surface is sent with
 * @param {{notified?: boolean, view?: any, saved?: any, enter?: () => void}} [more]
 * @returns {Surface}
 */
export function makeSurface(kind, id, target, more = {}) {
  const saved = more.view?.state?.values || more.saved || {};
  const stateOf = (/** @type {any} */ block, /** @type {any} */ element) => valueOf(id, block, element, saved);
  const errors = more.view ? ui.formErrors.get(more.view.id) || {} : {};
  const error = (/** @type {any} */ block) => errors[String(block.block_id ?? "")] || null;
  const fieldId = (/** @type {any} */ block, /** @type {any} */ element) =>
    `f-${id}-${block?.block_id ?? ""}-${element?.action_id ?? ""}`.replace(/[^\w-]/g, "_");
  /** @type {Surface} */
  const surface = {
    kind,
    id,
    scope: scope(more.notified),
    people: snap()
      .users.filter((/** @type {any} */ one) => !one.deleted)
      .map((/** @type {any} */ one) => ({ label: displayName(one), value: one.id })),
    places: snap().channels.map((/** @type {any} */ one) => ({
      label: one.kind === "dm" ? channelTitle(one) : `#${one.name}`,
      value: one.id,
    })),
    value: stateOf,
    change: (block, element, state, done) => {
      const form = ui.forms.get(id) || {};
      const blockId = String(block.block_id ?? "");
      ui.forms.set(id, { ...form, [blockId]: { ...form[blockId], [element.action_id]: state } });
      clearError(more.view?.id, blockId);
      redraw();
      if (done && (block.type !== "input" || block.dispatch_action)) {
        const { type: _type, ...payload } = state;
        surface.act(block, element, payload);
      }
    },
    act: (block, element, payload) =>
      actOn({ kind, id, target, view: more.view, stateOf }, block, element, payload),
    status: (block, element) => ({ sending: ui.sending.has(sendKey(id, block, element)) }),
    error,
    failure: (block) => {
      const failed = ui.failures.get(id);
      return failed && failed.block !== null && failed.block === block?.block_id ? failed.text : null;
    },
    describe: (block) => {
      const field = fieldId(block, block.element);
      const by = [error(block) ? `${field}-error` : null, block.hint ? `${field}-hint` : null].filter(Boolean);
      return {
        "aria-describedby": by.length ? by.join(" ") : null,
        "aria-invalid": error(block) ? "true" : null,
        "aria-required": block.type === "input" && !block.optional ? "true" : null,
      };
    },
    fieldId,
    menu: (anchor, items) => {
      ui.menu = { anchor, items };
      redraw();
    },
    enter: more.enter || (() => {}),
  };
  return surface;
}

/** @param {string} id @param {any} block @param {any} element */
export const sendKey = (id, block, element) =>
  `${id}|${block.block_id ?? ""}|${element.action_id}|${element.value ?? ""}`;

/** @param {string} surfaceId @param {any} block @param {any} element @param {any} saved @returns {any} */
export function valueOf(surfaceId, block, element, saved) {
  const blockId = String(block.block_id ?? "");
  const typed = ui.forms.get(surfaceId)?.[blockId]?.[element.action_id];
  return typed ?? saved?.[blockId]?.[element.action_id] ?? initialState(element);
}

/** @param {string|undefined} viewId @param {string} blockId */
function clearError(viewId, blockId) {
  const errors = viewId ? ui.formErrors.get(viewId) : null;
  if (viewId && errors && blockId in errors) {
    const { [blockId]: _gone, ...rest } = errors;
    ui.formErrors.set(viewId, rest);
  }
}
