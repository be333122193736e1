// Stock Yjs editors in a real browser against a running document server. Prints one line of JSON; exit status 1 if a check failed.
//
//   node driver.mjs --base http://127.0.0.1:7420 --doc report [--room ROOM] [--cookie NAME=VALUE]
//                   [--text s/s2] [--quill s/s3] [--fragment rich/s1] [--locked s4]
//                   [--kinds codemirror,tiptap,quill] [--plain]
//                   [--seconds 20] [--cut 35] [--seed 1] [--refused-ms 200]
//
// Two browsers each of CodeMirror 6 (on --text), TipTap 3 (on --fragment) and Quill 2 (on --quill) edit at random through their
// own editors; one of each loses its network for --cut seconds while all go on; then all must show the same, and each other.
// Last, somebody locks section --locked (and the one of --quill): an edit there must be gone within --refused-ms, and stay
// gone after a reconnect. --plain: Quill makes no formats, for a server of plain texts. The pages are served on the
// server's own origin, so that its checks of Origin and Host apply.
import { build } from "esbuild";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { network } from "./network.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const string = (value) => ({ type: "string", default: value });
const { values: args } = parseArgs({
  options: {
    base: string("http://127.0.0.1:7420"), doc: string("report"), room: { type: "string" }, cookie: { type: "string" },
    text: string("s/s2"), quill: string("s/s3"), fragment: string("rich/s1"), locked: string("s4"),
    kinds: string("codemirror,tiptap,quill"), plain: { type: "boolean", default: false },
    seconds: string("20"), cut: string("35"), seed: string("1"), "refused-ms": string("200"),
  },
});
const seconds = Number(args.seconds);
const origin = new URL(args.base).origin;
const api = `${origin}/api/v1/docs/${args.doc}`;
const headers = (name) => ({ "x-doc-user": name, origin, "content-type": "application/json", ...(args.cookie && { cookie: args.cookie }) });
const wait = (s) => new Promise((resolve) => setTimeout(resolve, s * 1000));

/** Milliseconds until `look()` is true; null after `limit` seconds. */
async function until(look, limit = 20) {
  const begun = performance.now();
  while (!(await look())) {
    if (performance.now() - begun > limit * 1000) return null;
    await wait(0.02);
  }
  return Math.round(performance.now() - begun);
}

const KINDS = Object.fromEntries(Object.entries({ codemirror: args.text, tiptap: args.fragment, quill: args.quill }).filter(([kind]) => args.kinds.split(",").includes(kind)));

async function bundles() {
  const { outputFiles } = await build({
    absWorkingDir: here, entryPoints: Object.keys(KINDS).map((kind) => join("pages", `${kind}.js`)), outdir: "out", bundle: true, write: false, format: "iife", target: "es2022",
  });
  return Object.fromEntries(outputFiles.map((file, at) => [Object.keys(KINDS)[at], file.text]));
}

const executablePath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => path && existsSync(path));
if (!executablePath) throw new Error("no browser: install chromium, or name one in CHROMIUM");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
const scripts = await bundles();
const errors = [];

async function client(kind, user, seed, root = KINDS[kind]) {
  const net = await network();
  const context = await browser.newContext({ proxy: { server: net.url, bypass: "<-loopback>" } });
  if (args.cookie) {
    const [name, ...value] = args.cookie.split("=");
    await context.addCookies([{ name, value: value.join("="), url: origin }]);
  }
  await context.route(`${origin}/stock/*`, (route) => {
    const script = new URL(route.request().url()).pathname.endsWith(".js");
    return route.fulfill(script ? { contentType: "text/javascript; charset=utf-8", body: scripts[kind] } : { contentType: "text/html; charset=utf-8", body: `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><div id="editor"></div><script src="/stock/${kind}.js"></script>` });
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(`${user}: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && !/WebSocket connection to|net::ERR_/.test(message.text()) && errors.push(`${user}: ${message.text()}`));
  const query = new URLSearchParams({ ws: `${api.replace(/^http/, "ws")}/ws`, room: encodeURIComponent(room), root, user, seed, ...(args.plain && { plain: "1" }) });
  await page.goto(`${origin}/stock/${kind}.html?${query}`);
  const call = (name, ...given) => page.evaluate(([n, a]) => window.client[n](...a), [name, given]);
  if ((await until(() => call("synced"))) === null) throw new Error(`${user} was never synced`);
  return { kind, user, net, call, close: async () => (await context.close(), net.close()) };
}

const room = args.room ?? (await (await fetch(api, { headers: headers("driver") })).json()).room;
const result = { server: origin, room, seconds, cut_s: Number(args.cut), seed: Number(args.seed) };

/** The kinds whose clients show different things, or share different ones: `codemirror.view`, `quill.shared`, ... */
async function differences(clients) {
  const found = [];
  for (const kind of Object.keys(KINDS))
    for (const what of ["view", "shared"]) {
      const texts = await Promise.all(clients.filter((c) => c.kind === kind).map((c) => c.call(what)));
      if (new Set(texts).size > 1) found.push(`${kind}.${what}`);
      if (process.env.DRIVER_TEXTS && new Set(texts).size > 1) console.error(kind, what, texts);
    }
  return found;
}

async function editAndCut() {
  const clients = [];
  for (const [at, kind] of Object.keys(KINDS).entries()) {
    clients.push(await client(kind, `${kind}-a`, Number(args.seed) * 10 + at));
    clients.push(await client(kind, `${kind}-b`, Number(args.seed) * 10 + at + 5));
  }
  const names = clients.map((c) => c.user).sort();
  const everybody = async (who) => (await Promise.all(who.map((c) => c.call("presence")))).every((seen) => names.every((name) => seen.includes(name)));
  result.presence_first_ms = await until(() => everybody(clients));
  for (const c of clients) await c.call("start");
  await wait(seconds / 2);
  const lost = clients.filter((c) => c.user.endsWith("-a"));
  for (const c of lost) c.net.cut();
  await wait(Number(args.cut));
  result.noticed_loss = (await Promise.all(lost.map((c) => c.call("connected")))).every((connected) => !connected);
  for (const c of lost) c.net.restore();
  result.reconnected_ms = await until(async () => (await Promise.all(lost.map((c) => c.call("connected")))).every(Boolean), 60);
  result.presence_after_cut_ms = await until(() => everybody(clients), 60);
  await wait(seconds / 2);
  result.edits = (await Promise.all(clients.map((c) => c.call("stop")))).reduce((sum, n) => sum + n, 0);
  result.converged_ms = await until(async () => (await differences(clients)).length === 0, 30);
  result.differences = await differences(clients);
  result.characters = Object.fromEntries(await Promise.all(lost.map(async (c) => [c.kind, (await c.call("shared")).length])));
  for (const c of clients) await c.close();
}

async function refusedEdits() {
  result.refused = [];
  for (const [kind, section] of [["codemirror", args.locked], ["quill", args.quill.replace(/^s\//, "")]].filter(([kind]) => kind in KINDS)) {
    const writer = await client(kind, `${kind}-refused`, 1, `s/${section}`);
    const reader = await client(kind, `${kind}-reader`, 2, `s/${section}`);
    const before = await writer.call("shared");
    const answer = await fetch(`${api}/locks`, { method: "POST", headers: headers("holder"), body: JSON.stringify({ sections: [section], lease_ms: 60_000 }) });
    if (!answer.ok) throw new Error(`the lock was not granted: ${answer.status} ${await answer.text()}`);
    const { locks: [{ token }] } = await answer.json();
    const seen = await until(async () => !!(await writer.call("lockTable"))?.sections?.[section]?.lock, 15);
    const times = [];
    for (let n = 0; n < 5; n++) times.push(await writer.call("refused", `REFUSED${n} `, 5000));
    await writer.call("reconnect");
    await until(() => writer.call("synced"));
    // One more client reads what the server has now.
    const fresh = await client(kind, `${kind}-fresh`, 3, `s/${section}`);
    const after = await Promise.all([writer, reader, fresh].map((c) => c.call("shared")));
    await fetch(`${api}/locks/${section}?token=${token}`, { method: "DELETE", headers: headers("holder") });
    // Free again: an edit of the same client is accepted, so it is not stuck.
    await until(async () => !(await reader.call("lockTable"))?.sections?.[section]?.lock, 15);
    await writer.call("insert", "ACCEPTED ");
    const accepted = await until(async () => (await reader.call("shared")).includes("ACCEPTED "));
    result.refused.push({ kind, section, lock_seen_ms: seen, gone_ms: times.map((t) => t && Math.round(t * 10) / 10), back: after.some((text) => text !== before), accepted_later: accepted !== null });
    for (const c of [writer, reader, fresh]) await c.close();
  }
}

try {
  await editAndCut();
  await refusedEdits();
} catch (error) {
  errors.push(String(error.stack ?? error));
}
await browser.close();
const within = Number(args["refused-ms"]);
const checks = {
  presence: result.presence_first_ms != null && result.presence_after_cut_ms != null,
  loss_noticed: result.noticed_loss === true || Number(args.cut) < 33, // the stock client gives up after 30 s without a message, and looks each 3 s
  converged: result.converged_ms != null,
  refused: result.refused?.length === Object.keys(KINDS).filter((kind) => kind !== "tiptap").length && result.refused.every((r) => !r.back && r.accepted_later && r.lock_seen_ms != null && r.gone_ms.every((t) => t !== null && t <= within)),
  no_errors: errors.length === 0,
};
console.log(JSON.stringify({ ok: Object.values(checks).every(Boolean), checks, ...result, errors }));
process.exitCode = Object.values(checks).every(Boolean) ? 0 : 1;
