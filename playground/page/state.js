// What the page knows: the server's last snapshot, and what only this window knows (what is open, what is
// being typed, what is on its way). One object, changed by actions.js, read by everything that draws.

/** @typedef {import("./mrkdwn.js").Scope} Scope */
/** @typedef {Record<string, any>} Json */

/** The server's last snapshot; null until the first one has come. */
export const world = {
  /** @type {Json|null} */ snap: null,
  /** Milliseconds the playground's clock is ahead of this machine's. */ skew: 0,
  /** @type {"connecting"|"open"|"lost"} */ line: "connecting",
};

export const ui = {
  /** @type {string|null} the person this window acts as */ user: null,
  /** @type {string|null} a channel id or "home" */ at: null,
  /** @type {string|null} ts of the thread that is open */ thread: null,
  /** @type {"nav"|"chat"|"agent"} what a phone shows */ pane: "chat",
  consoleOpen: false,
  theme: "auto",
  bannerHidden: false,
  personMenu: false,
  /** @type {Json|null} an open menu: {anchor, items, title?} */ menu: null,
  /** @type {Json|null} an open question: {title, text, confirm, deny, style, run} */ confirm: null,
  /** @type {Set<string>} acts on their way */ sending: new Set(),
  /** @type {Map<string, {text: string, block: string|null}>} surface id → why its last act failed, and where */ failures:
    new Map(),
  /** @type {Map<string, Record<string, Record<string, any>>>} surface id → typed values */ forms: new Map(),
  /** @type {Map<string, Record<string, string>>} view id → block id → message */ formErrors: new Map(),
  /** @type {Map<string, string>} place → what is being typed there */ drafts: new Map(),
  /** @type {Map<string, string>} channel → ts of the first message that was unread on entering */ newFrom:
    new Map(),
  /** @type {Map<string, number>} channel → how many messages are drawn */ depth: new Map(),
  /** @type {Json[]} */ toasts: [],
  /** @type {"new"|"more"|null} what lies below the end of what is on screen */ unseenBelow: null,
  free: { open: false, agent: "", tool: "", server: "", args: "", reasoning: "", timeout: "10m", touched: false, error: "" },
  /** @type {Set<string>} presets whose arguments are shown */ shownPresets: new Set(),
  faultsOpen: false,
  help: false,
};

/** @type {(() => void)|null} */
let draw = null;
let queued = false;

/** @param {() => void} fn called once per frame after something changed */
export const onRedraw = (fn) => {
  draw = fn;
};

/** Asks for a redraw; many askers share one. */
export function redraw() {
  if (queued) return;
  queued = true;
  const run = () => {
    queued = false;
    if (draw) draw();
  };
  // A hidden tab gets no frames, but its title and its state must stay right.
  if (document.visibilityState === "visible") requestAnimationFrame(run);
  else setTimeout(run, 50);
}

/** The playground's clock, in milliseconds. */
export const now = () => Date.now() + world.skew;

/** @returns {Json} */
export const snap = () => /** @type {Json} */ (world.snap);

/** @param {string} id @returns {Json|null} */
export const userById = (id) => snap().users.find((/** @type {Json} */ one) => one.id === id) || null;

/** @param {string} id @returns {Json|null} */
export const channelById = (id) => snap().channels.find((/** @type {Json} */ one) => one.id === id) || null;

/** @param {Json|null} user @returns {string} */
export const displayName = (user) => (user ? user.real_name || user.name || user.id : "unknown");

/** @param {Json} channel @returns {string} */
export function channelTitle(channel) {
  if (channel.kind !== "dm") return channel.name;
  return displayName(userById(channel.user)) || channel.name;
}

/** The channel that is open, if any. @returns {Json|null} */
export const openChannel = () => (ui.at && ui.at !== "home" ? channelById(ui.at) : null);

/** Whether the open place can be seen: on a phone another pane may lie over it, the tab may be hidden. */
export const chatOnScreen = () =>
  document.visibilityState === "visible" && (window.innerWidth >= 720 || ui.pane === "chat");

/** @type {{onUser: (id: string, event: Event) => void, onChannel: (id: string) => void}} */
const handlers = { onUser: () => {}, onChannel: () => {} };

/** @param {Partial<typeof handlers>} given what a click on a mention does */
export const onMention = (given) => Object.assign(handlers, given);

/** What a text is read against. @param {boolean} [notified] @returns {Scope} */
export function scope(notified = false) {
  const world_ = snap();
  return {
    me: { id: world_.me.id, tz: world_.me.tz || "UTC" },
    now: now(),
    notified,
    userName: (id) => (userById(id) ? displayName(userById(id)) : null),
    channelName: (id) => {
      const found = channelById(id);
      return found ? channelTitle(found) : null;
    },
    groupName: (id) => {
      const found = (world_.usergroups || []).find((/** @type {Json} */ one) => one.id === id);
      return found ? `@${found.handle || found.name}` : null;
    },
    onUser: (id, event) => handlers.onUser(id, event),
    onChannel: (id) => handlers.onChannel(id),
  };
}

/** Local settings survive a reload where the browser lets them. @param {string} name @returns {string|null} */
export function remembered(name) {
  try {
    return window.localStorage.getItem(`playground.${name}`);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} value */
export function remember(name, value) {
  try {
    window.localStorage.setItem(`playground.${name}`, value);
  } catch {
    // Private windows may refuse; the setting then lasts as long as the page.
  }
}
