// The line to the playground: one websocket per window and person, snapshots in, acts out.
//
// It reconnects by itself, a little slower each time. An act that gets no answer fails with a sentence; it is
// never sent twice.

/** @typedef {Record<string, any>} Json */

const ANSWER_WITHIN_MS = 15000;

/** @type {WebSocket|null} */
let socket = null;
let user = "";
let attempt = 0;
let counter = 0;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let retry;
/** @type {Map<number, {settle: (answer: Json) => void, timer: ReturnType<typeof setTimeout>}>} */
const waiting = new Map();

/** @type {{onState: (snap: Json) => void, onLine: (line: "connecting"|"open"|"lost") => void}} */
let listener = { onState: () => {}, onLine: () => {} };

/** @param {typeof listener} given */
export const listen = (given) => {
  listener = given;
};

/** Connects as this person; an earlier connection ends. @param {string} id empty: whoever the server starts with */
export function connect(id) {
  user = id;
  attempt = 0;
  open();
}

function open() {
  clearTimeout(retry);
  const old = socket;
  socket = null;
  if (old) old.close();
  failAll("The connection changed before an answer came.");
  listener.onLine(attempt ? "lost" : "connecting");
  const scheme = window.location.protocol === "https:" ? "wss" : "ws";
  const query = user ? `?user=${encodeURIComponent(user)}` : "";
  const line = new WebSocket(`${scheme}://${window.location.host}/playground/ws${query}`);
  socket = line;
  line.onopen = () => {
    if (line === socket) {
      attempt = 0;
      listener.onLine("open");
    }
  };
  line.onmessage = (event) => {
    if (line === socket) receive(event.data);
  };
  line.onclose = (event) => {
    if (line !== socket) return;
    socket = null;
    // 4004: this person does not exist in the workspace that runs now.
    if (event.code === 4004 && user) user = "";
    failAll("The playground went away before it answered.");
    attempt += 1;
    listener.onLine("lost");
    retry = setTimeout(open, Math.min(300 * 2 ** attempt, 5000));
  };
}

/** @param {string} data */
function receive(data) {
  /** @type {Json} */
  const message = JSON.parse(data);
  if (message.type === "state") listener.onState(message);
  if (message.type === "done") settle(message.id, message);
}

/** @param {number} id @param {Json} answer */
function settle(id, answer) {
  const found = waiting.get(id);
  if (!found) return;
  clearTimeout(found.timer);
  waiting.delete(id);
  found.settle(answer);
}

/** @param {string} error */
function failAll(error) {
  for (const id of [...waiting.keys()]) settle(id, { ok: false, error });
}

/**
 * Sends an act; always resolves, with `ok` and, if false, an `error` a person can read.
 * @param {string} act
 * @param {Json} [fields]
 * @returns {Promise<Json>}
 */
export function send(act, fields = {}) {
  const line = socket;
  if (!line || line.readyState !== WebSocket.OPEN) {
    return Promise.resolve({ ok: false, error: "Not connected to the playground right now." });
  }
  counter += 1;
  const id = counter;
  return new Promise((resolve) => {
    const timer = setTimeout(
      () => settle(id, { ok: false, error: "The playground did not answer in time." }),
      ANSWER_WITHIN_MS,
    );
    waiting.set(id, { settle: resolve, timer });
    line.send(JSON.stringify({ ...fields, id, act }));
  });
}
