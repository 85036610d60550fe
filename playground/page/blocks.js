// Block Kit's layout blocks, drawn as a reader of messages, modals and the Home tab sees them.
//
// Draws only. A block it does not know becomes a visible notice: nothing is dropped silently. Images are
// never fetched, a placeholder names them.

import { drawElement, plain } from "./elements.js";
import { withEmoji } from "./emoji.js";
import { icon } from "./icons.js";
import { markdown } from "./markdown.js";
import { textObject } from "./mrkdwn.js";
import { richText } from "./richtext.js";
import { h } from "./vdom.js";

/** @typedef {import("./surface.js").Surface} Surface */
/** @typedef {Record<string, any>} Block */

/** @param {any} object @param {Surface} surface */
const text = (object, surface) => textObject(object, surface.scope, withEmoji);

/** @param {any} image @param {boolean} small */
function image(image, small) {
  const alt = String(image.alt_text ?? "");
  if (small) {
    return h("span", { class: "img-small", role: "img", "aria-label": alt || "image", title: alt }, icon("image"));
  }
  return h(
    "span",
    { class: "img", role: "img", "aria-label": alt || "image" },
    icon("image"),
    h("span", null, alt || "image"),
    h("span", { class: "img-note" }, "images are not loaded here"),
  );
}

/** @param {Block} block @param {Surface} surface */
function section(block, surface) {
  const accessory = block.accessory;
  const drawn = !accessory
    ? null
    : accessory.type === "image"
      ? image(accessory, false)
      : drawElement(block, accessory, surface);
  const wide = accessory && ["checkboxes", "radio_buttons", "multi_static_select"].includes(accessory.type);
  return h(
    "div",
    { class: `b-section${wide ? " b-section-wide" : ""}` },
    h(
      "div",
      { class: "b-section-body" },
      block.text ? h("div", { class: "b-text", dir: "auto" }, text(block.text, surface)) : null,
      block.fields
        ? h(
            "div",
            { class: "b-fields" },
            block.fields.map((/** @type {any} */ field) =>
              h("div", { class: "b-field", dir: "auto" }, text(field, surface)),
            ),
          )
        : null,
    ),
    drawn ? h("div", { class: "b-accessory" }, drawn) : null,
  );
}

/** @param {Block} block @param {Surface} surface */
function context(block, surface) {
  return h(
    "div",
    { class: "b-context" },
    (block.elements || []).map((/** @type {any} */ element) =>
      element.type === "image"
        ? image(element, true)
        : h("span", { class: "b-context-text", dir: "auto" }, text(element, surface)),
    ),
  );
}

/** @param {Block} block @param {Surface} surface */
function input(block, surface) {
  const element = block.element || {};
  const id = surface.fieldId(block, element);
  const error = surface.error(block);
  const grouped = ["checkboxes", "radio_buttons", "multi_static_select", "multi_users_select"].includes(
    element.type,
  );
  return h(
    "div",
    { class: `b-input${error ? " has-error" : ""}`, "data-block": block.block_id || null },
    h(
      "label",
      { class: "b-label", id: `${id}-label`, for: grouped ? null : id },
      plain(block.label),
      block.optional ? h("span", { class: "b-optional" }, " (optional)") : null,
    ),
    drawElement(block, element, surface),
    error ? h("div", { class: "b-error", role: "alert", id: `${id}-error` }, icon("warn"), error) : null,
    block.hint ? h("div", { class: "b-hint", id: `${id}-hint` }, plain(block.hint)) : null,
  );
}

/** @param {Block} block @param {Surface} surface */
function table(block, surface) {
  const settings = block.column_settings || [];
  const cell = (/** @type {any} */ one) => {
    if (!one) return null;
    if (one.type === "rich_text") return richText(one, surface.scope);
    if (one.type === "raw_number") return String(one.text ?? one.value ?? "");
    return String(one.text ?? "");
  };
  const row = (/** @type {any[]} */ cells, /** @type {string} */ tag) =>
    h(
      "tr",
      null,
      (cells || []).map((one, i) => {
        const setting = settings[i] || {};
        const side = setting.align || (one?.type === "raw_number" ? "right" : "left");
        return h(
          tag,
          { class: `al-${side}${setting.is_wrapped ? " wrapped" : ""}`, scope: tag === "th" ? "col" : null },
          cell(one),
        );
      }),
    );
  const rows = block.rows || [];
  return h(
    "div",
    { class: "b-table", tabindex: "0", role: "region", "aria-label": "Table" },
    h(
      "table",
      null,
      h("thead", null, rows.length ? row(rows[0], "th") : null),
      h(
        "tbody",
        null,
        rows.slice(1).map((/** @type {any[]} */ cells) => row(cells, "td")),
      ),
    ),
  );
}

/** @param {Block} block @param {Surface} surface */
function alertBlock(block, surface) {
  const level = ["info", "warning", "error", "success"].includes(block.level) ? block.level : "default";
  const sign = { warning: "warn", error: "warn", success: "check" }[String(level)] || "info";
  return h(
    "div",
    { class: `b-alert b-alert-${level}`, role: "note" },
    icon(sign),
    h("div", { class: "b-text", dir: "auto" }, text(block.text, surface)),
  );
}

/** @param {string} type @param {any} value */
export function unknownBlock(type, value) {
  return h(
    "details",
    { class: "unknown-block" },
    h("summary", null, `A “${type}” block cannot be drawn here.`),
    h("pre", { class: "pre" }, JSON.stringify(value, null, 2)),
  );
}

/** @param {Block} block @param {Surface} surface */
function drawBlock(block, surface) {
  switch (block?.type) {
    case "header":
      return h("div", { class: "b-header", role: "heading", "aria-level": "3", dir: "auto" }, plain(block.text));
    case "section":
      return section(block, surface);
    case "divider":
      return h("hr", { class: "divider" });
    case "context":
      return context(block, surface);
    case "actions":
      return h(
        "div",
        { class: "b-actions" },
        (block.elements || []).map((/** @type {any} */ element) => drawElement(block, element, surface)),
      );
    case "input":
      return input(block, surface);
    case "image":
      return h(
        "div",
        { class: "b-image" },
        block.title ? h("div", { class: "b-hint" }, plain(block.title)) : null,
        image(block, false),
      );
    case "rich_text":
      return h("div", { class: "b-rich", dir: "auto" }, richText(block, surface.scope));
    case "table":
      return table(block, surface);
    case "markdown":
      return h("div", { class: "b-markdown", dir: "auto" }, markdown(String(block.text ?? ""), surface.scope));
    case "alert":
      // Slack has this block in modals only.
      return surface.kind === "modal" ? alertBlock(block, surface) : unknownBlock("alert", block);
    default:
      return unknownBlock(String(block?.type), block);
  }
}

/**
 * What tells a block from its neighbours across a redraw: the actions it holds, else its place. Block ids
 * that nobody chose change with every update, so they do not count.
 * @param {Block} block @param {number} at
 */
function blockKey(block, at) {
  const list = block?.type === "actions" ? block.elements : [block?.accessory || block?.element];
  const ids = (list || []).map((/** @type {any} */ one) => one?.action_id).filter(Boolean);
  return ids.length ? `${block.type}:${ids.join(",")}` : `${at}:${block?.type}`;
}

/** Why an act on this block failed. @param {string|null} why */
const failed = (why) =>
  why
    ? h(
        "div",
        { class: "act-error", role: "alert", "data-testid": "act-error" },
        icon("warn"),
        h("span", null, why),
      )
    : null;

/**
 * A list of blocks.
 * @param {Block[]} blocks
 * @param {Surface} surface
 */
export function drawBlocks(blocks, surface) {
  const seen = new Map();
  return h(
    "div",
    { class: `blocks blocks-${surface.kind}` },
    (blocks || []).map((block, at) => {
      const key = blockKey(block, at);
      const nth = seen.get(key) || 0;
      seen.set(key, nth + 1);
      return h(
        "div",
        { key: `${key}#${nth}`, class: "block", "data-block-type": String(block?.type) },
        drawBlock(block, surface),
        failed(surface.failure(block)),
      );
    }),
  );
}
