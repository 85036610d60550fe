// Says in words, and with its place, where a JSON text is wrong while it is typed.
//
// A reader of its own, because browsers word their errors differently and often name no place. It never
// changes the text; the server has the last word on what it accepts.

/** Nested deeper than this, a text is left to the server to judge. */
const DEEPEST = 300;

class Fault extends Error {
  /** @param {string} what @param {number} at */
  constructor(what, at) {
    super(what);
    this.at = at;
  }
}

class TooDeep extends Error {}

/**
 * @param {string} text the arguments of a call: one JSON object
 * @returns {string|null} null when it reads
 */
export function jsonFault(text) {
  if (!text.trim()) return "Arguments are a JSON object; write {} for none.";
  try {
    const start = skip(text, 0);
    const end = skip(text, value(text, start, 0));
    if (end < text.length) throw new Fault("there is more after the end", end);
    return text[start] === "{" ? null : "Arguments must be an object: { … }.";
  } catch (error) {
    if (error instanceof TooDeep) return null;
    if (!(error instanceof Fault)) throw error;
    if (error.at >= text.trimEnd().length) return "Not finished yet: the text ends too early.";
    const before = text.slice(0, error.at).split("\n");
    return `Line ${before.length}, column ${before[before.length - 1].length + 1}: ${error.message}.`;
  }
}

/** @param {string} text @param {number} at */
function skip(text, at) {
  while (at < text.length && " \t\r\n".includes(text[at])) at += 1;
  return at;
}

/** @param {string} text @param {number} at @param {number} depth @returns {number} where it ends */
function value(text, at, depth) {
  if (depth > DEEPEST) throw new TooDeep();
  const char = text[at];
  if (char === "{") return members(text, at + 1, depth);
  if (char === "[") return items(text, at + 1, depth);
  if (char === '"') return string(text, at);
  const plain = /^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)(?![\w.+-])/.exec(
    text.slice(at, at + 1000),
  );
  if (plain) return at + plain[0].length;
  const word = /^[\w.+-]+/.exec(text.slice(at, at + 40));
  throw new Fault(word ? `“${word[0]}” is no value; texts need "quotes"` : "a value is missing", at);
}

/** @param {string} text @param {number} at @param {number} depth */
function members(text, at, depth) {
  const seen = new Set();
  at = skip(text, at);
  if (text[at] === "}") return at + 1;
  for (;;) {
    if (text[at] !== '"') throw new Fault('a name in "quotes" is missing', at);
    const end = string(text, at);
    const name = text.slice(at, end);
    if (seen.has(name)) throw new Fault(`the name ${name} is there twice`, at);
    seen.add(name);
    at = skip(text, end);
    if (text[at] !== ":") throw new Fault("a colon is missing after the name", at);
    at = skip(text, value(text, skip(text, at + 1), depth + 1));
    if (text[at] === "}") return at + 1;
    if (text[at] !== ",") throw new Fault("a comma or } is missing", at);
    at = skip(text, at + 1);
  }
}

/** @param {string} text @param {number} at @param {number} depth */
function items(text, at, depth) {
  at = skip(text, at);
  if (text[at] === "]") return at + 1;
  for (;;) {
    at = skip(text, value(text, at, depth + 1));
    if (text[at] === "]") return at + 1;
    if (text[at] !== ",") throw new Fault("a comma or ] is missing", at);
    at = skip(text, at + 1);
  }
}

/** @param {string} text @param {number} from */
function string(text, from) {
  for (let at = from + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') return at + 1;
    if (char < " ")
      throw new Fault(
        char === "\n" ? "the text in quotes does not end on its line" : "a control character must be escaped",
        at,
      );
    if (char === "\\") {
      const escape = /^\\(["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(text.slice(at, at + 6));
      if (!escape) throw new Fault("this escape does not exist", at);
      at += escape[0].length - 1;
    }
  }
  throw new Fault("the text in quotes does not end", text.length);
}
