// The list of sections in order. Editors exist only near the viewport: the others are plain text of the same size.
import { byId, h, soon } from "./dom.js";
import { carets, others } from "./people.js";
import { SectionView } from "./section.js";

// 40 editors of some 100 kB; a screen shows fewer than 10 sections.
const EDITORS_MAX = 40;

export class Sections {
  constructor(actions) {
    this.views = new Map();
    this.container = byId("sections");
    this.actions = { ...actions, mount: (view) => this.mount(view) };
    this.mounted = new Set(); // in order of the last time each was near the viewport
    this.near = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) if (isIntersecting) this.mount(this.views.get(target.dataset.section));
      },
      { rootMargin: "600px 0px" },
    );
    this.showCarets = soon(() => this.placeCarets(), 40);
    setInterval(() => {
      const now = performance.now();
      for (const view of this.views.values()) if (view.lock) view.tick(now);
    }, 1000);
  }

  /** Opens a (new) document. */
  attach(link) {
    this.link = link;
    for (const view of this.views.values()) view.destroy();
    this.views.clear();
    this.mounted.clear();
    this.order();
    const again = soon(() => link.doc === doc && this.order(), 30);
    const { doc } = link;
    doc.getMap("outline").observeDeep(again);
  }

  order() {
    const outline = this.link.outline();
    const ids = new Set(outline.map(({ id }) => id));
    for (const [id, view] of this.views)
      if (!ids.has(id)) {
        this.near.unobserve(view.element);
        this.mounted.delete(view);
        view.destroy();
        this.views.delete(id);
      }
    let previous = null;
    for (const { id, title, level } of outline) {
      let view = this.views.get(id);
      if (!view) {
        view = new SectionView(id, this.link, this.actions);
        this.views.set(id, view);
      }
      view.setTitle(title, level);
      view.update(this.link.table.sections[id]);
      // Only what is at another place moves: a moved element would lose the focus.
      const after = previous ? previous.nextElementSibling : this.container.firstElementChild;
      if (after !== view.element) this.container.insertBefore(view.element, after);
      this.near.observe(view.element);
      previous = view.element;
    }
    this.ids = outline.map(({ id }) => id);
    this.actions.ordered();
  }

  mount(view) {
    if (!view) return;
    view.mount();
    this.mounted.delete(view);
    this.mounted.add(view);
    for (const old of this.mounted) {
      if (this.mounted.size <= EDITORS_MAX) break;
      old.unmount();
      if (!old.editor) this.mounted.delete(old);
    }
    this.actions.mounted(view);
  }

  updateTable() {
    for (const [id, view] of this.views) view.update(this.link.table.sections[id]);
  }

  placeCarets() {
    const found = others(this.link).length ? carets(this.link, this.ids) : new Map();
    for (const [id, view] of this.views) view.setCarets(found.get(id) ?? []);
  }

  /** The section with the focus, else the first one that is visible. */
  current() {
    const focused = document.activeElement?.closest?.("[data-section]")?.dataset.section;
    if (focused) return this.views.get(focused);
    const top = byId("top").getBoundingClientRect().bottom;
    return this.ids.map((id) => this.views.get(id)).find((view) => view.element.getBoundingClientRect().bottom > top + 40);
  }

  /** Brings the section into view and puts the focus on its title. */
  go(id) {
    const view = this.views.get(id);
    if (!view) return;
    view.element.scrollIntoView({ block: "start" });
    view.title.focus({ preventScroll: true });
  }

  step(by) {
    const at = this.ids.indexOf(this.current()?.id) + by;
    if (at >= 0 && at < this.ids.length) this.go(this.ids[at]);
  }

  title(id) {
    return this.views.get(id)?.title.textContent ?? id;
  }
}

export const emptyDocument = () =>
  h("div", {}, h("h2", {}, "This document has no sections yet"), h("p", {}, "Text appears here as soon as an agent or a person adds a section, for instance from a Markdown file with a heading."));
