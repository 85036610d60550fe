// What a view's fields hold: Slack's `state.values`, first values, and the checks Slack makes before sending.
//
// Pure: elements and values in, values and messages out.

/** @typedef {Record<string, any>} Element */
/** @typedef {Record<string, Record<string, any>>} Values block id → action id → state */

const TEXT = new Set(["plain_text_input", "number_input", "email_text_input", "url_text_input"]);

/** Types that hold a value (a button or an overflow menu does not). */
const STATEFUL = new Set([
  ...TEXT,
  "static_select",
  "multi_static_select",
  "radio_buttons",
  "checkboxes",
  "datepicker",
  "timepicker",
  "datetimepicker",
  "users_select",
  "multi_users_select",
  "channels_select",
  "conversations_select",
]);

/** @param {Element} element */
export const isStateful = (element) => STATEFUL.has(element?.type);

/** The state of an element that nobody has touched. @param {Element} element @returns {any} */
export function initialState(element) {
  const type = element.type;
  if (TEXT.has(type)) return { type, value: element.initial_value ?? null };
  switch (type) {
    case "static_select":
    case "radio_buttons":
      return { type, selected_option: element.initial_option ?? null };
    case "multi_static_select":
    case "checkboxes":
      return { type, selected_options: element.initial_options ?? [] };
    case "datepicker":
      return { type, selected_date: element.initial_date ?? null };
    case "timepicker":
      return { type, selected_time: element.initial_time ?? null };
    case "datetimepicker":
      return { type, selected_date_time: element.initial_date_time ?? null };
    case "users_select":
      return { type, selected_user: element.initial_user ?? null };
    case "multi_users_select":
      return { type, selected_users: element.initial_users ?? [] };
    case "channels_select":
      return { type, selected_channel: element.initial_channel ?? null };
    case "conversations_select":
      return { type, selected_conversation: element.initial_conversation ?? null };
    default:
      return { type };
  }
}

/** Whether a state holds nothing. @param {any} state */
export function isEmpty(state) {
  return Object.keys(state).every((name) => {
    if (name === "type") return true;
    const value = state[name];
    return value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);
  });
}

/** Every element of a view or message that can act or hold a value. @param {any[]} blocks */
export function elementsOf(blocks) {
  /** @type {{block: any, element: Element}[]} */
  const found = [];
  for (const block of blocks || []) {
    const list =
      block.type === "input"
        ? [block.element]
        : block.type === "section"
          ? [block.accessory]
          : block.type === "actions"
            ? block.elements
            : [];
    for (const element of list || []) if (element && element.action_id) found.push({ block, element });
  }
  return found;
}

/**
 * A view's `state.values`.
 * @param {any} view
 * @param {(block: any, element: Element) => any} stateOf
 * @returns {Values}
 */
export function viewValues(view, stateOf) {
  /** @type {Values} */
  const values = {};
  for (const { block, element } of elementsOf(view.blocks)) {
    if (!isStateful(element)) continue;
    const id = String(block.block_id ?? "");
    values[id] = values[id] || {};
    values[id][element.action_id] = stateOf(block, element);
  }
  return values;
}

/**
 * The faults Slack itself finds before a view is sent.
 * @param {any} view
 * @param {(block: any, element: Element) => any} stateOf
 * @returns {Record<string, string>} block id → message
 */
export function viewFaults(view, stateOf) {
  /** @type {Record<string, string>} */
  const faults = {};
  for (const block of view.blocks || []) {
    if (block.type !== "input" || !block.element) continue;
    const fault = elementFault(block, block.element, stateOf(block, block.element));
    if (fault) faults[String(block.block_id ?? "")] = fault;
  }
  return faults;
}

/** @param {any} block @param {Element} element @param {any} state @returns {string|null} */
function elementFault(block, element, state) {
  if (isEmpty(state)) return block.optional ? null : "Please complete this required field.";
  const text = typeof state.value === "string" ? state.value : null;
  if (text === null) return null;
  if (element.min_length && text.length < element.min_length) {
    return `Please write at least ${element.min_length} characters.`;
  }
  if (element.max_length && text.length > element.max_length) {
    return `Please write at most ${element.max_length} characters (${text.length} now).`;
  }
  if (element.type === "number_input") return numberFault(element, text);
  if (element.type === "email_text_input" && !/^\S+@\S+\.\S+$/.test(text))
    return "Please enter a valid email address.";
  if (element.type === "url_text_input" && !/^https?:\/\/\S+$/i.test(text)) return "Please enter a valid URL.";
  return null;
}

/** @param {Element} element @param {string} text @returns {string|null} */
function numberFault(element, text) {
  const pattern = element.is_decimal_allowed ? /^-?\d+(\.\d+)?$/ : /^-?\d+$/;
  if (!pattern.test(text.trim())) {
    return element.is_decimal_allowed ? "Please enter a number." : "Please enter a whole number.";
  }
  const value = Number(text);
  if (element.min_value !== undefined && value < Number(element.min_value)) {
    return `Please enter ${element.min_value} or more.`;
  }
  if (element.max_value !== undefined && value > Number(element.max_value)) {
    return `Please enter ${element.max_value} or less.`;
  }
  return null;
}

/** What a changed element sends with its action, without the type. @param {any} state */
export function actionPayload(state) {
  const { type: _type, ...rest } = state;
  return rest;
}
