// Block Kit's interactive elements: buttons, menus, choices and fields.
//
// Draws only; what a click or a change means is the Surface's business (see surface.js).

import { withEmoji } from "./emoji.js";
import { fromLocalField, toLocalField } from "./dates.js";
import { icon } from "./icons.js";
import { plainText, safeUrl, textObject } from "./mrkdwn.js";
import { h } from "./vdom.js";

/** @typedef {import("./surface.js").Surface} Surface */
/** @typedef {Record<string, any>} Element */

/** @param {any} object */
export const plain = (object) => plainText(object, withEmoji);

/** @param {any} object @returns {string} */
const flat = (object) =>
  object?.emoji === false ? String(object?.text ?? "") : withEmoji(String(object?.text ?? ""));

/** @param {any} block @param {Element} element @param {Surface} surface */
function button(block, element, surface) {
  const { sending } = surface.status(block, element);
  const style = element.style === "primary" ? " btn-primary" : element.style === "danger" ? " btn-danger" : "";
  const url = element.url ? safeUrl(String(element.url)) : null;
  const shared = {
    key: `${element.action_id}=${element.value ?? ""}`,
    class: `btn${style}${sending ? " is-sending" : ""}`,
    "data-testid": `button-${element.action_id}`,
    "aria-label": element.accessibility_label || null,
    "aria-busy": sending ? "true" : null,
    onclick: (/** @type {Event} */ event) => {
      if (sending) event.preventDefault();
      else surface.act(block, element, element.value === undefined ? {} : { value: element.value });
    },
  };
  const face = [
    h("span", { class: "btn-face" }, plain(element.text)),
    sending ? h("span", { class: "spinner" }) : null,
  ];
  return url
    ? h("a", { ...shared, href: url, target: "_blank", rel: "noopener noreferrer" }, face)
    : h("button", { ...shared, type: "button" }, face);
}

/** @param {any} block @param {Element} element @param {Surface} surface */
function overflow(block, element, surface) {
  const { sending } = surface.status(block, element);
  return h(
    "button",
    {
      key: element.action_id,
      type: "button",
      class: `btn btn-icon${sending ? " is-sending" : ""}`,
      "data-testid": `button-${element.action_id}`,
      "aria-label": "More actions",
      "aria-haspopup": "menu",
      onclick: (/** @type {Event} */ event) =>
        surface.menu(
          /** @type {any} */ (event.currentTarget),
          (element.options || []).map((/** @type {any} */ option) => ({
            key: String(option.value),
            label: flat(option.text),
            url: option.url ? safeUrl(option.url) : null,
            run: () => surface.act(block, element, { selected_option: option }),
          })),
        ),
    },
    sending ? h("span", { class: "spinner" }) : icon("dots"),
  );
}

/** @param {Element} element @param {string} id @param {string} label */
const named = (element, id, label) => ({
  id,
  "data-testid": `field-${element.action_id}`,
  "aria-label": label || null,
});

/**
 * A select over plain choices. Values may repeat between groups, so a choice is told by its place.
 * @param {any} block @param {Element} element @param {Surface} surface @param {{label: string, value: any}[]|any} groups
 * @param {any} current @param {(choice: any) => any} toState
 */
function select(block, element, surface, groups, current, toState) {
  const { sending } = surface.status(block, element);
  /** @type {any[]} */
  const flatList = [];
  let chosen = "";
  const option = (/** @type {any} */ item) => {
    const at = String(flatList.push(item.value) - 1);
    if (current !== null && JSON.stringify(current) === JSON.stringify(item.value)) chosen = at;
    return h("option", { value: at }, item.label);
  };
  const body = groups.map((/** @type {any} */ group) =>
    group.options ? h("optgroup", { label: group.label }, group.options.map(option)) : option(group),
  );
  const id = surface.fieldId(block, element);
  return h(
    "span",
    { key: element.action_id, class: `select${sending ? " is-sending" : ""}` },
    h(
      "select",
      {
        ...named(element, id, block.type === "input" ? "" : flat(element.placeholder) || "Choose"),
        ...surface.describe(block),
        value: chosen,
        onchange: (/** @type {any} */ event) => {
          const at = event.currentTarget.value;
          surface.change(block, element, toState(at === "" ? null : flatList[Number(at)]), true);
        },
      },
      h("option", { value: "" }, flat(element.placeholder) || "Choose an option"),
      body,
    ),
    sending ? h("span", { class: "spinner" }) : icon("caret"),
  );
}

/** @param {any} option */
const optionChoice = (option) => ({ label: flat(option.text), value: option });

/** @param {Element} element */
const optionGroups = (element) =>
  element.option_groups
    ? element.option_groups.map((/** @type {any} */ group) => ({
        label: flat(group.label),
        options: (group.options || []).map(optionChoice),
      }))
    : (element.options || []).map(optionChoice);

/** @param {any} block @param {Element} element @param {Surface} surface @param {boolean} many @param {any[]} options */
function choices(block, element, surface, many, options) {
  const state = surface.value(block, element);
  const id = surface.fieldId(block, element);
  const picked = many ? state.selected_options || [] : state.selected_option ? [state.selected_option] : [];
  const isPicked = (/** @type {any} */ option) =>
    picked.some((/** @type {any} */ one) => one.value === option.value);
  return h(
    "div",
    {
      key: element.action_id,
      class: "choices",
      role: many ? "group" : "radiogroup",
      id,
      tabindex: "-1",
      "aria-labelledby": block.type === "input" ? `${id}-label` : null,
      ...surface.describe(block),
    },
    options.map((option, i) =>
      h(
        "label",
        { class: "choice" },
        h("input", {
          type: many ? "checkbox" : "radio",
          name: many ? null : id,
          checked: isPicked(option),
          "data-testid": `option-${element.action_id}-${option.value}`,
          id: `${id}-${i}`,
          onchange: (/** @type {any} */ event) => {
            const on = event.currentTarget.checked;
            const next = many
              ? { selected_options: options.filter((one) => (one === option ? on : isPicked(one))) }
              : { selected_option: option };
            surface.change(block, element, { type: element.type, ...next }, true);
          },
        }),
        h(
          "span",
          { class: "choice-text" },
          h("span", null, textObject(option.text, surface.scope, withEmoji)),
          option.description
            ? h("span", { class: "choice-note" }, textObject(option.description, surface.scope, withEmoji))
            : null,
        ),
      ),
    ),
  );
}

/** @param {any} block @param {Element} element @param {Surface} surface */
function textField(block, element, surface) {
  const state = surface.value(block, element);
  const id = surface.fieldId(block, element);
  const kind = element.type === "email_text_input" ? "email" : element.type === "url_text_input" ? "url" : "text";
  const set = (/** @type {string} */ value, /** @type {boolean} */ done) =>
    surface.change(block, element, { type: element.type, value: value === "" ? null : value }, done);
  const shared = {
    ...named(element, id, block.type === "input" ? "" : flat(element.placeholder)),
    ...surface.describe(block),
    class: "field",
    placeholder: flat(element.placeholder) || null,
    maxlength: element.max_length || null,
    "data-autofocus": element.focus_on_load ? "true" : null,
    autocomplete: "off",
    value: state.value ?? "",
    oninput: (/** @type {any} */ event) => set(event.currentTarget.value, false),
  };
  const limit =
    element.max_length && (state.value || "").length > element.max_length * 0.8
      ? h("span", { class: "count" }, `${element.max_length - (state.value || "").length} left`)
      : null;
  if (element.multiline)
    return h("span", { key: element.action_id, class: "field-box" }, h("textarea", { ...shared, rows: 4 }), limit);
  return h(
    "span",
    { key: element.action_id, class: "field-box" },
    h("input", {
      ...shared,
      type: kind,
      inputmode: element.type === "number_input" ? "decimal" : null,
      onkeydown: (/** @type {any} */ event) => {
        if (event.key !== "Enter" || event.isComposing) return;
        if (block.dispatch_action || block.type !== "input") set(event.currentTarget.value, true);
        else surface.enter();
        event.preventDefault();
      },
    }),
    limit,
  );
}

/** @param {any} block @param {Element} element @param {Surface} surface */
function picker(block, element, surface) {
  const state = surface.value(block, element);
  const id = surface.fieldId(block, element);
  const tz = surface.scope.me.tz;
  const kinds = /** @type {Record<string, [string, string]>} */ ({
    datepicker: ["date", "selected_date"],
    timepicker: ["time", "selected_time"],
    datetimepicker: ["datetime-local", "selected_date_time"],
  });
  const [type, field] = kinds[element.type];
  const stored = state[field];
  const shown = type === "datetime-local" && stored !== null ? toLocalField(stored, tz) : (stored ?? "");
  return h("input", {
    key: element.action_id,
    ...named(element, id, block.type === "input" ? "" : flat(element.placeholder) || "Choose a date"),
    ...surface.describe(block),
    class: "field field-short",
    type,
    value: shown,
    onchange: (/** @type {any} */ event) => {
      const text = event.currentTarget.value;
      const value = text === "" ? null : type === "datetime-local" ? fromLocalField(text, tz) : text;
      surface.change(block, element, { type: element.type, [field]: value }, true);
    },
  });
}

/** @param {any} block @param {Element} element @param {Surface} surface @param {{label: string, value: string}[]} list @param {string} field */
function idSelect(block, element, surface, list, field) {
  const state = surface.value(block, element);
  return select(block, element, surface, list, state[field], (value) => ({ type: element.type, [field]: value }));
}

/** @param {any} block @param {Element} element @param {Surface} surface */
function manyUsers(block, element, surface) {
  const options = surface.people.map((one) => ({
    text: { type: "plain_text", text: one.label },
    value: one.value,
  }));
  const state = surface.value(block, element);
  const chosen = { selected_options: options.filter((one) => (state.selected_users || []).includes(one.value)) };
  const proxy = {
    ...surface,
    value: () => chosen,
    change: (
      /** @type {any} */ _block,
      /** @type {any} */ _element,
      /** @type {any} */ next,
      /** @type {boolean} */ done,
    ) =>
      surface.change(
        block,
        element,
        { type: element.type, selected_users: next.selected_options.map((/** @type {any} */ one) => one.value) },
        done,
      ),
  };
  return choices(block, element, proxy, true, options);
}

/**
 * One interactive element.
 * @param {any} block the block that holds it
 * @param {Element} element
 * @param {Surface} surface
 */
export function drawElement(block, element, surface) {
  switch (element?.type) {
    case "button":
    case "workflow_button":
      return button(block, element, surface);
    case "overflow":
      return overflow(block, element, surface);
    case "static_select":
      return select(
        block,
        element,
        surface,
        optionGroups(element),
        surface.value(block, element).selected_option,
        (option) => ({ type: element.type, selected_option: option }),
      );
    case "multi_static_select":
      return choices(
        block,
        element,
        surface,
        true,
        element.options ||
          (element.option_groups || []).flatMap((/** @type {any} */ group) => group.options || []),
      );
    case "checkboxes":
      return choices(block, element, surface, true, element.options || []);
    case "radio_buttons":
      return choices(block, element, surface, false, element.options || []);
    case "plain_text_input":
    case "number_input":
    case "email_text_input":
    case "url_text_input":
      return textField(block, element, surface);
    case "datepicker":
    case "timepicker":
    case "datetimepicker":
      return picker(block, element, surface);
    case "users_select":
      return idSelect(block, element, surface, surface.people, "selected_user");
    case "multi_users_select":
      return manyUsers(block, element, surface);
    case "channels_select":
      return idSelect(block, element, surface, surface.places, "selected_channel");
    case "conversations_select":
      return idSelect(block, element, surface, surface.places, "selected_conversation");
    default:
      return h("span", { class: "unknown-inline" }, `[element "${String(element?.type)}" is not drawn here]`);
  }
}
