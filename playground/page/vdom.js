// Draws the page from plain values and patches the document in place.
//
// Everything on the page goes through `h` and `patch`: what did not change is not touched, so a card
// that is redrawn keeps its focus, its scroll position and the place of its buttons. Data only ever
// becomes a text node or an attribute; this module must never gain a way to insert markup.

/**
 * @typedef {{tag: string, props: Record<string, any>, children: Child[], key: string|null, el?: Node}} VNode
 * @typedef {{tag: "#text", text: string, key: null, el?: Node}} TextNode
 * @typedef {VNode|TextNode} Child
 */

const SVG_NS = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "circle", "rect", "line", "polyline", "g"]);
/** Attributes that can make a document run or load something; data never gets to set them. */
const FORBIDDEN = new Set(["srcdoc", "innerhtml", "outerhtml", "style", "src", "formaction"]);

/**
 * A node to be drawn. `key` tells siblings apart across redraws; `on…` props are handlers; `oncreate`,
 * `onupdate` and `onremove` get the element; null, false and undefined children are left out.
 * @param {string} tag
 * @param {Record<string, any>|null} [props]
 * @param {...any} children
 * @returns {VNode}
 */
export function h(tag, props, ...children) {
  const all = props || {};
  const key = all.key === undefined || all.key === null ? null : String(all.key);
  return { tag, props: all, children: flatten(children), key };
}

/** @param {any[]} list @param {Child[]} [into] @returns {Child[]} */
function flatten(list, into = []) {
  for (const child of list) {
    if (child === null || child === undefined || child === false || child === true) continue;
    if (Array.isArray(child)) flatten(child, into);
    else if (typeof child === "object") into.push(child);
    else into.push({ tag: "#text", text: String(child), key: null });
  }
  return into;
}

/**
 * Makes `container` show exactly `children`.
 * @param {Element} container
 * @param {any[]} children
 */
export function patch(container, children) {
  const next = flatten(children);
  patchChildren(container, /** @type {any} */ (container).$children || [], next);
  /** @type {any} */ (container).$children = next;
}

/** The text of a drawn value, for titles, labels and tests. @param {any} node @returns {string} */
export function textOf(node) {
  if (node === null || node === undefined || node === false || node === true) return "";
  if (Array.isArray(node)) return node.map(textOf).join("");
  if (typeof node !== "object") return String(node);
  return node.tag === "#text" ? node.text : textOf(node.children);
}

/** @param {Child} a @param {Child} b */
const same = (a, b) => a.tag === b.tag && a.key === b.key;

/** @param {Element} parent @param {Child[]} before @param {Child[]} after */
function patchChildren(parent, before, after) {
  const keyed = new Map();
  /** @type {Child[]} */
  const loose = [];
  for (const child of before) {
    if (child.key === null) loose.push(child);
    else keyed.set(child.key, child);
  }
  const reused = new Set();
  let at = 0;
  const matches = after.map((child) => {
    let old = null;
    if (child.key !== null) {
      old = keyed.get(child.key) || null;
    } else {
      // Children without a key keep their order, so the next one of the same kind is the one.
      for (let i = at; i < loose.length; i += 1) {
        if (loose[i].tag === child.tag) {
          old = loose[i];
          at = i + 1;
          break;
        }
      }
    }
    if (!old || !same(old, child) || reused.has(old)) return null;
    reused.add(old);
    return old;
  });
  for (const child of before) if (!reused.has(child)) remove(child);
  // Nodes that stay in order are never moved: moving an element would drop its focus.
  let cursor = parent.firstChild;
  after.forEach((child, i) => {
    const old = matches[i];
    if (!old) {
      parent.insertBefore(create(child), cursor);
      return;
    }
    const el = /** @type {Node} */ (old.el);
    if (el === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(el, cursor);
    if (old !== child) update(el, old, child);
  });
}

/** @param {Child} node @returns {Node} */
function create(node) {
  if (node.tag === "#text") {
    node.el = document.createTextNode(/** @type {TextNode} */ (node).text);
    return node.el;
  }
  const vnode = /** @type {VNode} */ (node);
  const el = SVG_TAGS.has(vnode.tag)
    ? document.createElementNS(SVG_NS, vnode.tag)
    : document.createElement(vnode.tag);
  vnode.el = el;
  for (const name of Object.keys(vnode.props)) if (!isState(name)) setProp(el, name, vnode.props[name]);
  for (const child of vnode.children) el.appendChild(create(child));
  setState(el, vnode.props);
  if (vnode.props.oncreate) vnode.props.oncreate(el);
  return el;
}

/** @param {Node} el @param {Child} old @param {Child} next */
function update(el, old, next) {
  next.el = el;
  if (next.tag === "#text") {
    const text = /** @type {TextNode} */ (next).text;
    if (/** @type {TextNode} */ (old).text !== text) el.nodeValue = text;
    return;
  }
  const element = /** @type {Element} */ (el);
  const { props: was, children: before } = /** @type {VNode} */ (old);
  const { props: now, children: after } = /** @type {VNode} */ (next);
  for (const name of Object.keys(was)) {
    if (!(name in now) && !isState(name)) setProp(element, name, null);
  }
  for (const name of Object.keys(now)) {
    if (was[name] !== now[name] && !isState(name)) setProp(element, name, now[name]);
  }
  patchChildren(element, before, after);
  setState(element, now);
  if (now.onupdate) now.onupdate(element);
}

/** @param {Child} node */
function remove(node) {
  const el = /** @type {ChildNode|undefined} */ (node.el);
  if (el) {
    teardown(node);
    el.remove();
  }
}

/** @param {Child} node */
function teardown(node) {
  if (node.tag === "#text") return;
  const vnode = /** @type {VNode} */ (node);
  if (vnode.props.onremove) vnode.props.onremove(vnode.el);
  vnode.children.forEach(teardown);
}

/** Live state of a form field: it is set after the children, and only where it differs. @param {string} name */
const isState = (name) => name === "value" || name === "checked" || name === "indeterminate";

/** @param {any} el @param {Record<string, any>} props */
function setState(el, props) {
  if ("value" in props) {
    const value = props.value === null || props.value === undefined ? "" : String(props.value);
    if (el.tagName === "OPTION" || el.tagName === "LI") el.setAttribute("value", value);
    else if (el.value !== value) el.value = value;
  }
  if ("checked" in props && el.checked !== Boolean(props.checked)) el.checked = Boolean(props.checked);
}

const HOOKS = new Set(["key", "oncreate", "onupdate", "onremove"]);

/** @param {any} el @param {string} name @param {any} value */
function setProp(el, name, value) {
  if (HOOKS.has(name)) return;
  if (name.startsWith("on")) {
    setHandler(el, name.slice(2), value);
    return;
  }
  if (FORBIDDEN.has(name.toLowerCase())) throw new Error(`the page never sets ${name}`);
  if (name === "class") {
    el.setAttribute("class", value || "");
    return;
  }
  if (name === "inert" || name === "disabled" || name === "hidden" || name === "readonly") {
    el.toggleAttribute(name, Boolean(value));
    return;
  }
  if (value === null || value === undefined || value === false) el.removeAttribute(name);
  else el.setAttribute(name, value === true ? "" : String(value));
}

/** One listener per kind of event and element; a redraw only swaps what it calls. */
function setHandler(/** @type {any} */ el, /** @type {string} */ type, /** @type {any} */ handler) {
  el.$on = el.$on || {};
  const known = type in el.$on;
  el.$on[type] = handler;
  if (!known) {
    el.addEventListener(type, (/** @type {Event} */ event) => {
      const current = el.$on[type];
      if (current) current(event);
    });
  }
}
