// Keeps what a thumb is about to press where it is while messages are redrawn, and the newest message in view
// when that is where the reader stands.

import { redraw, ui } from "./state.js";

const NEAR_END_PX = 48;
/** @type {Map<string, string>} list → the place it showed at the last redraw */
const shown = new Map();
let pressing = false;

window.addEventListener("pointerdown", () => (pressing = true), true);
for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, () => (pressing = false), true);

/** @param {Element} list */
const gap = (list) => list.scrollHeight - list.scrollTop - list.clientHeight;

/** @param {Element} list */
const newestIn = (list) => [...list.querySelectorAll(".msg")].pop();

/** What must not move: what is under the pointer, else the first message in view. @param {Element} list */
function anchorIn(list) {
  const under = list.querySelector("button:hover, a:hover, select:hover, input:hover, label:hover");
  if (under && (pressing || window.matchMedia("(hover: hover)").matches)) return { el: under, held: true };
  const top = list.getBoundingClientRect().top;
  const first = [...list.querySelectorAll(".msg")].find((one) => one.getBoundingClientRect().bottom > top);
  return { el: first || null, held: false };
}

/** @param {string} id */
function holdOne(id) {
  const list = document.getElementById(id);
  if (!list) return () => {};
  const anchor = anchorIn(list);
  const card = anchor.el ? anchor.el.closest(".msg") : null;
  const top = anchor.el ? anchor.el.getBoundingClientRect().top : 0;
  const cardTop = card ? card.getBoundingClientRect().top : 0;
  const atEnd = gap(list) < NEAR_END_PX;
  const height = list.scrollHeight;
  const newest = newestIn(list);
  return () => {
    if (!list.isConnected) return;
    const grew = list.scrollHeight > height + 1;
    if (atEnd && !anchor.held) {
      if (grew) list.scrollTop = list.scrollHeight;
      return;
    }
    const el = anchor.el && anchor.el.isConnected ? anchor.el : card && card.isConnected ? card : null;
    if (!el) return;
    const moved = el.getBoundingClientRect().top - (el === anchor.el ? top : cardTop);
    if (Math.abs(moved) >= 1) {
      list.scrollTop += moved;
      const rest = el.getBoundingClientRect().top - (el === anchor.el ? top : cardTop);
      if (rest >= 1 || rest <= -1) {
        // The list is too short to scroll that far: lend it room until the pointer leaves.
        const lent = parseFloat(list.style.getPropertyValue("--hold")) || 0;
        list.style.setProperty("--hold", `${Math.max(0, lent + rest)}px`);
        list.scrollTop += rest;
      }
    }
    if (grew && atEnd && gap(list) > NEAR_END_PX && id === "messages" && !ui.unseenBelow) {
      ui.unseenBelow = newestIn(list) === newest ? "more" : "new";
      redraw();
    }
  };
}

/** Call before a redraw; call what it returns after it. */
export function holdScroll() {
  const after = [holdOne("messages"), holdOne("thread-messages")];
  return () => {
    after.forEach((one) => one());
    settle("messages", ui.at || "");
    settle("thread-messages", ui.thread || "");
  };
}

/** On entering a place: to what is new, else to the end. @param {string} id @param {string} place */
function settle(id, place) {
  const list = document.getElementById(id);
  if (!list) {
    shown.delete(id);
    return;
  }
  if (!(/** @type {any} */ (list).$watched)) {
    /** @type {any} */ (list).$watched = true;
    list.addEventListener(
      "scroll",
      () => {
        if (ui.unseenBelow && gap(list) < NEAR_END_PX) {
          ui.unseenBelow = null;
          redraw();
        }
      },
      { passive: true },
    );
  }
  if (shown.get(id) === place) return;
  shown.set(id, place);
  const line = list.querySelector(".new-line");
  list.scrollTop = line instanceof HTMLElement ? Math.max(0, line.offsetTop - 80) : list.scrollHeight;
}

/** @param {string} id */
export function toBottom(id) {
  const list = document.getElementById(id);
  if (list) list.scrollTop = list.scrollHeight;
  ui.unseenBelow = null;
  redraw();
}

/** Takes back the room that was lent. @param {any} event */
export function releaseHold(event) {
  event.currentTarget.style.removeProperty("--hold");
}
