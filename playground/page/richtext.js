// Slack's rich_text blocks: sections, lists, quotes, preformatted text, and everything inside them.
//
// Pure. Elements and styles it does not know are shown as a notice, not dropped.

import { emojiChar } from "./emoji.js";
import { channelMention, dateToken, groupMention, link, userMention } from "./mrkdwn.js";
import { h } from "./vdom.js";

/** @typedef {import("./mrkdwn.js").Scope} Scope */

/** @param {string} text */
const lines = (text) => text.split("\n").map((line, i) => [i > 0 ? h("br") : null, line]);

/** @param {any} node @param {any} style */
function styled(node, style) {
  if (!style) return node;
  let out = node;
  if (style.code) out = h("code", { class: "code" }, out);
  if (style.highlight || style.client_highlight) out = h("mark", null, out);
  if (style.underline) out = h("u", null, out);
  if (style.strike) out = h("s", null, out);
  if (style.italic) out = h("em", null, out);
  if (style.bold) out = h("strong", null, out);
  return out;
}

/** @param {any} element */
function emojiText(element) {
  if (element.unicode) {
    try {
      return String.fromCodePoint(
        ...String(element.unicode)
          .split("-")
          .map((code) => parseInt(code, 16)),
      );
    } catch {
      return `:${element.name}:`;
    }
  }
  return emojiChar(String(element.name)) || `:${element.name}:`;
}

/** @param {any} element @param {Scope} scope @param {boolean} raw keep line breaks as they are (preformatted) */
function inlineElement(element, scope, raw) {
  const text = String(element.text ?? "");
  switch (element.type) {
    case "text":
      return styled(raw ? text : lines(text), element.style);
    case "link":
      return styled(link(String(element.url ?? ""), text || String(element.url ?? "")), element.style);
    case "user":
      return styled(userMention(String(element.user_id), null, scope), element.style);
    case "usergroup": {
      const id = String(element.usergroup_id);
      return styled(groupMention(scope.groupName(id) || id, scope), element.style);
    }
    case "channel":
      return styled(channelMention(String(element.channel_id), null, scope), element.style);
    case "broadcast":
      return styled(groupMention(String(element.range), scope), element.style);
    case "emoji":
      return emojiText(element);
    case "date": {
      const url = element.url ? String(element.url) : null;
      const fallback = String(element.fallback ?? element.timestamp);
      return styled(
        dateToken(Number(element.timestamp), String(element.format ?? ""), fallback, url, scope),
        element.style,
      );
    }
    case "color":
      return h("code", { class: "code" }, String(element.value ?? ""));
    default:
      return h("span", { class: "unknown-inline" }, `[${String(element.type)} is not drawn here]`);
  }
}

/** @param {any} part @param {Scope} scope @param {boolean} raw */
const elements = (part, scope, raw) =>
  (Array.isArray(part.elements) ? part.elements : []).map((/** @type {any} */ element) =>
    inlineElement(element, scope, raw),
  );

/** @param {any} part @param {Scope} scope */
function list(part, scope) {
  const indent = Math.min(Math.max(Number(part.indent) || 0, 0), 8);
  const start = (Number(part.offset) || 0) + 1;
  const items = (part.elements || []).map((/** @type {any} */ item) =>
    h("li", null, elements(item, scope, false)),
  );
  const kind = `rt-list indent-${indent}${part.border ? " rt-border" : ""}`;
  return part.style === "ordered"
    ? h("ol", { class: `${kind} ol-${indent % 3}`, start }, items)
    : h("ul", { class: `${kind} ul-${indent % 3}` }, items);
}

/** @param {any} block @param {Scope} scope */
export function richText(block, scope) {
  return (Array.isArray(block.elements) ? block.elements : []).map((/** @type {any} */ part) => {
    const border = part.border ? " rt-border" : "";
    switch (part.type) {
      case "rich_text_section":
        return h("div", { class: "rt-section" }, elements(part, scope, false));
      case "rich_text_list":
        return list(part, scope);
      case "rich_text_quote":
        return h("blockquote", { class: `quote${border}` }, elements(part, scope, false));
      case "rich_text_preformatted":
        return h("pre", { class: `pre${border}` }, elements(part, scope, true));
      default:
        return h("div", { class: "unknown-block" }, `A "${String(part.type)}" part cannot be drawn here.`);
    }
  });
}
