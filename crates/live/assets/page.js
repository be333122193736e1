// The document page: puts the parts together. Its contract with the server is page/API.md.
import { Api } from "./api.js";
import { byId, complain, copy, dialog, h, soon, toast, button } from "./dom.js";
import { Link } from "./link.js";
import { Panel } from "./panel.js";
import { entryOf, hue, showPeople, tellCaret } from "./people.js";
import { Sections, emptyDocument } from "./sections.js";
import { listen, showHelp } from "./keys.js";

const NAME_KEY = "ggml-agent.name";
const LEASE_MS = 60_000;
const RENEW_MS = 20_000; // a third of the lease: two renewals may be lost
const ACTIVE_MS = 90_000; // who has done nothing for so long no longer renews

let lastAction = performance.now();
for (const kind of ["keydown", "pointerdown"]) addEventListener(kind, () => (lastAction = performance.now()), { capture: true, passive: true });

const remembered = {
  get: () => { try { return localStorage.getItem(NAME_KEY) ?? ""; } catch { return ""; } },
  set: (name) => { try { localStorage.setItem(NAME_KEY, name); } catch { /* private mode: asked again next time */ } },
};

async function askName() {
  const input = h("input", { type: "text", maxlength: "64", required: true, autocomplete: "nickname", autofocus: true, id: "name" });
  for (;;) {
    await dialog("What is your name?", h("div", {}, h("p", {}, "Others see it at your caret and in the history. It stays in this browser."), h("label", { for: "name" }, "Name"), input), [{ label: "Open the document", value: true, kind: "primary" }]);
    const name = input.value.trim().replace(/\s+/g, " ");
    if (name) {
      remembered.set(name);
      return name;
    }
  }
}

function notice(...content) {
  byId("notice").replaceChildren(...content);
  byId("notice").hidden = content.length === 0;
}

function banner(text, action) {
  const element = byId("banner");
  // Each attempt to connect comes here: the button must stay the same element.
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.hidden = !text;
  element.replaceChildren(...(text ? [h("span", {}, text), ...(action ? [button(action.label, action.run, "small")] : [])] : []));
}

function showStatus(link, reason) {
  const words = { connecting: "Connecting", live: "Live", offline: "Offline", ended: "Closed" };
  byId("status").textContent = words[link.status];
  byId("status").dataset.status = link.status;
  const retry = { label: "Try now", run: () => link.retry() };
  if (link.status === "offline") banner("The connection is lost. Your edits are kept in this tab and sent when it is back.", retry);
  else if (link.status === "ended") banner(`This page can no longer reach the document${reason ? ` (${reason})` : ""}. Copy what you need, then open it by a new link.`);
  else if (link.status === "live") banner("");
}

async function start() {
  const id = decodeURIComponent(location.pathname.split("/").at(-1));
  const name = remembered.get() || (await askName());
  const api = new Api(id, name);
  const link = new Link(api);
  link.user = entryOf(name);

  const blame = new Authors(api);
  let caretIn = null; // the section of this person's caret
  const attempt = async (run) => {
    try {
      return await run();
    } catch (error) {
      complain(error);
    }
  };
  const actions = {
    go: (sid) => {
      if (matchMedia("(max-width: 900px)").matches) showPanel(false);
      sections.go(sid);
    },
    lock: (sid) => attempt(() => api.lock([sid], LEASE_MS)),
    release: (sid) => attempt(() => api.release(sid, link.lockOf(sid)?.token)),
    takeOver: (sid) =>
      attempt(async () => {
        const { name: from } = link.lockOf(sid) ?? {};
        const answer = await api.lock([sid], LEASE_MS, true);
        if (answer.grace_ms) toast(`${from} is told to stop; the section is yours in ${Math.ceil(answer.grace_ms / 1000)} seconds`);
      }),
    edited: (sid, before) => link.edited(sid, before),
    caret: (sid, selection) => (selection || caretIn === sid) && ((caretIn = selection ? sid : null), tellCaret(link, link.text(sid), selection)),
    mounted: (view) => blame.show(view, link),
    ordered: () => {
      notice(...(sections.ids.length ? [] : [emptyDocument()]));
      panel.refresh();
    },
  };
  const sections = new Sections(actions);
  const panel = new Panel({ api, sections, actions });

  const table = soon(() => {
    sections.updateTable();
    panel.changed(link);
    blame.refresh(sections, link);
  }, 20);
  link.addEventListener("open", ({ detail: base }) => {
    byId("title").textContent = base.title;
    document.title = base.title;
    sections.attach(link);
    table();
  });
  link.addEventListener("status", ({ detail }) => (showStatus(link, detail), sections.updateTable()));
  link.addEventListener("table", table);
  link.addEventListener("people", soon(() => (showPeople(link), sections.showCarets()), 60));
  link.addEventListener("notice", ({ detail }) => {
    if (detail.kind !== "refused") return;
    const action = detail.text ? { label: "Copy my text", run: () => copy(detail.text) } : undefined;
    toast(`“${sections.title(detail.section)}” is locked by ${detail.by.name}; your change was taken back.`, { action, kind: "bad" });
  });
  link.addEventListener("rescued", ({ detail: { applied, left } }) => {
    if (applied.length) toast("The document was reopened; your last edits were carried over.");
    for (const { section, text } of left) toast(`The document was reopened, and “${sections.title(section)}” had changed where you wrote.`, { action: { label: "Copy my text", run: () => copy(text) }, kind: "bad" });
  });
  addEventListener("beforeunload", (event) => link.unsent && event.preventDefault());
  setInterval(() => renew(api, link), RENEW_MS);

  tools(link, sections, panel, blame, actions);
  for (;;) {
    try {
      return await link.open();
    } catch (error) {
      link.status = error.status >= 400 && error.status < 500 ? "ended" : "offline";
      byId("status").textContent = link.status === "ended" ? "Closed" : "Offline";
      byId("status").dataset.status = link.status;
      await new Promise((resolve) => notice(h("div", {}, h("h2", {}, error.message), h("p", {}, error.detail), button("Try again", resolve, "primary"))));
      notice("Opening the document …");
    }
  }
}

/** Keeps this person's locks while they are at work and the page can be seen. */
function renew(api, link) {
  if (document.hidden || performance.now() - lastAction > ACTIVE_MS || link.status !== "live") return;
  for (const [sid, { lock }] of Object.entries(link.table.sections))
    if (lock?.holder === link.base.you.id) api.renew(sid, lock.token, LEASE_MS).catch(() => { /* the lock table says who has it now */ });
}

/** The colours of text by author: fetched for mounted sections when switched on, and again when their version changes. */
class Authors {
  constructor(api) {
    Object.assign(this, { api, on: false, versions: new Map() });
  }

  toggle(sections, link) {
    this.on = !this.on;
    this.versions.clear();
    byId("authors").setAttribute("aria-pressed", String(this.on));
    for (const view of sections.views.values()) this.on ? this.show(view, link) : view.setAuthors(null);
    this.names = new Map();
    this.legend();
  }

  refresh(sections, link) {
    if (this.on) for (const view of sections.views.values()) this.show(view, link);
  }

  async show(view, link) {
    const ver = link.table.sections[view.id]?.ver ?? 0;
    if (!this.on || !view.editor || this.versions.get(view.id) === ver) return;
    this.versions.set(view.id, ver);
    try {
      const { runs } = await this.api.blame(view.id);
      if (!this.on) return;
      view.setAuthors(runs);
      for (const { author } of runs) if (author.kind !== "server") this.names.set(author.id, author);
      this.legend();
    } catch (error) {
      this.versions.delete(view.id);
      if (error.status) complain(error);
    }
  }

  legend() {
    byId("legend").hidden = !this.on;
    const names = [...(this.names?.values() ?? [])].map((author) => h("li", {}, h("span", { class: `author ${hue(author)}` }, author.name), author.kind === "agent" ? " (agent)" : ""));
    byId("legend").replaceChildren(h("span", {}, "Text by"), h("ul", {}, names.length ? names : h("li", { class: "quiet" }, "nobody yet: all of it was imported")));
  }
}

function showPanel(open) {
  document.body.classList.toggle("no-panel", !open);
  byId("panel-toggle").setAttribute("aria-expanded", String(open));
}

function tools(link, sections, panel, blame, actions) {
  const open = () => !document.body.classList.contains("no-panel");
  showPanel(!matchMedia("(max-width: 900px)").matches);
  byId("panel-toggle").addEventListener("click", () => showPanel(!open()));
  byId("authors").addEventListener("click", () => blame.toggle(sections, link));
  byId("help-open").addEventListener("click", showHelp);
  const tab = (name) => () => {
    showPanel(true);
    panel.select(name);
    byId(`tab-${name}`).focus();
  };
  listen({
    next: () => sections.step(1),
    previous: () => sections.step(-1),
    write: () => sections.current()?.focus(),
    lock: () => {
      const view = sections.current();
      if (!view) return;
      if (!view.lock) actions.lock(view.id);
      else if (view.lock.holder === link.base.you.id) actions.release(view.id);
      else if (view.lock.kind === "agent") actions.takeOver(view.id);
    },
    outline: tab("outline"),
    history: tab("history"),
    suggestions: tab("suggestions"),
    locks: tab("locks"),
    panel: () => showPanel(!open()),
    authors: () => blame.toggle(sections, link),
    help: showHelp,
    escape: () => {
      const section = document.activeElement.closest?.("[data-section]");
      if (section) byId(`title-${section.dataset.section}`).focus();
      else if (document.activeElement.closest?.("#panel")) {
        if (matchMedia("(max-width: 900px)").matches) showPanel(false);
        byId("panel-toggle").focus();
      }
    },
  });
}

start();
