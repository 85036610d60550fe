// The `markdown` block: the common part of Markdown, drawn without ever becoming markup.
//
// Pure. Slack reads its own `<…>` tokens in this block too, so they are live here as they are there.

import { inline, link } from "./mrkdwn.js";
import { h } from "./vdom.js";

/** @typedef {import("./mrkdwn.js").Scope} Scope */

const SPAN =
  /`([^`]+)`|!?\[([^\]]*)\]\(([^()\s]+)\)|(\*\*|__)(?=\S)(.+?)\4|~~(?=\S)(.+?)~~|(?<![\w*])\*(?=[^\s*])(.+?)\*(?![\w*])|(?<!\w)_(?=\S)(.+?)_(?!\w)/g;

/** @param {string} text @param {Scope} scope @returns {any[]} */
function spans(text, scope) {
  /** @type {any[]} */
  const out = [];
  let last = 0;
  for (const match of text.matchAll(SPAN)) {
    const at = match.index || 0;
    if (at > last) out.push(tokens(text.slice(last, at), scope));
    const [whole, code, label, url, , bold, strike, star, under] = match;
    if (code !== undefined) out.push(h("code", { class: "code" }, code));
    else if (url !== undefined) out.push(link(url, label || url));
    else if (bold !== undefined) out.push(h("strong", null, spans(bold, scope)));
    else if (strike !== undefined) out.push(h("s", null, spans(strike, scope)));
    else out.push(h("em", null, spans(star ?? under, scope)));
    last = at + whole.length;
  }
  if (last < text.length) out.push(tokens(text.slice(last), scope));
  return out;
}

/** Mentions, dates, links and emoji, but none of mrkdwn's own emphasis. @param {string} text @param {Scope} scope */
function tokens(text, scope) {
  return text
    .split(/(<[^<>\n]+>|:[a-z0-9_+'-]+:|https?:\/\/[^\s<>]+)/i)
    .map((piece, i) => (i % 2 === 1 ? inline(piece, scope) : piece));
}

/** @param {string} line */
const listItem = (line) => /^(\s*)([-*+]|\d+[.)])\s+(.*)$/.exec(line);

/**
 * @param {string} text
 * @param {Scope} scope
 * @returns {any[]}
 */
export function markdown(text, scope) {
  /** @type {any[]} */
  const out = [];
  const rows = text.split("\n");
  /** @type {string[]} */
  let para = [];
  const flush = () => {
    if (para.length) {
      out.push(
        h(
          "div",
          { class: "md-p" },
          para.map((line, i) => [i > 0 ? h("br") : null, spans(line, scope)]),
        ),
      );
    }
    para = [];
  };
  for (let i = 0; i < rows.length; i += 1) {
    const line = rows[i];
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    const item = listItem(line);
    if (/^\s*```/.test(line)) {
      flush();
      const body = [];
      for (i += 1; i < rows.length && !/^\s*```\s*$/.test(rows[i]); i += 1) body.push(rows[i]);
      out.push(h("pre", { class: "pre" }, body.join("\n")));
    } else if (heading) {
      flush();
      out.push(h("div", { class: `md-h md-h${heading[1].length}` }, spans(heading[2], scope)));
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      flush();
      out.push(h("hr", { class: "divider" }));
    } else if (item) {
      flush();
      const ordered = /\d/.test(item[2]);
      const items = [];
      for (; i < rows.length; i += 1) {
        const next = listItem(rows[i]);
        if (!next || /\d/.test(next[2]) !== ordered) break;
        items.push(
          h("li", { class: `indent-${Math.min(Math.floor(next[1].length / 2), 8)}` }, spans(next[3], scope)),
        );
      }
      i -= 1;
      out.push(
        h(ordered ? "ol" : "ul", { class: "rt-list", start: ordered ? parseInt(item[2], 10) : null }, items),
      );
    } else if (/^\s*>/.test(line)) {
      flush();
      const body = [];
      for (; i < rows.length && /^\s*>/.test(rows[i]); i += 1) body.push(rows[i].replace(/^\s*> ?/, ""));
      i -= 1;
      out.push(h("blockquote", { class: "quote" }, markdown(body.join("\n"), scope)));
    } else if (line.trim() === "") {
      flush();
    } else {
      para.push(line);
    }
  }
  flush();
  return out;
}
