// Times as the reader sees them: Slack's date tokens, message times and day dividers, in the viewer's zone.
//
// Pure: the zone and the moment "now" are always passed in. Nothing here reads the machine's clock.

/** @typedef {{tz: string, now: number}} Clock `now` in milliseconds since 1970 (the playground's clock) */

const formatters = new Map();

/** @param {string} tz @param {Record<string, any>} options */
function formatter(tz, options) {
  const key = tz + JSON.stringify(options);
  let found = formatters.get(key);
  if (!found) {
    try {
      found = new Intl.DateTimeFormat("en-US", { ...options, timeZone: tz });
    } catch {
      found = new Intl.DateTimeFormat("en-US", { ...options, timeZone: "UTC" });
    }
    formatters.set(key, found);
  }
  return found;
}

/** @param {number} ms @param {string} tz @returns {Record<string, string>} */
function parts(ms, tz) {
  /** @type {Record<string, string>} */
  const out = {};
  const all = formatter(tz, {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  }).formatToParts(ms);
  for (const part of all) out[part.type] = part.value;
  return out;
}

/** The calendar day in the viewer's zone, as a count of days. @param {number} ms @param {string} tz */
function dayNumber(ms, tz) {
  const p = parts(ms, tz);
  return Math.round(Date.UTC(Number(p.year), Number(p.month) - 1, Number(p.day)) / 86400000);
}

/** @param {number} day */
function ordinal(day) {
  const tail = day % 100;
  if (tail >= 11 && tail <= 13) return `${day}th`;
  return `${day}${["th", "st", "nd", "rd"][day % 10] || "th"}`;
}

/** @param {number} ms @param {Clock} clock @returns {string|null} */
function nearDay(ms, clock) {
  const distance = dayNumber(ms, clock.tz) - dayNumber(clock.now, clock.tz);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[String(distance)] || null;
}

/** @param {number} ms @param {Clock} clock @param {"long"|"short"} month @param {boolean} weekday */
function dayText(ms, clock, month, weekday) {
  const p = parts(ms, clock.tz);
  const name = formatter(clock.tz, { month }).format(ms);
  const thisYear = p.year === parts(clock.now, clock.tz).year;
  const lead = weekday ? `${formatter(clock.tz, { weekday: "long" }).format(ms)}, ` : "";
  const day = month === "long" ? ordinal(Number(p.day)) : String(Number(p.day));
  const year = weekday || !thisYear || month === "short" ? `, ${p.year}` : "";
  return `${lead}${name} ${day}${year}`;
}

/** @param {number} ms @param {string} tz */
export const timeText = (ms, tz) => formatter(tz, { hour: "numeric", minute: "2-digit" }).format(ms);

/** @param {number} ms @param {string} tz */
export const timeSecs = (ms, tz) => formatter(tz, { hour: "numeric", minute: "2-digit", second: "2-digit" }).format(ms);

/** How long ago, or how far ahead. @param {number} ms @param {number} now */
export function agoText(ms, now) {
  const seconds = Math.round(Math.abs(now - ms) / 1000);
  const steps = [
    [60, "second", 1],
    [3600, "minute", 60],
    [86400, "hour", 3600],
    [Infinity, "day", 86400],
  ];
  for (const [limit, unit, size] of /** @type {[number, string, number][]} */ (steps)) {
    if (seconds < limit) {
      const count = Math.floor(seconds / size);
      if (unit === "second" && count < 5) return "just now";
      const text = `${count} ${unit}${count === 1 ? "" : "s"}`;
      return ms > now ? `in ${text}` : `${text} ago`;
    }
  }
  return "";
}

/**
 * Fills a Slack date format such as `{date_short_pretty} at {time}`.
 * @param {number} unix seconds since 1970
 * @param {string} format
 * @param {Clock} clock
 * @returns {string|null} null when the moment is not a date at all
 */
export function formatSlackDate(unix, format, clock) {
  const ms = unix * 1000;
  if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return null;
  const p = parts(ms, clock.tz);
  const near = nearDay(ms, clock);
  /** @type {Record<string, () => string>} */
  const tokens = {
    date_num: () => `${p.year}-${p.month}-${p.day}`,
    date_slash: () => `${p.month}/${p.day}/${p.year}`,
    date: () => dayText(ms, clock, "long", false),
    date_long: () => dayText(ms, clock, "long", true),
    date_long_full: () => dayText(ms, clock, "long", true),
    date_short: () => dayText(ms, clock, "short", false),
    date_pretty: () => near || tokens.date(),
    date_long_pretty: () => near || tokens.date_long(),
    date_short_pretty: () => near || tokens.date_short(),
    day_divider_pretty: () => near || tokens.date_long(),
    time: () => timeText(ms, clock.tz),
    time_secs: () => timeSecs(ms, clock.tz),
    ago: () => agoText(ms, clock.now),
  };
  const text = format.replace(/\{([a-z_]+)\}/g, (whole, name) => (tokens[name] ? tokens[name]() : whole));
  return format.startsWith("{") ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/** The label between two days of messages. @param {number} ms @param {Clock} clock */
export function dayLabel(ms, clock) {
  const near = nearDay(ms, clock);
  return near ? near.charAt(0).toUpperCase() + near.slice(1) : dayText(ms, clock, "long", true);
}

/** @param {number} ms @param {string} tz */
export const dayKey = (ms, tz) => dayNumber(ms, tz);

/** The whole date and time, for tooltips. @param {number} ms @param {Clock} clock */
export const fullText = (ms, clock) =>
  `${dayText(ms, clock, "long", true)} at ${timeSecs(ms, clock.tz)} (${clock.tz})`;

/** Milliseconds of a Slack timestamp such as "1716200000.000100". @param {string} ts */
export const tsMillis = (ts) => Math.round(parseFloat(ts) * 1000);

/** "0 s", "2.4 s", "1 m 05 s": the length of a wait. @param {number} ms */
export function spanText(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 0.05) return "0 s";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} m`;
}

/** "2024-05-20T10:30" in the viewer's zone, as a datetime field holds it. @param {number} unix @param {string} tz */
export function toLocalField(unix, tz) {
  const p = parts(unix * 1000, tz);
  return `${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}`;
}

/** The reverse of toLocalField. @param {string} text @param {string} tz @returns {number|null} unix seconds */
export function fromLocalField(text, tz) {
  const wanted = Date.parse(`${text}:00Z`);
  if (Number.isNaN(wanted)) return null;
  let guess = wanted;
  // Two rounds settle it: the first guess may lie on the other side of a clock change.
  for (let i = 0; i < 2; i += 1) {
    guess += wanted - Date.parse(`${toLocalField(Math.floor(guess / 1000), tz)}:00Z`);
  }
  return Math.floor(guess / 1000);
}
