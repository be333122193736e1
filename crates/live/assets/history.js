// The history tab: who changed what and when, the words of it, and the ways back.
import { ago, button, complain, dialog, diffView, h, toast, who } from "./dom.js";
import { hue } from "./people.js";

const PAGE = 50;
// One person's typing in one section is one entry while pauses are shorter than this.
const PAUSE_MS = 5 * 60_000;
const WHAT = { edit: "", import: "imported", suggestion: "suggestion accepted", revert: "undone", restore: "earlier version restored", forced: "lock taken by force", outline: "outline changed" };

export class History {
  constructor(panel) {
    Object.assign(this, { panel, entries: [], more: false, open: new Map(), only: "" });
  }

  async load() {
    const query = { limit: PAGE, ...(this.only && { section: this.only }) };
    try {
      const { entries, more } = await this.panel.api.log(query);
      // Pages that were loaded before stay, if the new one reaches them.
      const oldest = entries.at(-1)?.seq ?? 0;
      const kept = this.entries.filter((entry) => entry.seq < oldest);
      if (entries.length < PAGE || !kept.length) [this.entries, this.more] = [entries, more];
      else this.entries = [...entries, ...kept];
    } catch (error) {
      if (this.panel.tab === "history" && !this.entries.length) this.panel.replace(h("p", { class: "quiet" }, `${error.message}. ${error.detail}`));
      return;
    }
    this.show();
  }

  async older() {
    try {
      const { entries, more } = await this.panel.api.log({ limit: PAGE, before: this.entries.at(-1).seq, ...(this.only && { section: this.only }) });
      this.entries.push(...entries);
      this.more = more;
      this.show();
    } catch (error) {
      complain(error);
    }
  }

  show() {
    if (this.panel.tab !== "history") return;
    const select = h("select", { "aria-label": "Sections to show", "data-key": "filter", onchange: () => this.filter(select.value) }, h("option", { value: "" }, "All sections"), this.panel.link.outline().map(({ id, title }) => h("option", { value: id, selected: id === this.only }, title)));
    const groups = grouped(this.entries);
    const list = groups.length ? h("ol", { class: "cards" }, groups.map((group) => this.item(group))) : h("p", { class: "quiet" }, "Nothing has been changed yet.");
    this.panel.replace(h("div", { class: "filter" }, select), list, this.more ? button("Show older", () => this.older(), "wide") : "");
  }

  filter(section) {
    this.only = section;
    this.entries = [];
    this.load();
  }

  item(group) {
    const [last, first] = [group[0], group.at(-1)];
    const sum = (key) => group.reduce((total, entry) => total + entry[key], 0);
    const key = `seq-${first.seq}`;
    const shown = this.open.get(key);
    const what = WHAT[last.what] ?? last.what;
    if (last.what === "import" && group.length > 1)
      return h("li", { class: "card" }, h("p", { class: "line" }, who(last.author), ago(last.at)), h("p", { class: "line" }, `${group.length} sections`, h("span", { class: "plus" }, `+${sum("added")}`)));
    const head = h(
      "button",
      { type: "button", class: "card-head", "data-key": key, "aria-expanded": String(!!shown), onclick: () => this.toggle(key, group) },
      h("span", { class: "line" }, h("span", { class: `swatch ${hue(last.author)}` }), who(last.author), ago(last.at)),
      h("span", { class: "line" }, h("span", { class: "where" }, this.panel.sections.title(last.section)), h("span", { class: "version" }, `v${last.version}`), sum("added") ? h("span", { class: "plus" }, `+${sum("added")}`) : null, sum("removed") ? h("span", { class: "minus" }, `−${sum("removed")}`) : null, what ? h("span", { class: "quiet" }, what) : null),
    );
    return h("li", { class: "card" }, head, shown ? this.detail(group, shown) : null);
  }

  async toggle(key, group) {
    if (this.open.delete(key)) return this.show();
    const [last, first] = [group[0], group.at(-1)];
    try {
      const { runs } = await this.panel.api.diff(last.section, first.version - (first.what === "forced" ? 0 : 1), last.version);
      this.open.set(key, runs);
      this.show();
    } catch (error) {
      complain(error);
    }
  }

  detail(group, runs) {
    const { author, section, version } = group[0];
    const undo = button("Undo this", () => this.revert({ seqs: group.map((entry) => entry.seq) }), "small");
    const restore = button(`Restore v${version}`, () => this.revert({ section, to_version: version }), "small");
    const all = button(`Undo all by ${author.name} …`, () => this.undoAll(author, section), "small");
    const undoable = author.kind !== "server" && group[0].what !== "forced";
    return h("div", { class: "card-body" }, diffView(runs), h("div", { class: "buttons" }, undoable ? undo : "", restore, undoable ? all : ""));
  }

  async undoAll(author, section) {
    const where = await dialog(
      `Undo everything by ${author.name}?`,
      h("p", {}, "Later words of others stay. What others have changed since is left alone and listed. This is an edit like any other: it can be undone."),
      [{ label: "Cancel", value: null }, { label: "In this section", value: "section" }, { label: "In the whole document", value: "all", kind: "bad" }],
    );
    if (where) await this.revert({ author: author.id, ...(where === "section" && { section }) });
  }

  async revert(what) {
    try {
      const { reverted, conflicts } = await this.panel.api.revert(what);
      const done = what.to_version ? `Version ${what.to_version} restored` : `${reverted.length} ${reverted.length === 1 ? "change" : "changes"} undone`;
      const left = conflicts.map(({ section, seq, why }) => `${section ? this.panel.sections.title(section) : "Outline"}${seq ? ` (change ${seq})` : ""}: ${why}`);
      toast(left.length ? `${done}. Left alone: ${left.slice(0, 3).join("; ")}${left.length > 3 ? ` and ${left.length - 3} more` : ""}` : done);
    } catch (error) {
      complain(error);
    }
  }
}

/** Neighbouring edits of one author in one section become one group, and so does an import; newest first, as the entries. */
export function grouped(entries) {
  const groups = [];
  for (const entry of entries) {
    const group = groups.at(-1);
    const next = group?.at(-1); // the newer neighbour
    const near = next && next.what === entry.what && next.author.id === entry.author.id && next.at - entry.at < PAUSE_MS;
    const typing = near && entry.what === "edit" && next.section === entry.section && next.version === entry.version + 1;
    if (typing || (near && entry.what === "import")) group.push(entry);
    else groups.push([entry]);
  }
  return groups;
}
