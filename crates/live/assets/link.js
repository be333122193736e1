// The socket: one Y.Doc per epoch, the lock table, notices, and what happens when the connection is lost.
import { Awareness, WebsocketProvider, Y, readVarString } from "./editor.js";
import { Rescue } from "./rescue.js";

const NOTICE = 100;
// A new epoch; an update that the server cannot take: this copy cannot be synced any more, a new one can.
const REOPEN = [4001, 4003];

/**
 * Events: `open` (a new Y.Doc, with the base answer), `status` (`connecting`, `live`, `offline`, `ended`), `table` (locks and
 * versions), `people`, `notice`, `rescued` ({applied, left}: local edits after a change of epoch).
 */
export class Link extends EventTarget {
  constructor(api) {
    super();
    this.api = api;
    this.rescue = new Rescue();
    this.status = "connecting";
    this.table = { seq: 0, sections: {} };
    this.unsent = false;
    this.user = null;
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Asks for the document and opens its room. */
  async open() {
    const base = await this.api.document();
    this.base = base;
    this.doc = new Y.Doc();
    this.table = { seq: 0, sections: {} };
    this.awareness = new Awareness(this.doc);
    this.awareness.setLocalStateField("user", this.user);
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.api.base}/ws`;
    this.provider = new WebsocketProvider(url, encodeURIComponent(base.room), this.doc, {
      awareness: this.awareness,
      params: { user: this.api.name, notices: "1" },
      // Tabs must not exchange edits past the server: it is the one that enforces locks.
      disableBc: true,
      connect: false,
      maxBackoffTime: 5000,
      shouldReconnect: ({ code }) => !REOPEN.includes(code) && !(code >= 4400 && code < 4500),
    });
    this.provider.messageHandlers[NOTICE] = (_encoder, decoder) => this.tell("notice", JSON.parse(readVarString(decoder)));
    this.provider.on("status", ({ status }) => status === "disconnected" && this.set("offline"));
    this.provider.on("connection-error", () => this.set("offline"));
    this.provider.on("sync", (synced) => synced && this.synced());
    this.provider.on("closed", ({ code, reason }) => (REOPEN.includes(code) ? this.reopen() : this.set("ended", reason)));
    this.doc.on("update", (_update, origin) => {
      if (origin !== this.provider && this.status === "offline") this.unsent = true;
    });
    this.awareness.on("change", () => this.heard());
    this.takeTable({ seq: base.seq, sections: Object.fromEntries(base.sections.map((s) => [s.id, { ver: s.version, mode: s.mode, lock: s.lock, reserved: s.reserved }])) });
    this.tell("open", base);
    this.provider.connect();
  }

  heard() {
    const table = this.awareness.getStates().get(this.base.server_client)?.server;
    if (table && table !== this.heardTable) {
      this.heardTable = table;
      this.takeTable(table);
    }
    this.tell("people");
  }

  /** Remaining times become moments of this page's own clock. */
  takeTable(table) {
    const now = performance.now();
    for (const entry of Object.values(table.sections)) if (entry.lock) entry.lock.until = now + entry.lock.until_ms;
    // A long document's table leaves out sections that nobody holds: their version is the last one heard of.
    const sections = Object.fromEntries(Object.entries(this.table.sections).map(([sid, { ver, mode }]) => [sid, { ver, mode }]));
    this.table = { ...table, sections: Object.assign(sections, table.sections) };
    this.tell("table");
  }

  set(status, reason) {
    if (this.status === "ended" && status === "offline") return;
    this.status = status;
    this.tell("status", reason);
  }

  synced() {
    this.unsent = false;
    this.set("live");
    if (this.rescue.has()) this.tell("rescued", this.rescue.apply(this.doc));
  }

  /** A local edit of section `sid`, which had `before`: what a change of epoch could lose. */
  edited(sid, before) {
    this.rescue.edited(sid, before, this.status === "live");
  }

  async reopen() {
    const old = { doc: this.doc, provider: this.provider };
    this.rescue.keep(this.doc);
    this.set("connecting");
    for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
      try {
        await this.open();
        break;
      } catch (error) {
        if (error.status >= 400 && error.status < 500) return this.set("ended", error.message);
        this.set("offline");
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
    old.provider.destroy();
    old.doc.destroy();
  }

  retry() {
    this.provider.disconnect();
    this.provider.connect();
  }

  text(sid) {
    return this.doc.getText(`s/${sid}`);
  }

  /** The outline in order, without archived sections; before the first sync, that of the base answer. */
  outline() {
    const map = this.doc.getMap("outline");
    const entries = map.size
      ? [...map.entries()].map(([id, value]) => ({ id, ...(value instanceof Y.Map ? value.toJSON() : value) }))
      : this.base.sections;
    return entries
      .filter((section) => !section.archived)
      .sort((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : a.id < b.id ? -1 : 1));
  }

  lockOf(sid) {
    return this.table.sections[sid]?.lock ?? null;
  }

  /** Whether this person may type in the section now. */
  mayWrite(sid) {
    const lock = this.lockOf(sid);
    return this.status !== "ended" && (!lock || lock.holder === this.base.you.id);
  }
}
