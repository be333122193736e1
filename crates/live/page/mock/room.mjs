// One document of the mock: texts, versions, blame, locks and log, with the server's rules for browsers.
import * as Y from "yjs";
import { diff, splice } from "./words.mjs";

const SUMMARY_MS = 500; // a person's typing is one log entry per this time
const GRACE_MS = 2000;

/** A refusal, as a problem detail. */
export class Problem extends Error {
  constructor(status, type, title, detail, more = {}) {
    super(title);
    this.status = status;
    this.body = { type: `/problems/${type}`, title, status, detail, ...more };
  }
}

/** The origin of a browser's updates; undo managers track this class. */
export class Origin {
  constructor(author, notify) {
    this.author = author;
    this.notify = notify;
  }
}

export class Room {
  constructor(id, title, sections, epoch = 1) {
    Object.assign(this, { id, title, epoch, seq: 0, token: 0, log: [], suggestions: [], onChange: () => {} });
    this.doc = new Y.Doc();
    this.sections = new Map();
    const outline = this.doc.getMap("outline");
    sections.forEach(({ text, level = 2, title: heading }, index) => {
      const sid = `s${index + 1}`;
      const order = String(index + 1).padStart(5, "0");
      outline.set(sid, { title: heading, level, order, archived: false });
      const section = { id: sid, title: heading, level, order, mode: "optimistic", versions: [], runs: [], lock: null, reserved: [] };
      this.sections.set(sid, section);
      this.#watch(section);
      section.pending = { author: { id: "server", name: "import", kind: "server" }, what: "import" };
      section.ytext.insert(0, text);
      this.#flush(section);
    });
    this.timer = setInterval(() => this.tick(), 100);
  }

  get name() {
    return `${this.id}@${this.epoch}`;
  }

  close() {
    clearInterval(this.timer);
    for (const section of this.sections.values()) clearTimeout(section.timer);
    this.doc.destroy();
  }

  section(sid) {
    const section = this.sections.get(sid);
    if (!section) throw new Problem(404, "no-section", `there is no section ${sid}`, "ask for the document again: its outline has changed");
    return section;
  }

  #watch(section) {
    section.ytext = this.doc.getText(`s/${section.id}`);
    section.undo = new Y.UndoManager(section.ytext, { captureTimeout: 0, trackedOrigins: new Set([Origin]) });
    section.ytext.observe((event, tr) => {
      const author = tr.origin instanceof Origin ? tr.origin.author : (section.pending?.author ?? this.acting);
      // The author's own earlier summary and another's must not share one version.
      if (section.pending && section.pending.author.id !== author.id) this.#flush(section);
      this.#blame(section, event.delta, author);
      if (tr.origin instanceof Origin) this.touched.push({ section, delta: event.delta });
    });
  }

  /** A browser's update: accepted, and undone at once in sections that another has locked. */
  applyFromBrowser(update, origin) {
    this.touched = [];
    const before = new Map([...this.sections.values()].map((s) => [s, s.runs.map((run) => ({ ...run }))]));
    Y.applyUpdate(this.doc, update, origin);
    for (const { section, delta } of this.touched) {
      const { lock } = section;
      if (lock && lock.holder !== origin.author.id) {
        this.acting = origin.author;
        section.undo.undo();
        section.runs = before.get(section);
        const text = delta.map((d) => (typeof d.insert === "string" ? d.insert : "")).join("");
        origin.notify({ kind: "refused", section: section.id, by: { id: lock.holder, name: lock.name, kind: lock.kind }, text: text.slice(0, 16384) });
      } else {
        section.pending ??= { author: origin.author, what: "edit" };
        section.timer ??= setTimeout(() => this.#flush(section), SUMMARY_MS);
        if (lock) lock.until = Math.max(lock.until, Date.now() + lock.lease);
      }
      section.undo.clear();
    }
  }

  /** An edit that the server makes for `author`, as the smallest splice. */
  write(sid, author, text, what = "edit") {
    const section = this.section(sid);
    if (section.lock && section.lock.holder !== author.id) throw this.#locked(section);
    this.#flush(section);
    section.pending = { author, what };
    const { at, remove, insert } = splice(section.ytext.toString(), text);
    this.doc.transact(() => {
      if (remove) section.ytext.delete(at, remove);
      if (insert) section.ytext.insert(at, insert);
    }, "server");
    this.#flush(section);
    return { seq: this.seq, version: section.versions.length };
  }

  #flush(section) {
    clearTimeout(section.timer);
    section.timer = undefined;
    const { pending } = section;
    section.pending = undefined;
    if (!pending) return;
    const before = section.versions.at(-1) ?? "";
    const text = section.ytext.toString();
    if (text === before && pending.what === "edit") return;
    section.versions.push(text);
    const runs = diff(before, text);
    const count = (op) => runs.filter((run) => run.op === op).reduce((sum, run) => sum + run.text.length, 0);
    this.#record(section, pending.author, pending.what, count("insert"), count("delete"));
  }

  #record(section, author, what, added, removed) {
    this.log.push({ seq: ++this.seq, section: section.id, version: section.versions.length, author, at: Date.now(), added, removed, what });
    this.onChange();
  }

  #blame(section, delta, author) {
    const out = [];
    const push = (len, by) => {
      if (len <= 0) return;
      const last = out.at(-1);
      if (last?.author.id === by.author.id) last.len += len;
      else out.push({ len, author: by.author, seq: by.seq });
    };
    const runs = section.runs.map((run) => ({ ...run }));
    const take = (len, keep) => {
      while (len > 0 && runs.length) {
        const n = Math.min(len, runs[0].len);
        if (keep) push(n, runs[0]);
        runs[0].len -= n;
        len -= n;
        if (runs[0].len === 0) runs.shift();
      }
    };
    for (const d of delta) {
      if (d.retain) take(d.retain, true);
      else if (d.delete) take(d.delete, false);
      else push(d.insert.length, { author, seq: this.seq + 1 });
    }
    take(Infinity, true);
    section.runs = out;
  }

  // ---- locks

  lock(sids, author, leaseMs, preempt = false) {
    const sections = sids.map((sid) => this.section(sid));
    const foreign = sections.filter((s) => s.lock && s.lock.holder !== author.id);
    if (foreign.length && !(preempt && foreign.every((s) => s.lock.kind === "agent"))) throw this.#locked(foreign[0]);
    if (foreign.length) {
      for (const section of foreign) section.lock.preempted = { author, leaseMs, at: Date.now() + GRACE_MS };
      return { grace_ms: GRACE_MS };
    }
    return { locks: sections.map((section) => this.#grant(section, author, leaseMs)) };
  }

  #grant(section, author, leaseMs) {
    this.#flush(section);
    const depth = (section.lock?.depth ?? 0) + 1;
    section.lock = { holder: author.id, name: author.name, kind: author.kind, token: section.lock?.token ?? ++this.token, until: Date.now() + leaseMs, lease: leaseMs, depth, waiting: 0 };
    this.onChange();
    return { section: section.id, token: section.lock.token, until_ms: leaseMs };
  }

  renew(sid, token, leaseMs) {
    const { lock } = this.section(sid);
    if (lock?.token !== token) throw new Problem(409, "fenced", "this lock is no longer yours", "lock the section again");
    lock.until = Date.now() + leaseMs;
    this.onChange();
    return { token, until_ms: leaseMs };
  }

  unlock(sid, { token, force, author }) {
    const section = this.section(sid);
    if (force && section.lock) this.#record(section, author, "forced", 0, 0);
    else if (section.lock?.token !== token) throw new Problem(409, "fenced", "this lock is no longer yours", "nothing is left to do");
    section.lock = null;
    this.onChange();
  }

  #locked(section) {
    const { holder: id, name, kind, until } = section.lock;
    return new Problem(409, "locked", `section ${section.id} is locked by ${name}`, "wait for it, take over, or force the release", { holder: { id, name, kind }, until_ms: until - Date.now() });
  }

  tick() {
    for (const section of this.sections.values()) {
      const { lock } = section;
      if (!lock) continue;
      if (lock.preempted && Date.now() >= lock.preempted.at) {
        section.lock = null;
        this.#grant(section, lock.preempted.author, lock.preempted.leaseMs);
      } else if (Date.now() >= lock.until) {
        section.lock = null;
        this.onChange();
      }
    }
  }

  /** The lock table for the server's awareness entry. */
  table() {
    const sections = {};
    for (const { id, versions, mode, reserved, lock } of this.sections.values()) {
      const entry = { ver: versions.length, mode };
      if (reserved.length) entry.reserved = reserved;
      if (lock) entry.lock = { holder: lock.holder, name: lock.name, kind: lock.kind, token: lock.token, until_ms: Math.max(0, lock.until - Date.now()), depth: lock.depth, waiting: lock.waiting };
      sections[id] = entry;
    }
    return { seq: this.seq, suggestions: this.suggestions.length, sections };
  }

  // ---- suggestions and reverts

  suggest(sid, author, text, note) {
    const section = this.section(sid);
    const base = section.versions.length;
    this.suggestions.push({ id: this.suggestions.length + 1, section: sid, author, base, at: Date.now(), note, runs: diff(section.versions.at(-1), text) });
    this.onChange();
  }

  decide(n, accept) {
    const at = this.suggestions.findIndex((s) => s.id === n);
    if (at < 0) throw new Problem(404, "no-suggestion", `there is no suggestion ${n}`, "somebody has decided it already");
    const { section: sid, author, runs } = this.suggestions[at];
    const text = (op) => runs.filter((run) => run.op !== op).map((run) => run.text).join("");
    if (accept && this.section(sid).ytext.toString() !== text("insert"))
      throw new Problem(409, "stale-suggestion", "the section has changed since the suggestion was made", "compare and copy what you need, then reject it");
    const done = accept ? this.write(sid, author, text("delete"), "suggestion") : undefined;
    this.suggestions.splice(at, 1);
    this.onChange();
    return done;
  }

  revert({ seqs, author, section: sid, to_version: version }, by) {
    if (version !== undefined) {
      this.write(sid, by, this.section(sid).versions[version - 1] ?? "", "restore");
      return { seq: this.seq, reverted: [], conflicts: [] };
    }
    const chosen = this.log.filter((e) => e.what !== "import" && (seqs ? seqs.includes(e.seq) : e.author.id === author && (!sid || e.section === sid)));
    const reverted = [];
    const conflicts = [];
    for (const entry of chosen.reverse()) {
      const section = this.section(entry.section);
      const [before, after, now] = [section.versions[entry.version - 2] ?? "", section.versions[entry.version - 1], section.ytext.toString()];
      const undo = splice(after, before);
      const gone = after.slice(undo.at, undo.at + undo.remove);
      const at = gone ? now.indexOf(gone) : now === after ? undo.at : -1;
      if (at < 0 || (gone && now.indexOf(gone, at + 1) >= 0)) conflicts.push({ seq: entry.seq, section: entry.section, why: "later edits touch the same words" });
      else {
        this.write(entry.section, by, now.slice(0, at) + undo.insert + now.slice(at + gone.length), "revert");
        reverted.push(entry.seq);
      }
    }
    return { seq: this.seq, reverted, conflicts };
  }
}
