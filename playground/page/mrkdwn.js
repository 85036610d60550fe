// Slack's mrkdwn as Slack reads it: emphasis, code, quotes, mentions, dates, links, entities, emoji.
//
// Pure: text and a Scope in, drawn nodes out. Nothing is dropped: what is not understood stays as text.
// A link is only made for http, https and mailto.

import { emojiChar } from "./emoji.js";
import { formatSlackDate, fullText } from "./dates.js";
import { h } from "./vdom.js";

/**
 * What a text is read against.
 * @typedef {{
 *   me: {id: string, tz: string}, now: number, notified?: boolean,
 *   userName: (id: string) => string|null, channelName: (id: string) => string|null,
 *   groupName: (id: string) => string|null,
 *   onUser?: (id: string, event: Event) => void, onChannel?: (id: string) => void,
 * }} Scope
 */

/** Slack's three entities, read once; "&amp;lt;" stays "&lt;". @param {string} text */
export const unescapeText = (text) =>
  text.replace(/&(amp|lt|gt);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">" })[/** @type {"amp"} */ (name)]);

/** @param {string} url @returns {string|null} the address if the page may link to it */
export function safeUrl(url) {
  if (!/^(https?:\/\/|mailto:)/i.test(url)) return null;
  try {
    const parsed = new URL(url);
    return ["http:", "https:", "mailto:"].includes(parsed.protocol) ? url : null;
  } catch {
    return null;
  }
}

/** @param {string} url @param {any} label */
export function link(url, label) {
  const target = safeUrl(url);
  if (!target) return h("span", { class: "dead-link", title: `not a web address: ${url}` }, label);
  return h("a", { class: "link", href: target, target: "_blank", rel: "noopener noreferrer", title: url }, label);
}

/** @param {string} id @param {string|null} label @param {Scope} scope */
export function userMention(id, label, scope) {
  const name = scope.userName(id) || label || id;
  const mine = id === scope.me.id;
  return h(
    "button",
    {
      type: "button",
      class: mine ? "mention mention-me" : "mention",
      "data-user": id,
      onclick: scope.onUser ? (/** @type {Event} */ event) => scope.onUser?.(id, event) : null,
    },
    `@${name}`,
  );
}

/** @param {string} id @param {string|null} label @param {Scope} scope */
export function channelMention(id, label, scope) {
  const name = scope.channelName(id) || label;
  if (!name) return h("span", { class: "mention mention-private" }, "private channel");
  return h(
    "button",
    {
      type: "button",
      class: "mention",
      "data-channel": id,
      onclick: scope.onChannel ? () => scope.onChannel?.(id) : null,
    },
    `#${name}`,
  );
}

/** @param {string} text @param {Scope} scope */
export const groupMention = (text, scope) =>
  h(
    "span",
    { class: scope.notified ? "mention mention-me" : "mention" },
    text.startsWith("@") ? text : `@${text}`,
  );

/** @param {number} unix @param {string} format @param {string} fallback @param {string|null} url @param {Scope} scope */
export function dateToken(unix, format, fallback, url, scope) {
  const clock = { tz: scope.me.tz, now: scope.now };
  const text = formatSlackDate(unix, format, clock);
  if (text === null) return fallback;
  return h("time", { class: "date", title: fullText(unix * 1000, clock) }, url ? link(url, text) : text);
}

/** One `<…>` token. @param {string} inner @param {Scope} scope @returns {any} */
function angleToken(inner, scope) {
  const bar = inner.indexOf("|");
  const target = bar < 0 ? inner : inner.slice(0, bar);
  const label = bar < 0 ? null : unescapeText(inner.slice(bar + 1));
  if (/^@[UW][A-Z0-9]*$/.test(target)) return userMention(target.slice(1), label, scope);
  if (/^#[CDG][A-Z0-9]*$/.test(target)) return channelMention(target.slice(1), label, scope);
  if (target.startsWith("!")) return specialToken(target.slice(1), label, scope);
  const url = unescapeText(target);
  if (/^[a-z][a-z0-9+.-]*:/i.test(url)) return link(url, label || url.replace(/^mailto:/i, ""));
  return `<${unescapeText(inner)}>`;
}

/** @param {string} body @param {string|null} label @param {Scope} scope */
function specialToken(body, label, scope) {
  const [name, ...rest] = body.split("^");
  if (name === "here" || name === "channel" || name === "everyone") return groupMention(name, scope);
  if (name === "subteam")
    return groupMention(scope.groupName(rest[0] || "") || label || rest[0] || "group", scope);
  if (name === "date" && rest.length >= 2) {
    const url = rest[2] ? unescapeText(rest[2]) : null;
    return dateToken(Number(rest[0]), unescapeText(rest[1]), label || rest[0], url, scope);
  }
  return label || `<!${unescapeText(body)}>`;
}

const ATOM = new RegExp(
  [
    "`([^`\\n]+)`", // 1 code
    "<([^<>\\n]+)>", // 2 token
    ":([a-z0-9_+'-]+):", // 3 emoji
    '((?:https?:\\/\\/)[^\\s<>|"`]+)', // 4 bare address
  ].join("|"),
  "gi",
);

/** Cuts a line into characters and finished pieces. @param {string} text @param {Scope} scope @param {boolean} verbatim */
function atoms(text, scope, verbatim) {
  /** @type {({char: string} | {node: any, edge: boolean})[]} */
  const out = [];
  const chars = (/** @type {string} */ piece) => {
    for (const char of Array.from(unescapeText(piece))) out.push({ char });
  };
  let last = 0;
  for (const match of text.matchAll(ATOM)) {
    const at = match.index || 0;
    if (at < last) continue;
    const [whole, code, token, emoji, bare] = match;
    let node = null;
    let length = whole.length;
    if (code !== undefined) node = h("code", { class: "code" }, codeText(code, scope));
    else if (token !== undefined) node = angleToken(token, scope);
    else if (emoji !== undefined) node = emojiChar(emoji.toLowerCase());
    else if (bare !== undefined && !verbatim) {
      const address = bare.replace(/(&gt;|&lt;|&amp;|[.,;:!?)\]}'*_~])+$/, "");
      length = address.length;
      node = link(unescapeText(address), unescapeText(address));
    }
    if (node === null) continue;
    chars(text.slice(last, at));
    out.push({ node, edge: emoji === undefined });
    last = at + length;
  }
  chars(text.slice(last));
  return out;
}

/** Inside code nothing is emphasised, but tokens stay live, as in Slack. @param {string} text @param {Scope} scope */
function codeText(text, scope) {
  return text
    .split(/(<[^<>\n]+>)/)
    .map((piece) => (/^<.+>$/.test(piece) ? angleToken(piece.slice(1, -1), scope) : unescapeText(piece)));
}

/** @type {Record<string, string>} */
const EMPHASIS = { "*": "strong", _: "em", "~": "s" };
const WORD = /[\p{L}\p{N}]/u;

/** @param {any[]} list @param {number} from @param {number} to @returns {any[]} */
function emphasise(list, from, to) {
  /** @type {any[]} */
  const out = [];
  let text = "";
  const flush = () => {
    if (text) out.push(text);
    text = "";
  };
  const isWord = (/** @type {any} */ item) => Boolean(item && item.char && WORD.test(item.char));
  const isSpace = (/** @type {any} */ item) => !item || (item.char !== undefined && /\s/.test(item.char));
  for (let i = from; i < to; i += 1) {
    const item = list[i];
    if (item.char === undefined) {
      flush();
      out.push(item.node);
      continue;
    }
    const tag = EMPHASIS[item.char];
    const before = i > from ? list[i - 1] : null;
    if (
      tag &&
      !isWord(before) &&
      before?.char !== item.char &&
      i + 1 < to &&
      !isSpace(list[i + 1]) &&
      list[i + 1].char !== item.char
    ) {
      let end = -1;
      for (let j = i + 2; j < to; j += 1) {
        const after = j + 1 < to ? list[j + 1] : null;
        if (list[j].char === item.char && !isSpace(list[j - 1]) && !isWord(after) && after?.char !== item.char) {
          end = j;
          break;
        }
      }
      if (end > 0) {
        flush();
        out.push(h(tag, null, emphasise(list, i + 1, end)));
        i = end;
        continue;
      }
    }
    text += item.char;
  }
  flush();
  return out;
}

/** One line, without quotes and blocks. @param {string} text @param {Scope} scope @param {boolean} [verbatim] */
export function inline(text, scope, verbatim = false) {
  const list = atoms(text, scope, verbatim);
  return emphasise(list, 0, list.length);
}

/** @param {string[]} lines @param {Scope} scope @param {boolean} verbatim */
const joinLines = (lines, scope, verbatim) =>
  lines.map((line, i) => [i > 0 ? h("br") : null, inline(line, scope, verbatim)]);

/**
 * A whole mrkdwn text.
 * @param {string} text
 * @param {Scope} scope
 * @param {boolean} [verbatim] Slack's `verbatim`: bare addresses stay text
 * @returns {any[]}
 */
export function mrkdwn(text, scope, verbatim = false) {
  /** @type {any[]} */
  const out = [];
  text.split(/```/).forEach((piece, i, all) => {
    const closed = i < all.length - 1;
    if (i % 2 === 1 && closed && piece.trim() !== "") {
      out.push(h("pre", { class: "pre" }, codeText(piece.replace(/^\n/, "").replace(/\n$/, ""), scope)));
    } else if (i % 2 === 1) {
      out.push(...paragraphs("```" + piece + (closed ? "```" : ""), scope, verbatim));
    } else if (piece) {
      const trimmed = (i > 0 ? piece.replace(/^\n/, "") : piece).replace(closed ? /\n$/ : /$^/, "");
      if (trimmed) out.push(...paragraphs(trimmed, scope, verbatim));
    }
  });
  return out;
}

/** @param {string} text @param {Scope} scope @param {boolean} verbatim @returns {any[]} */
function paragraphs(text, scope, verbatim) {
  /** @type {any[]} */
  const out = [];
  /** @type {{quote: boolean, lines: string[]}[]} */
  const groups = [];
  let rest = false;
  for (const line of text.split("\n")) {
    const all = !rest && /^(?:>>>|&gt;&gt;&gt;) ?/.exec(line);
    const one = /^(?:>|&gt;) ?/.exec(line);
    if (all) rest = true;
    const quote = rest || Boolean(one);
    const body = all ? line.slice(all[0].length) : one && !rest ? line.slice(one[0].length) : line;
    const last = groups[groups.length - 1];
    if (last && last.quote === quote) last.lines.push(body);
    else groups.push({ quote, lines: [body] });
  }
  groups.forEach((group) => {
    const drawn = joinLines(group.lines, scope, verbatim);
    out.push(group.quote ? h("blockquote", { class: "quote" }, drawn) : h("span", { class: "para" }, drawn));
  });
  return out;
}

/** A text object: mrkdwn or plain_text. @param {any} object @param {Scope} scope @param {(text: string) => string} emoji */
export function textObject(object, scope, emoji) {
  if (!object) return [];
  if (typeof object === "string") return [object];
  if (object.type === "mrkdwn") return mrkdwn(String(object.text ?? ""), scope, object.verbatim === true);
  return plainText(object, emoji);
}

/** @param {any} object @param {(text: string) => string} emoji */
export function plainText(object, emoji) {
  const raw = String(object?.text ?? "");
  const text = object?.emoji === false ? raw : emoji(raw);
  return text.split("\n").map((line, i) => [i > 0 ? h("br") : null, line]);
}
