// The suggestions tab: what agents or people propose, to accept or to reject.
import { ago, button, complain, diffView, h, toast, who } from "./dom.js";

export class Suggestions {
  constructor(panel) {
    this.panel = panel;
  }

  async load() {
    const { panel } = this;
    let list;
    try {
      list = await panel.api.suggestions();
    } catch (error) {
      if (panel.tab === "suggestions") panel.replace(h("p", { class: "quiet" }, `${error.message}. ${error.detail}`));
      return;
    }
    panel.count("suggestions", list.length);
    if (panel.tab !== "suggestions") return;
    panel.replace(list.length ? h("ul", { class: "cards" }, list.map((one) => this.item(one))) : h("p", { class: "quiet" }, "No suggestions are open. Agents suggest where they may not write, or when they are told to."));
  }

  item({ id, section, author, base, at, note, stale, runs }) {
    const { panel } = this;
    const now = panel.link.table.sections[section]?.ver ?? base;
    const accept = button("Accept", () => this.decide(id, "accept"), "small primary");
    const reject = button("Reject", () => this.decide(id, "reject"), "small");
    accept.dataset.key = `accept-${id}`;
    reject.dataset.key = `reject-${id}`;
    return h("li", { class: "card" },
      h("p", { class: "line" }, who(author), ago(at)),
      h("p", { class: "line" }, h("button", { type: "button", class: "link where", "data-key": `go-${id}`, onclick: () => panel.actions.go(section) }, panel.sections.title(section)), h("span", { class: "version" }, `for v${base}`), now > base ? h("span", { class: "quiet" }, `now v${now}`) : null),
      note ? h("p", { class: "note" }, note) : null,
      stale ? h("p", { class: "quiet" }, "Its words are not there any more.") : diffView(runs),
      h("div", { class: "buttons" }, reject, stale ? null : accept));
  }

  async decide(id, verdict) {
    try {
      await this.panel.api.decide(id, verdict);
      toast(verdict === "accept" ? "Suggestion accepted" : "Suggestion rejected");
    } catch (error) {
      complain(error);
    }
    await this.load();
  }
}
