// HTTP and sockets of the mock; the contract is ../API.md.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";
import * as Y from "yjs";
import * as encoding from "lib0/encoding";
import * as decoding from "lib0/decoding";
import * as sync from "y-protocols/sync";
import { Origin, Problem, Room } from "./room.mjs";
import { diff } from "./words.mjs";

const assets = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "assets");
const types = { ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8" };
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const person = (name) => ({ id: `person/${name}`, name, kind: "person" });

/** Serves one document; `port` 0 takes a free one. */
export async function serve({ id = "report", title = "report.md", sections, port = 0 }) {
  const mock = { id, room: new Room(id, title, sections), conns: new Set(), refuse: false };
  const http = createServer((request, response) => answer(mock, request, response));
  const sockets = new WebSocketServer({ noServer: true });
  http.on("upgrade", (request, socket, head) => {
    const url = new URL(request.url, "http://mock");
    if (mock.refuse) return socket.destroy();
    sockets.handleUpgrade(request, socket, head, (ws) => accept(mock, ws, url));
  });
  await new Promise((resolve) => http.listen(port, "127.0.0.1", resolve));
  attach(mock);
  const heartbeat = setInterval(() => mock.table(), 10_000);
  return Object.assign(mock, {
    url: `http://127.0.0.1:${http.address().port}`,
    /** A new epoch: new Y.Doc from the texts, everybody is sent away with 4001. */
    renew() {
      const old = mock.room;
      const texts = [...old.sections.values()].map((s) => ({ title: s.title, level: s.level, text: s.ytext.toString() }));
      mock.room = new Room(id, title, texts, old.epoch + 1);
      attach(mock);
      for (const conn of mock.conns) conn.ws.close(4001, "new epoch");
      old.close();
    },
    /** Cuts all sockets, and refuses new ones until called with false. */
    cut(refuse) {
      mock.refuse = refuse;
      if (refuse) for (const conn of mock.conns) conn.ws.terminate();
    },
    async close() {
      clearInterval(heartbeat);
      mock.room.close();
      for (const conn of mock.conns) conn.ws.terminate();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  });
}

// ---- sockets: one message per frame; presence by the rules that real servers need

function attach(mock) {
  const { room } = mock;
  mock.people = new Map(); // client id -> {clock, json}, null json: gone
  room.doc.on("update", (update, origin) => {
    const frame = encoding.encode((e) => {
      encoding.writeVarUint(e, 0);
      sync.writeUpdate(e, update);
    });
    for (const conn of mock.conns) if (conn.origin !== origin) conn.ws.send(frame);
  });
  let due = null;
  room.onChange = () => (due ??= setTimeout(() => ((due = null), mock.table()), 40));
  mock.say = (client, state) => {
    const clock = (mock.people.get(client)?.clock ?? 0) + 1;
    mock.people.set(client, { clock, json: JSON.stringify(state) });
    broadcast(mock, [client]);
  };
  mock.table = () => mock.say(mock.room.doc.clientID, { server: mock.room.table() });
}

function presence(mock, clients) {
  return encoding.encode((e) => {
    encoding.writeVarUint(e, 1);
    const inner = encoding.createEncoder();
    encoding.writeVarUint(inner, clients.length);
    for (const client of clients) {
      const { clock, json } = mock.people.get(client);
      encoding.writeVarUint(inner, client);
      encoding.writeVarUint(inner, clock);
      encoding.writeVarString(inner, json);
    }
    encoding.writeVarUint8Array(e, encoding.toUint8Array(inner));
  });
}

function broadcast(mock, clients, except) {
  const frame = presence(mock, clients);
  for (const conn of mock.conns) if (conn !== except) conn.ws.send(frame);
}

function accept(mock, ws, url) {
  if (decodeURIComponent(url.pathname.split("/").at(-1)) !== mock.room.name) return ws.close(4001, "another epoch");
  const { room } = mock;
  const conn = { ws, client: null };
  const notify = (notice) => {
    if (url.searchParams.get("notices") !== "1") return;
    ws.send(encoding.encode((e) => {
      encoding.writeVarUint(e, 100);
      encoding.writeVarString(e, JSON.stringify(notice));
    }));
  };
  conn.origin = new Origin(person(url.searchParams.get("user") || "somebody"), notify);
  mock.conns.add(conn);
  ws.send(encoding.encode((e) => {
    encoding.writeVarUint(e, 0);
    sync.writeSyncStep1(e, room.doc);
  }));
  mock.table();
  const here = [...mock.people].filter(([, { json }]) => json !== "null").map(([client]) => client);
  // Who comes back remembers the clocks it saw, and takes only higher ones.
  for (const client of here) mock.people.get(client).clock++;
  ws.send(presence(mock, here));
  ws.on("message", (data) => room === mock.room && read(mock, conn, new Uint8Array(data)));
  ws.on("close", () => {
    mock.conns.delete(conn);
    if (conn.client !== null && room === mock.room) mock.say(conn.client, null);
  });
}

function read(mock, conn, frame) {
  const decoder = decoding.createDecoder(frame);
  const type = decoding.readVarUint(decoder);
  if (type === 0) {
    const kind = decoding.readVarUint(decoder);
    const bytes = decoding.readVarUint8Array(decoder);
    if (kind !== 0) return mock.room.applyFromBrowser(bytes, conn.origin);
    conn.ws.send(encoding.encode((e) => {
      encoding.writeVarUint(e, 0);
      encoding.writeVarUint(e, 1);
      encoding.writeVarUint8Array(e, Y.encodeStateAsUpdate(mock.room.doc, bytes));
    }));
  } else if (type === 1) {
    const inner = decoding.createDecoder(decoding.readVarUint8Array(decoder));
    for (let n = decoding.readVarUint(inner); n > 0; n--) {
      const client = decoding.readVarUint(inner);
      const clock = decoding.readVarUint(inner);
      const json = decoding.readVarString(inner);
      // A client re-sends what it was told about others: only its own entry counts.
      const gone = (mock.people.get(client)?.json ?? "null") === "null";
      if (conn.client === null && client !== mock.room.doc.clientID && gone) conn.client = client;
      if (client !== conn.client) continue;
      const known = mock.people.get(client);
      mock.people.set(client, { clock: Math.max((known?.clock ?? 0) + 1, clock), json });
      broadcast(mock, [client], conn);
    }
  }
}

// ---- HTTP

async function answer(mock, request, response) {
  const url = new URL(request.url, "http://mock");
  const send = (status, body, type = "application/json") => {
    response.writeHead(status, {
      "content-type": type,
      "content-security-policy": CSP,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-cache",
    });
    response.end(body);
  };
  try {
    if (mock.refuse && url.pathname.startsWith("/api")) return request.socket.destroy();
    const path = url.pathname.split("/").slice(1).map(decodeURIComponent);
    if (path[0] === "doc" && path.length === 2) return send(200, await readFile(join(assets, "index.html")), types[".html"]);
    if (path[0] === "assets" && /^[a-z-]+\.(js|css)$/.test(path[1] ?? "")) return send(200, await readFile(join(assets, path[1])), types[extname(path[1])]);
    if (url.pathname === "/favicon.ico") return send(204, "");
    if (!url.pathname.startsWith("/api/v1/docs/") || path[3] !== mock.id) throw new Problem(404, "no-document", "there is no such page", "check the address");
    let body = "";
    for await (const chunk of request) body += chunk;
    const you = person(decodeURIComponent(request.headers["x-doc-user"] ?? "somebody"));
    const result = api(mock, request.method, path.slice(4), url.searchParams, body ? JSON.parse(body) : {}, you);
    send(result === undefined ? 204 : result.grace_ms ? 202 : 200, result === undefined ? "" : JSON.stringify(result));
  } catch (error) {
    if (error instanceof Problem) send(error.status, JSON.stringify(error.body), "application/problem+json");
    else send(error.code === "ENOENT" ? 404 : 500, JSON.stringify({ type: "/problems/mock", title: String(error), detail: "" }), "application/problem+json");
  }
}

function api({ room }, method, [what, arg, verb], query, body, you) {
  const number = (key) => (query.has(key) ? Number(query.get(key)) : undefined);
  const route = [method, what, arg && "*", verb].filter(Boolean).join(" ");
  switch (route) {
    case "GET": {
      const table = room.table().sections;
      const sections = [...room.sections.values()].map(({ id, title, level, order, versions, mode, ytext }) => ({ id, title, level, order, version: versions.length, mode, archived: false, bytes: ytext.length, lock: table[id].lock ?? null, reserved: table[id].reserved ?? [] }));
      return { id: room.id, epoch: room.epoch, room: room.name, server_client: room.doc.clientID, seq: room.seq, title: room.title, you, sections };
    }
    case "GET sections *": {
      const { id, versions } = room.section(arg);
      const version = number("version") ?? versions.length;
      return { id, version, text: versions[version - 1] ?? "" };
    }
    case "GET log": {
      const matching = room.log.filter((e) => e.seq < (number("before") ?? Infinity) && (!query.get("section") || e.section === query.get("section"))).reverse();
      const limit = number("limit") ?? 50;
      return { entries: matching.slice(0, limit), more: matching.length > limit };
    }
    case "GET blame *":
      return { version: room.section(arg).versions.length, runs: room.section(arg).runs };
    case "GET diff": {
      const { versions } = room.section(query.get("section"));
      const [from, to] = [number("from"), number("to")];
      return { section: query.get("section"), from, to, runs: diff(versions[from - 1] ?? "", versions[to - 1] ?? "") };
    }
    case "GET suggestions":
      return room.suggestions;
    case "POST suggestions * accept":
      return room.decide(Number(arg), true);
    case "POST suggestions * reject":
      return room.decide(Number(arg), false);
    case "POST locks":
      return room.lock(body.sections, you, body.lease_ms, body.preempt);
    case "PUT locks *":
      return room.renew(arg, body.token, body.lease_ms);
    case "DELETE locks *":
      return room.unlock(arg, { token: number("token"), force: query.get("force") === "1", author: you });
    case "POST revert":
      return room.revert(body, you);
    case "POST ops": {
      const now = room.section(body.section).ytext.toString();
      if (body.op.kind === "append") return room.write(body.section, you, now + body.op.text);
      if (body.op.kind === "str_replace" && now.split(body.op.old).length === 2) return room.write(body.section, you, now.replace(body.op.old, () => body.op.new));
      throw new Problem(422, "no-match", "the old text is not there exactly once", "read the section and try again");
    }
    default:
      throw new Problem(404, "no-route", `there is no ${route}`, "see API.md");
  }
}
