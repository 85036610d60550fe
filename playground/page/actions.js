// What a person does on the page: goes somewhere, becomes someone else, clicks, submits, writes, asks as the agent.
//
// Each act changes ui, sends at most one message to the server and asks for a redraw.

import { viewFaults, viewValues } from "./form.js";
import { connect, send } from "./socket.js";
import { channelById, chatOnScreen, displayName, redraw, remember, snap, ui, userById, world } from "./state.js";
import { sendKey, valueOf } from "./surface.js";

/** @typedef {Record<string, any>} Json */

/** Where this window is, for the address bar: a reload and a second window come back to it. */
function writeAddress() {
  const path = [ui.user, ui.at, ui.thread]
    .filter(Boolean)
    .map((one) => encodeURIComponent(String(one)))
    .join("/");
  if (window.location.hash !== `#/${path}`) window.history.replaceState(null, "", `#/${path}`);
}

/** @param {string} [hash] @returns {{user: string|null, at: string|null, thread: string|null}} */
export function readAddress(hash = window.location.hash) {
  const [user, at, thread] = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  return { user: user || null, at: at || null, thread: thread || null };
}

/** Opens a channel, a DM or "home". @param {string} id @param {string|null} [thread] */
export function go(id, thread = null) {
  const channel = channelById(id);
  if (ui.at !== id) {
    ui.unseenBelow = null;
    ui.newFrom.delete(id);
    if (channel && channel.unread > 0) {
      const heads = channel.messages.filter(
        (/** @type {Json} */ one) => (!one.thread_ts || one.thread_ts === one.ts) && one.user !== snap().me.id,
      );
      const first = heads[Math.max(0, heads.length - channel.unread)];
      if (first) ui.newFrom.set(id, first.ts);
    }
    if (id === "home") void send("open_home");
  }
  ui.at = id;
  ui.thread = thread;
  ui.pane = "chat";
  ui.menu = null;
  markRead();
  writeAddress();
  redraw();
}

/** Tells the server that what is on screen has been read. */
export function markRead() {
  const channel = ui.at ? channelById(ui.at) : null;
  if (channel && channel.unread > 0 && chatOnScreen()) {
    void send("read", { channel: channel.id });
  }
}

/** @param {string} ts */
export function openThread(ts) {
  ui.thread = ts;
  writeAddress();
  redraw();
}

export function closeThread() {
  ui.thread = null;
  writeAddress();
  redraw();
}

/** Becomes another person. @param {string} id */
export function become(id) {
  ui.personMenu = false;
  ui.menu = null;
  if (id !== ui.user) {
    ui.user = id;
    ui.thread = null;
    ui.toasts = [];
    ui.newFrom.clear();
    remember("user", id);
    connect(id);
    writeAddress();
  }
  redraw();
}

/** Checks, after each snapshot, that what is open still exists for this person. */
export function settlePlace() {
  const { channels, me } = snap();
  ui.user = me.id;
  if (ui.at === "home") return;
  if (!ui.at || !channelById(ui.at)) {
    const first =
      channels.find((/** @type {Json} */ one) => one.mentions > 0) ||
      channels.find((/** @type {Json} */ one) => one.kind === "channel" && !one.is_archived) ||
      channels[0];
    ui.at = first ? first.id : "home";
    ui.thread = null;
  }
  const channel = channelById(String(ui.at));
  if (ui.thread && !channel?.messages.some((/** @type {Json} */ one) => one.ts === ui.thread)) ui.thread = null;
  markRead();
  writeAddress();
}

/** @param {string} text @param {"error"|"note"} [tone] */
export function toast(text, tone = "error") {
  const key = `t${Date.now()}${Math.random()}`;
  ui.toasts = [...ui.toasts.slice(-3), { key, text, tone }];
  setTimeout(() => dropToast(key), tone === "error" ? 9000 : 6000);
  redraw();
}

/** @param {string} key */
export function dropToast(key) {
  ui.toasts = ui.toasts.filter((one) => one.key !== key);
  redraw();
}

/** Runs an act while `key` counts as on its way. @param {string} key @param {() => Promise<Json>} run */
export async function busy(key, run) {
  if (ui.sending.has(key)) return { ok: false, error: "", already: true };
  ui.sending.add(key);
  redraw();
  const answer = await run();
  ui.sending.delete(key);
  redraw();
  return answer;
}

/** Asks first, where the element wants it. @param {any} confirm @param {() => void} run */
function confirmed(confirm, run) {
  if (!confirm) {
    run();
    return;
  }
  ui.confirm = { ...confirm, run, back: document.activeElement };
  redraw();
}

/**
 * An element on a surface was used.
 * @param {{kind: string, id: string, target: Json, view?: any, stateOf: (block: any, element: any) => any}} place
 * @param {any} block
 * @param {any} element
 * @param {Json} payload
 */
export function actOn(place, block, element, payload) {
  const name = { message: "click", modal: "view_click", home: "home_click" }[place.kind] || "click";
  confirmed(element.confirm, () => {
    void busy(sendKey(place.id, block, element), async () => {
      ui.failures.delete(place.id);
      const values = place.view ? { values: viewValues(place.view, place.stateOf) } : {};
      const answer = await send(name, {
        ...place.target,
        block_id: block.block_id,
        action_id: element.action_id,
        type: element.type,
        ...payload,
        ...values,
      });
      if (!answer.ok) {
        ui.failures.set(place.id, {
          text: answer.error || "That did not work. Please try again.",
          block: block.block_id ?? null,
        });
      }
      return answer;
    });
  });
}

/** Sends a modal. @param {any} view */
export async function submitView(view) {
  if (!view.submit && !(view.blocks || []).some((/** @type {Json} */ block) => block.type === "input")) return;
  const surfaceId = `v:${view.id}`;
  const saved = view.state?.values || {};
  const stateOf = (/** @type {any} */ block, /** @type {any} */ element) =>
    valueOf(surfaceId, block, element, saved);
  const faults = viewFaults(view, stateOf);
  ui.formErrors.set(view.id, faults);
  ui.failures.delete(surfaceId);
  if (Object.keys(faults).length) {
    redraw();
    focusFault();
    return;
  }
  const answer = await busy(`submit|${view.id}`, () =>
    send("view_submit", { view_id: view.id, values: viewValues(view, stateOf) }),
  );
  if (answer.already) return;
  if (answer.errors && Object.keys(answer.errors).length) ui.formErrors.set(view.id, answer.errors);
  else if (!answer.ok)
    ui.failures.set(surfaceId, { text: answer.error || "Please check what you have filled in.", block: null });
  redraw();
  if (answer.errors) focusFault();
}

/** Brings the first faulty field into view once it is drawn. */
function focusFault() {
  setTimeout(() => {
    const field = document.querySelector(
      ".modal-top .has-error input, .modal-top .has-error textarea, .modal-top .has-error select",
    );
    if (field instanceof HTMLElement) field.focus();
  }, 60);
}

/** @param {any} view */
export async function closeView(view) {
  const answer = await busy(`close|${view.id}`, () => send("view_close", { view_id: view.id }));
  if (!answer.ok && answer.error) ui.failures.set(`v:${view.id}`, { text: answer.error, block: null });
  redraw();
}

/** As Slack's own box escapes; "@name" is the server's to resolve. @param {string} text */
const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** Sends what was typed. @param {string} channel @param {string|null} thread @param {string} text @returns {Promise<boolean>} */
export async function write(channel, thread, text) {
  const key = `say|${channel}|${thread || ""}`;
  const command = text.trimStart().split(/\s/)[0];
  if (command.startsWith("/")) {
    const known = commands().map((one) => one.command);
    if (thread) return refuse(key, `${command} is not supported in threads. Sorry!`);
    if (!known.includes(command)) {
      return refuse(key, `${command} is not a valid command. Here you can use ${known.join(", ")}.`);
    }
    const answer = await busy(key, () => send("slash", { channel, text: text.trim() }));
    return answer.ok || refuse(key, answer.error);
  }
  const fields = thread ? { channel, thread_ts: thread } : { channel };
  const answer = await busy(key, () => send("say", { ...fields, text: escaped(text.trim()) }));
  return answer.ok || refuse(key, answer.error);
}

/** @param {string} key @param {string} [error] */
function refuse(key, error) {
  if (error) ui.failures.set(key, { text: error, block: null });
  redraw();
  return false;
}

/** The slash commands, with their hints where the server gives some. @returns {{command: string, hint: string, about: string}[]} */
export const commands = () =>
  (snap().commands || []).map((/** @type {any} */ one) =>
    typeof one === "string"
      ? { command: one, hint: "help", about: "what it can do" }
      : { command: one.command, hint: one.usage_hint || "", about: one.description || "" },
  );

/** @param {string} channel @param {Json} message */
export function deleteMessage(channel, message) {
  ui.confirm = {
    title: { type: "plain_text", text: "Delete message" },
    text: { type: "plain_text", text: "It disappears for everyone, and the app is told so. Delete it?" },
    confirm: { type: "plain_text", text: "Delete" },
    deny: { type: "plain_text", text: "Cancel" },
    style: "danger",
    back: document.activeElement,
    run: () =>
      void send("delete", { channel, ts: message.ts }).then((answer) => {
        if (!answer.ok) toast(answer.error);
      }),
  };
  redraw();
}

/** @param {Json} call a preset's key or a free call @param {string} key */
export async function askAsAgent(call, key) {
  const answer = await busy(`ask|${key}`, () => send("agent_send", call));
  if (!answer.ok && answer.error && key !== "free") toast(answer.error);
  return answer;
}

/** @param {string} run */
export async function cancelRun(run) {
  const answer = await busy(`cancel|${run}`, () => send("agent_cancel", { run }));
  if (!answer.ok && answer.error) toast(answer.error);
}

/** @param {string} key @param {boolean} on */
export async function setFault(key, on) {
  const answer = await busy(`fault|${key}`, () => send("fault", { key, on }));
  if (!answer.ok && answer.error) toast(answer.error);
}

/** Lets time pass for everybody. @param {number} seconds */
export async function moveClock(seconds) {
  const answer = await busy("clock", () => send("advance", { seconds }));
  if (!answer.ok && answer.error) toast(answer.error);
}

/** Looks at a waiting call as somebody who may answer it. @param {Json} run */
export function visit(run) {
  ui.consoleOpen = false;
  ui.pane = "chat";
  ui.at = run.answer_in;
  ui.thread = null;
  if (run.answer_as !== ui.user) become(run.answer_as);
  else {
    ui.at = null;
    go(run.answer_in);
  }
}

/** @param {string} id @param {Event} event a small card about a person, with the way to become them */
export function showPerson(id, event) {
  const user = userById(id);
  if (!user || !world.snap) return;
  const mine = id === snap().me.id;
  /** @type {any[]} */
  const items = [];
  if (!user.is_bot && !user.deleted && !mine) {
    items.push({ key: "become", label: `Continue as ${displayName(user)}`, run: () => become(id) });
  }
  ui.menu = { anchor: event.currentTarget, person: user, items };
  redraw();
}
