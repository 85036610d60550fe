// Says in words where a JSON text is wrong, while it is typed. The server has the last word on what it accepts.

/**
 * @param {string} text the arguments of a call: one JSON object
 * @returns {string|null} null when it reads
 */
export function jsonFault(text) {
  if (!text.trim()) return "Arguments are a JSON object; write {} for none.";
  try {
    const value = JSON.parse(text);
    if (value === null || typeof value !== "object" || Array.isArray(value)) return "Arguments must be an object: { … }.";
    return null;
  } catch (error) {
    return explain(String(/** @type {Error} */ (error).message), text);
  }
}

/** Browsers word it differently; all of them name a place, or the end. @param {string} message @param {string} text */
function explain(message, text) {
  const line = /line (\d+) column (\d+)/.exec(message);
  const position = /position (\d+)/.exec(message);
  const what = message.replace(/^JSON\.parse: /, "").replace(/^JSON Parse error: /, "")
    .replace(/,? ?(in JSON )?at (position|line) \d+.*$/s, "").replace(/, (\.\.\.)?".*" is not valid JSON$/s, "").trim();
  if (/end of|unterminated|end of data/i.test(message) && !position) return "Not finished yet: the text ends too early.";
  if (line) return `Line ${line[1]}, column ${line[2]}: ${what}`;
  if (position) {
    const before = text.slice(0, Number(position[1])).split("\n");
    return `Line ${before.length}, column ${before[before.length - 1].length + 1}: ${what}`;
  }
  return what || "This is not JSON.";
}
