// The left side: who one is, and where one can go.

import { become, go } from "./actions.js";
import { icon } from "./icons.js";
import { avatar } from "./messages.js";
import { channelTitle, chatOnScreen, displayName, redraw, snap, ui, userById } from "./state.js";
import { h } from "./vdom.js";

/** @typedef {Record<string, any>} Json */

/** What a reader should know about a person besides the name. @param {Json} user */
export function standing(user) {
  if (user.deleted) return "deactivated";
  if (user.is_stranger || user.team_id !== snap().team.id) return "another company";
  if (user.is_ultra_restricted) return "single-channel guest";
  if (user.is_restricted) return "guest";
  return user.title || "";
}

/** @param {any} event arrows walk through a list of buttons */
export function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[/** @type {"j"} */ (event.key)];
  if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = [...event.currentTarget.querySelectorAll("button:not([disabled]), a[href]")];
  const at = all.indexOf(document.activeElement);
  all[(at + step + all.length) % all.length]?.focus();
  event.preventDefault();
}

function togglePeople() {
  ui.personMenu = !ui.personMenu;
  redraw();
}

/** @param {string} id */
function choose(id) {
  become(id);
  setTimeout(() => document.getElementById("person-switcher")?.focus(), 60);
}

function personSwitcher() {
  const { me, users } = snap();
  const people = users.filter((/** @type {Json} */ one) => !one.is_bot && !one.deleted);
  return h(
    "div",
    { class: "person" },
    h(
      "button",
      {
        type: "button",
        class: "person-button",
        id: "person-switcher",
        "data-testid": "person-switcher",
        "aria-haspopup": "listbox",
        "aria-expanded": ui.personMenu ? "true" : "false",
        "aria-label": `You are ${displayName(me)}. Switch person`,
        onclick: togglePeople,
      },
      avatar(me, "avatar-mid"),
      h(
        "span",
        { class: "person-text" },
        h("span", { class: "person-name" }, displayName(me)),
        h("span", { class: "person-note" }, standing(me) || `@${me.name}`),
      ),
      icon("caret"),
    ),
    ui.personMenu
      ? h(
          "div",
          { class: "person-menu" },
          h("p", { class: "person-lead", id: "person-lead" }, "Look and click as…"),
          h(
            "div",
            { role: "listbox", "aria-labelledby": "person-lead", "data-testid": "person-menu", onkeydown: walk },
            people.map((/** @type {Json} */ one) =>
              h(
                "button",
                {
                  key: one.id,
                  type: "button",
                  role: "option",
                  "aria-selected": one.id === me.id ? "true" : "false",
                  class: "person-option",
                  "data-testid": `person-${one.id}`,
                  onclick: () => choose(one.id),
                  oncreate:
                    one.id === me.id ? (/** @type {HTMLElement} */ el) => setTimeout(() => el.focus(), 0) : null,
                },
                avatar(one, "avatar-mid"),
                h(
                  "span",
                  { class: "person-text" },
                  h("span", { class: "person-name" }, displayName(one)),
                  h("span", { class: "person-note" }, standing(one) || `@${one.name}`),
                ),
                one.id === me.id ? icon("check") : null,
              ),
            ),
          ),
        )
      : null,
  );
}

/** @param {Json} channel */
function entry(channel) {
  const open = ui.at === channel.id;
  const seen = open && chatOnScreen();
  const unread = !seen && channel.unread > 0;
  const count = seen ? 0 : channel.kind === "dm" ? channel.unread : channel.mentions;
  const partner = channel.kind === "dm" ? userById(channel.user) : null;
  const label = `${channelTitle(channel)}${count ? `, ${count} for you` : unread ? ", unread" : ""}`;
  return h(
    "li",
    { key: channel.id },
    h(
      "button",
      {
        type: "button",
        class: `nav-item${open ? " is-open" : ""}${unread ? " is-unread" : ""}${channel.is_archived ? " is-archived" : ""}`,
        "data-testid": `channel-${channel.id}`,
        "data-unread": String(channel.unread),
        "data-mentions": String(channel.mentions),
        "aria-current": open ? "page" : null,
        "aria-label": label,
        onclick: () => go(channel.id),
      },
      partner ? avatar(partner, "avatar-tiny") : icon(channel.is_private ? "lock" : "hash"),
      h("span", { class: "nav-name" }, channelTitle(channel)),
      channel.is_ext_shared ? h("span", { class: "nav-mark", title: "shared with another company" }, "⇄") : null,
      count
        ? h("span", { class: "badge", "data-testid": `badge-${channel.id}` }, count > 99 ? "99+" : count)
        : unread
          ? h("span", { class: "dot" })
          : null,
    ),
  );
}

/** @param {string} title @param {any[]} items */
const group = (title, items) =>
  items.length
    ? h("div", { class: "nav-group" }, h("h2", { class: "nav-title" }, title), h("ul", null, items))
    : null;

export function sidebar() {
  const { team, channels, users } = snap();
  const app = users.find((/** @type {Json} */ one) => one.is_bot);
  const rooms = channels.filter((/** @type {Json} */ one) => one.kind === "channel");
  const talks = channels.filter((/** @type {Json} */ one) => one.kind === "dm");
  const open = ui.at === "home";
  return h(
    "nav",
    { class: "sidebar", "aria-label": "Workspace" },
    h("div", { class: "team" }, team.name),
    personSwitcher(),
    h(
      "div",
      { class: "nav-scroll", onkeydown: walk },
      group("Channels", rooms.map(entry)),
      group("Direct messages", talks.map(entry)),
      group("Apps", [
        h(
          "li",
          { key: "home" },
          h(
            "button",
            {
              type: "button",
              class: `nav-item${open ? " is-open" : ""}`,
              "data-testid": "nav-home",
              "aria-current": open ? "page" : null,
              onclick: () => go("home"),
            },
            avatar(app || null, "avatar-tiny"),
            h("span", { class: "nav-name" }, `${displayName(app || null)} · Home`),
          ),
        ),
      ]),
    ),
  );
}
