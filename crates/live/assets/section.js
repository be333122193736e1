// One section on the page: a slim bar (title, version, holder, countdown, button) above its text.
import { button, countdown, h, icon, soon, who } from "./dom.js";
import { SectionEditor, undoOf } from "./section-editor.js";

export class SectionView {
  /** `actions`: `lock(sid)`, `release(sid)`, `takeOver(sid)`, `edited(sid, before)`, `caret(sid, selection)`, `mount(view)`. */
  constructor(id, link, actions) {
    Object.assign(this, { id, link, actions, editor: null, authors: null, carets: [] });
    this.ytext = link.text(id);
    this.undo = undoOf(this.ytext);
    this.title = h("h2", { class: "section-title", id: `title-${id}`, tabindex: "-1" });
    this.version = h("span", { class: "version" });
    this.holder = h("span", { class: "holder" });
    this.act = h("span", { class: "act" });
    this.plain = h("pre", { class: "plain" });
    this.content = h("div", { class: "section-text" }, this.plain);
    this.element = h(
      "section",
      { class: "section", id: `section-${id}`, "aria-labelledby": `title-${id}`, "data-section": id },
      h("header", { class: "section-bar", onfocusin: () => actions.mount(this) }, this.title, this.version, this.holder, this.act),
      this.content,
    );
    // A click into text that is not an editor yet makes it one, with the caret at that place.
    this.plain.addEventListener("mousedown", (event) => {
      actions.mount(this);
      event.preventDefault();
      const at = this.editor.view.posAtCoords({ x: event.clientX, y: event.clientY });
      this.editor.view.focus();
      if (at !== null) this.editor.view.dispatch({ selection: { anchor: at } });
    });
    this.showPlain = soon(() => this.editor ?? (this.plain.textContent = this.ytext.toString()), 50);
    this.observer = () => this.showPlain();
    this.ytext.observe(this.observer);
    this.plain.textContent = this.ytext.toString();
  }

  setTitle(title, level) {
    if (this.title.textContent !== title) this.title.textContent = title || "Untitled";
    this.element.dataset.level = level;
  }

  /** Shows the lock table's entry. */
  update({ ver = 0, lock = null, reserved = [], mode } = {}) {
    const { link } = this;
    this.lock = lock;
    const mine = lock?.holder === link.base.you.id;
    const state = lock ? (mine ? "mine" : "theirs") : "free";
    this.element.dataset.lock = state;
    this.version.textContent = ver ? `v${ver}` : "";
    this.version.title = ver ? `version ${ver}` : "";
    const key = JSON.stringify([state, lock?.name, lock?.kind, lock?.waiting, reserved, mode]);
    if (key !== this.key) {
      this.key = key;
      this.timer = h("span", { class: "timer", title: "time left of the lease" });
      const waiting = lock?.waiting ? h("span", { class: "quiet" }, `${lock.waiting} waiting`) : null;
      const holder = mine ? [icon("locked"), h("b", {}, "Locked by you"), this.timer, waiting] : lock ? [icon("locked"), "Locked by ", who(lock), this.timer, waiting] : [];
      const intent = reserved.length ? h("span", { class: "reserved" }, `Reserved by ${reserved.slice(0, 3).join(", ")}${reserved.length > 3 ? ` and ${reserved.length - 3} more` : ""}`) : "";
      this.holder.replaceChildren(...holder.filter(Boolean), intent, mode === "suggest_only" ? h("span", { class: "quiet" }, "agents only suggest") : "");
      this.showButton(state, lock);
    }
    this.tick(performance.now());
    this.editor?.setWritable(link.mayWrite(this.id));
  }

  showButton(state, lock) {
    const title = this.title.textContent;
    const make = (label, run, about) => {
      const made = button(label, run, "small bar-button");
      made.setAttribute("aria-label", `${label}: ${about}`);
      return made;
    };
    const had = this.act.contains(document.activeElement);
    if (state === "mine") this.act.replaceChildren(make("Release", () => this.actions.release(this.id), title));
    else if (state === "free") this.act.replaceChildren(make("Lock", () => this.actions.lock(this.id), title));
    else if (lock.kind === "agent") this.act.replaceChildren(make("Take over", () => this.actions.takeOver(this.id), `${title}, from ${lock.name}`));
    else this.act.replaceChildren(h("span", { class: "quiet" }, "Read only"));
    if (had) (this.act.querySelector("button") ?? this.title).focus();
  }

  tick(now) {
    if (this.lock && this.timer) this.timer.textContent = countdown(this.lock.until - now);
  }

  mount() {
    if (this.editor) return;
    this.editor = new SectionEditor({
      ytext: this.ytext,
      undo: this.undo,
      parent: this.content,
      label: `Text of ${this.title.textContent}`,
      writable: this.link.mayWrite(this.id),
      on: {
        edited: (before) => this.actions.edited(this.id, before),
        caret: (selection) => this.actions.caret(this.id, selection),
      },
    });
    this.plain.hidden = true;
    if (this.authors) this.editor.setAuthors(this.authors);
    if (this.carets.length) this.editor.setCarets(this.carets);
  }

  /** Back to plain text; its history of undo is kept. */
  unmount() {
    if (!this.editor || this.content.contains(document.activeElement)) return;
    this.plain.textContent = this.ytext.toString();
    this.plain.hidden = false;
    this.editor.destroy();
    this.editor = null;
  }

  setCarets(carets) {
    if (JSON.stringify(carets) === JSON.stringify(this.carets)) return;
    this.carets = carets;
    this.editor?.setCarets(carets);
  }

  setAuthors(runs) {
    this.authors = runs;
    this.editor?.setAuthors(runs ?? []);
  }

  focus() {
    this.actions.mount(this);
    this.editor.view.focus();
  }

  destroy() {
    this.ytext.unobserve(this.observer);
    this.editor?.destroy();
    this.editor = null;
    this.undo.destroy();
    this.element.remove();
  }
}
