// Elements, icons, times, toasts and dialogs. Nothing here knows what a document is.

/** An element. `props`: `class`, `on*` listeners, `hidden` and other properties by name, everything else an attribute. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== "string") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

export const button = (label, onclick, kind = "") => h("button", { type: "button", class: `button ${kind}`.trim(), onclick }, label);

const PATHS = {
  person: "M8 8.2a3.1 3.1 0 1 0 0-6.2 3.1 3.1 0 0 0 0 6.2ZM2.4 14c.4-2.9 2.6-4.4 5.6-4.4s5.2 1.5 5.6 4.4",
  agent: "M3.5 6.2h9a1 1 0 0 1 1 1v5.3a1 1 0 0 1-1 1h-9a1 1 0 0 1-1-1V7.2a1 1 0 0 1 1-1ZM8 6.2V3.4M8 2.2v.1M6 9.2v1.2M10 9.2v1.2",
  server: "M3 3h10v4H3ZM3 9h10v4H3ZM5.5 5h.1M5.5 11h.1",
  locked: "M4 7.2h8v6H4ZM5.6 7.2V5a2.4 2.4 0 0 1 4.8 0v2.2",
  close: "m4 4 8 8M12 4l-8 8",
};

/** A line icon; decorative, since words always stand beside it. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name] ?? PATHS.person);
  svg.append(path);
  return svg;
}

/** Icon and name of a person or an agent; the kind is a word for those who do not see the icon. */
export function who({ name, kind }) {
  return h("span", { class: "who" }, icon(kind), h("b", {}, name), h("span", { class: "hidden-text" }, ` (${kind})`));
}

/** `1:05` of milliseconds, never below zero. */
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

/** A `<time>`: how long ago, with the moment in its title. */
export function ago(at) {
  const seconds = (at - Date.now()) / 1000;
  const [value, unit] =
    seconds > -45 ? [0, "second"] : seconds > -3000 ? [seconds / 60, "minute"] : seconds > -80_000 ? [seconds / 3600, "hour"] : [seconds / 86_400, "day"];
  const moment = new Date(at);
  return h("time", { datetime: moment.toISOString(), title: moment.toLocaleString() }, relative.format(Math.round(value), unit));
}

/** The words of a diff: insertions and deletions as `<ins>` and `<del>`, long unchanged parts shortened. */
export function diffView(runs) {
  const KEEP_MAX = 120; // characters of unchanged text that are shown on each side of a change
  const parts = runs.map(({ op, text }, at) => {
    if (op === "insert") return h("ins", {}, text);
    if (op === "delete") return h("del", {}, text);
    // Cut between words.
    const head = at === 0 ? "" : text.slice(0, KEEP_MAX).replace(/\S*$/, "");
    const tail = at === runs.length - 1 ? "" : text.slice(-KEEP_MAX).replace(/^\S*/, "");
    return head.length + tail.length >= text.length ? text : `${head}…${tail}`;
  });
  const unchanged = runs.every((run) => run.op === "keep");
  return h("div", { class: "diff" }, unchanged ? h("p", { class: "quiet" }, "No difference.") : parts);
}

export const copy = (text) => navigator.clipboard?.writeText(text).catch(() => showText("Copy this text", text)) ?? showText("Copy this text", text);

/** Says something for a while; with an action it stays until it is closed. */
export function toast(message, { action, kind = "" } = {}) {
  const element = h("div", { class: `toast ${kind}` }, h("p", {}, message));
  const close = () => element.remove();
  if (action) element.append(button(action.label, () => (action.run(), close()), "small"));
  element.append(h("button", { type: "button", class: "close", "aria-label": "Close message", onclick: close }, icon("close")));
  byId("toasts").append(element);
  while (byId("toasts").childElementCount > 4) byId("toasts").firstElementChild.remove();
  if (!action) setTimeout(close, 6000);
}

/** What went wrong, as cause and next step. */
export const complain = (error) => toast([error.message, error.detail].filter(Boolean).join(". "), { kind: "bad" });

/** A modal dialog; resolves with the value of the button that closed it, `null` for Escape. */
export function dialog(title, content, choices) {
  return new Promise((resolve) => {
    let answer = null;
    const id = `dialog-${Math.random().toString(36).slice(2)}`;
    const choose = (value) => {
      answer = value;
      element.close();
    };
    const buttons = choices.map(({ label, value, kind }) => button(label, () => choose(value), kind));
    const form = h("form", { onsubmit: (event) => (event.preventDefault(), choose(choices.at(-1).value)) }, h("h2", { id }, title), content, h("div", { class: "buttons" }, buttons));
    const element = h("dialog", { "aria-labelledby": id, onclose: () => (element.remove(), resolve(answer)) }, form);
    document.body.append(element);
    element.showModal();
    (element.querySelector("[autofocus], input, textarea") ?? buttons.at(-1))?.focus();
  });
}

export function showText(title, text) {
  const area = h("textarea", { readOnly: true, rows: "12", "aria-label": title });
  area.value = text;
  return dialog(title, area, [{ label: "Close", value: null, kind: "primary" }]);
}

/** Calls `run` once, `ms` after the first of several calls. */
export function soon(run, ms) {
  let timer = null;
  return () => (timer ??= setTimeout(() => ((timer = null), run()), ms));
}
