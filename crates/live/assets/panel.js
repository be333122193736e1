// The side panel: outline, history, suggestions, locks. One tab is built at a time, when it is looked at.
import { byId, countdown, dialog, h, icon, soon, who, button, complain } from "./dom.js";
import { History } from "./history.js";
import { Suggestions } from "./suggestions.js";

const TABS = [
  ["outline", "Outline"],
  ["history", "History"],
  ["suggestions", "Suggestions"],
  ["locks", "Locks"],
];

export class Panel {
  constructor({ api, sections, actions }) {
    Object.assign(this, { api, sections, actions, tab: "outline" });
    this.body = byId("tab-body");
    this.history = new History(this);
    this.suggestions = new Suggestions(this);
    this.tabs = TABS.map(([id, label]) =>
      h("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": "tab-body", onclick: () => this.select(id) }, label, h("span", { class: "count", hidden: true })),
    );
    byId("tabs").append(...this.tabs);
    byId("tabs").addEventListener("keydown", (event) => this.arrow(event));
    this.refresh = soon(() => this.show(), 150);
    setInterval(() => this.tick(), 1000);
    this.select("outline");
  }

  arrow(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = TABS.findIndex(([id]) => id === this.tab);
    this.select(TABS[(at + step + TABS.length) % TABS.length][0]);
    byId(`tab-${this.tab}`).focus();
    event.preventDefault();
  }

  select(tab) {
    this.tab = tab;
    for (const element of this.tabs) {
      const chosen = element.id === `tab-${tab}`;
      element.setAttribute("aria-selected", String(chosen));
      element.tabIndex = chosen ? 0 : -1;
    }
    this.body.setAttribute("aria-labelledby", `tab-${tab}`);
    this.body.replaceChildren();
    this.body.scrollTop = 0;
    this.show();
  }

  count(tab, n) {
    const badge = byId(`tab-${tab}`).querySelector(".count");
    badge.hidden = !n;
    badge.textContent = n ? ` ${n}` : "";
  }

  /** The lock table has news. */
  changed(link) {
    const news = link.table.seq !== this.link?.table?.seq || link !== this.link || link.table.seq !== this.seq;
    this.link = link;
    this.seq = link.table.seq;
    this.count("locks", Object.values(link.table.sections).filter((s) => s.lock).length);
    if (link.table.suggestions !== undefined) this.count("suggestions", link.table.suggestions);
    if (this.tab === "outline" || this.tab === "locks" || news) this.refresh();
  }

  show() {
    if (!this.link) return;
    if (this.tab === "history") return this.history.load();
    if (this.tab === "suggestions") return this.suggestions.load();
    this.replace(this.tab === "outline" ? this.outline() : this.locks());
  }

  /** New contents; the focus stays on the element of the same `data-key`. */
  replace(...content) {
    const key = this.body.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    this.body.replaceChildren(...content);
    if (key) (this.body.querySelector(`[data-key="${CSS.escape(key)}"]`) ?? this.body).focus({ preventScroll: true });
  }

  outline() {
    const items = this.link.outline().map(({ id, title, level }) => {
      const { lock, ver } = this.link.table.sections[id] ?? {};
      const state = lock ? h("span", { class: "outline-lock" }, icon("locked"), lock.holder === this.link.base.you.id ? "you" : lock.name) : null;
      return h("li", {}, h("button", { type: "button", class: `outline-item level-${Math.min(level ?? 1, 4)}`, "data-key": id, onclick: () => this.actions.go(id) }, h("span", { class: "outline-title" }, title || "Untitled"), state, h("span", { class: "version" }, ver ? `v${ver}` : "")));
    });
    return items.length ? h("ol", { class: "outline" }, items) : h("p", { class: "quiet" }, "No sections yet.");
  }

  locks() {
    const you = this.link.base.you.id;
    const held = this.link.outline().filter(({ id }) => this.link.lockOf(id));
    if (!held.length) return h("p", { class: "quiet" }, "Nothing is locked. Anybody may write anywhere; a lock keeps a section for one writer for a while.");
    return h("ul", { class: "cards" }, held.map(({ id, title }) => {
      const lock = this.link.lockOf(id);
      const mine = lock.holder === you;
      const actions = mine
        ? [button("Release", () => this.actions.release(id), "small")]
        : [lock.kind === "agent" && button("Take over", () => this.actions.takeOver(id), "small"), button("Force release", () => this.force(id, title, lock), "small bad")];
      for (const [n, element] of actions.filter(Boolean).entries()) element.dataset.key = `${id}-${n}`;
      return h("li", { class: "card" }, h("h3", {}, title), h("p", { class: "line" }, mine ? h("b", {}, "You") : who(lock), h("span", { class: "timer", "data-until": String(lock.until) }, countdown(lock.until - performance.now()))), h("p", { class: "quiet" }, `fence ${lock.token}${lock.depth > 1 ? `, taken ${lock.depth} times` : ""}${lock.waiting ? `, ${lock.waiting} waiting` : ""}`), h("div", { class: "buttons" }, actions));
    }));
  }

  async force(id, title, lock) {
    const sure = await dialog(
      `Force the release of “${title}”?`,
      h("p", {}, `${lock.name} loses the lock at once. What it has written stays; what it still sends with the old lock is refused. The log says that you did it.`),
      [{ label: "Cancel", value: null }, { label: "Force release", value: true, kind: "bad" }],
    );
    if (sure) await this.api.force(id).catch(complain);
  }

  tick() {
    for (const timer of this.body.querySelectorAll("[data-until]")) timer.textContent = countdown(Number(timer.dataset.until) - performance.now());
  }
}
