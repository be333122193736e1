// Keyboard shortcuts, and the dialog that lists them.
import { dialog, h } from "./dom.js";

const mac = /Mac|iPhone|iPad/.test(navigator.userAgent);

// By place on the keyboard (`code`), so that they do not depend on the layout. On a Mac, Option alone writes characters.
const KEYS = [
  ["PageDown", "next", "Page Down", "next section"],
  ["PageUp", "previous", "Page Up", "previous section"],
  ["Enter", "write", "Enter", "write in this section"],
  ["KeyL", "lock", "L", "lock this section, give it back, or take it over from an agent"],
  ["KeyO", "outline", "O", "outline"],
  ["KeyH", "history", "H", "history"],
  ["KeyS", "suggestions", "S", "suggestions"],
  ["KeyK", "locks", "K", "locks"],
  ["KeyP", "panel", "P", "show or hide the side panel"],
  ["KeyA", "authors", "A", "colour the text by author"],
  ["Slash", "help", "/", "this help"],
];

/** Calls `run[action]` for shortcuts. */
export function listen(run) {
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && !event.defaultPrevented) return run.escape();
    const held = event.altKey && event.ctrlKey === mac && !event.metaKey && !event.shiftKey && !event.getModifierState("AltGraph");
    const entry = held && KEYS.find(([code]) => code === event.code);
    if (!entry) return;
    event.preventDefault();
    event.stopPropagation();
    run[entry[1]]();
  }, { capture: true });
}

export function showHelp() {
  const hold = mac ? "Ctrl + Option + " : "Alt + ";
  const rows = KEYS.map(([, , key, what]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, hold + key)), h("td", {}, what)));
  const more = [
    ["Tab, Shift + Tab", "from one control or text to the next; Tab leaves a text"],
    ["Escape", "from a text to its title, from the panel to its button"],
    [mac ? "⌘ + Z" : "Ctrl + Z", "undo your own last change in this section, never another's"],
  ].map(([key, what]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, key)), h("td", {}, what)));
  return dialog("Help", h("div", {},
    h("p", {}, "Everybody writes in one document at the same time. A lock keeps a section for one writer until it is given back or its time is up; others read it meanwhile. Locks of agents can be taken over, every lock can be released by force in the panel."),
    h("table", { class: "keys" }, h("tbody", {}, rows, more))), [{ label: "Close", value: null, kind: "primary" }]);
}
