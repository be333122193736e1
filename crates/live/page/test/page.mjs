// The page in two real browsers against the mock: `node test/page.mjs [FILTER]`. Needs chromium. Screenshots go to out/.
//
// Nothing is waited for by time: each step waits for what it is about, and fails after 10 seconds without it.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { serve } from "../mock/server.mjs";
import { stream } from "../mock/agent.mjs";
import { REPORT, long } from "../mock/texts.mjs";
import { launch } from "./browser.mjs";

const out = new URL("../out/", import.meta.url).pathname;
mkdirSync(out, { recursive: true });
const OFFLINE = [/net::ERR_/, /WebSocket connection to/];

const editor = (page, sid) => page.locator(`#section-${sid} .cm-content`);
const agent = { id: "agent/writer-1", name: "writer-1", kind: "agent" };
const reviewer = { id: "agent/reviewer", name: "reviewer", kind: "agent" };

/** Waits until `look()` is true. */
async function until(what, look) {
  for (let n = 0; n < 200; n++) {
    if (await look()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`never happened: ${what}`);
}
const text = (mock, sid) => mock.room.section(sid).ytext.toString();
const shown = (page, sid) =>
  page.evaluate(async (id) => {
    const { EditorView } = await import("/assets/editor.js"); // the page's own module
    return EditorView.findFromDOM(document.querySelector(`#section-${id} .cm-editor`)).state.doc.toString();
  }, sid);
const live = (page) => page.waitForSelector("#status[data-status=live]");
// The page tries by itself, too: the button may be gone already.
const tryNow = (page) => page.evaluate(() => document.querySelector("#banner:not([hidden]) button")?.click());
async function end(page, sid) {
  await editor(page, sid).click();
  await page.keyboard.press("Control+End");
}

const TESTS = {
  async "two people write at the same time and see the same text and each other"({ mock, open }) {
    const [ana, ben] = [await open("Ana", { expect: OFFLINE }), await open("Ben", { expect: OFFLINE })];
    await Promise.all([end(ana, "s2").then(() => ana.keyboard.type("From Ana. ")), end(ben, "s2").then(() => ben.keyboard.type("From Ben. "))]);
    await until("both texts", async () => /Ana/.test(text(mock, "s2")) && /Ben/.test(text(mock, "s2")) && (await shown(ana, "s2")) === (await shown(ben, "s2")));
    assert.equal(await shown(ana, "s2"), text(mock, "s2"));
    await ana.waitForSelector("#section-s2 .caret-name:text('Ben')", { state: "attached" });
    await ben.waitForSelector("#people .person:has-text('Ana')");
    mock.cut(true);
    await ana.waitForSelector("#banner:not([hidden])");
    await until("alone while offline", async () => (await ana.locator("#people .person").count()) === 1);
    mock.cut(false);
    await Promise.all([live(ana), live(ben)]);
    await until("both see each other again", async () => (await Promise.all([ana, ben].map((page) => page.locator("#people .person").count()))).every((n) => n === 2));
    await ben.close();
    await until("Ben is gone", async () => (await ana.locator("#people .person:has-text('Ben')").count()) === 0);
  },

  async "a section that an agent holds is read-only, says so, and is writable again afterwards"({ mock, open }) {
    const ana = await open("Ana");
    const [{ token }] = mock.room.lock(["s4"], agent, 30_000).locks;
    await ana.waitForSelector("#section-s4[data-lock=theirs]");
    assert.match(await ana.locator("#section-s4 .holder").innerText(), /Locked by\s+writer-1[^]*0:\d\d/);
    assert.equal(await editor(ana, "s4").getAttribute("aria-readonly"), "true");
    const before = text(mock, "s4");
    await end(ana, "s4");
    await ana.keyboard.type("refused");
    await ana.keyboard.press("Control+z");
    assert.equal(await shown(ana, "s4"), before);
    mock.room.unlock("s4", { token });
    await ana.waitForSelector("#section-s4[data-lock=free]");
    await ana.keyboard.type("accepted");
    await until("the text arrives", () => text(mock, "s4").endsWith("accepted"));
  },

  async "text that an agent streams appears while it is written"({ mock, open }) {
    const ana = await open("Ana");
    await stream(mock, "s4", "writer-1", ["one ", "two ", "three"], 30);
    await until("all words", async () => (await shown(ana, "s4")).endsWith("one two three"));
  },

  async "an agent's lock can be taken over, and given back"({ mock, open }) {
    const ana = await open("Ana");
    mock.room.lock(["s4"], agent, 30_000);
    await ana.locator("#section-s4 .bar-button", { hasText: "Take over" }).click();
    await ana.waitForSelector("#section-s4[data-lock=mine]");
    await ana.locator("#section-s4 .bar-button", { hasText: "Release" }).click();
    await ana.waitForSelector("#section-s4[data-lock=free]");
    assert.equal(mock.room.section("s4").lock, null);
  },

  async "another person's lock is released by force only after a question"({ mock, open }) {
    const [ana, ben] = [await open("Ana"), await open("Ben")];
    await ana.locator("#section-s3 .bar-button").click();
    await ben.waitForSelector("#section-s3[data-lock=theirs]");
    await ben.locator("#tab-locks").click();
    await ben.getByRole("button", { name: "Force release" }).click();
    await ben.keyboard.press("Escape");
    assert.ok(mock.room.section("s3").lock, "Escape means no");
    await ben.getByRole("button", { name: "Force release" }).click();
    await ben.locator("dialog").getByRole("button", { name: "Force release" }).click();
    await ana.waitForSelector("#section-s3[data-lock=free]");
    assert.equal(mock.room.log.at(-1).what, "forced");
  },

  async "what is typed without a connection is sent later"({ mock, open }) {
    const ana = await open("Ana", { expect: OFFLINE });
    mock.cut(true);
    await ana.waitForSelector("#banner:not([hidden])");
    assert.match(await ana.locator("#banner").innerText(), /connection is lost/);
    await end(ana, "s2");
    await ana.keyboard.type("typed offline");
    mock.cut(false);
    await tryNow(ana);
    await live(ana);
    await until("the text arrives", () => text(mock, "s2").endsWith("typed offline"));
    assert.ok(await ana.locator("#banner").isHidden());
  },

  async "an edit of a section that was locked meanwhile is taken back, shown, and does not come back"({ mock, open }) {
    const ana = await open("Ana", { expect: OFFLINE });
    const before = text(mock, "s4");
    mock.cut(true);
    await ana.waitForSelector("#banner:not([hidden])");
    await end(ana, "s4");
    await ana.keyboard.type("too late");
    mock.room.lock(["s4"], agent, 30_000);
    mock.cut(false);
    await tryNow(ana);
    const toast = ana.locator(".toast", { hasText: "is locked by writer-1; your change was taken back" });
    await toast.waitFor();
    await until("the text is gone", async () => (await shown(ana, "s4")) === before);
    await toast.getByRole("button", { name: "Copy my text" }).click();
    assert.equal(await ana.evaluate(() => navigator.clipboard.readText()), "too late");
    mock.cut(true);
    await ana.waitForSelector("#banner:not([hidden])");
    mock.cut(false);
    await tryNow(ana);
    await live(ana);
    assert.equal(await shown(ana, "s4"), before);
    assert.equal(text(mock, "s4"), before);
  },

  async "a new epoch reopens the document and carries unsent edits over, or shows them"({ mock, open }) {
    const ana = await open("Ana", { expect: OFFLINE });
    mock.cut(true);
    await ana.waitForSelector("#banner:not([hidden])");
    await end(ana, "s2");
    await ana.keyboard.type("kept over");
    await editor(ana, "s3").click();
    await ana.keyboard.press("Control+a");
    await ana.keyboard.type("all of it anew");
    mock.room.write("s3", agent, "## Method\n\nRewritten meanwhile.\n");
    mock.renew();
    mock.cut(false);
    await tryNow(ana);
    await until("the text arrives in the new epoch", () => text(mock, "s2").endsWith("kept over"));
    await ana.locator(".toast", { hasText: "had changed where you wrote" }).getByRole("button", { name: "Copy my text" }).click();
    assert.match(await ana.evaluate(() => navigator.clipboard.readText()), /all of it anew/);
    assert.equal(text(mock, "s3"), "## Method\n\nRewritten meanwhile.\n");
    await live(ana);
    await end(ana, "s6");
    await ana.keyboard.type("and on");
    await until("typing goes on", () => text(mock, "s6").endsWith("and on"));
  },

  async "suggestions are accepted and rejected"({ mock, open }) {
    const ana = await open("Ana");
    mock.room.suggest("s3", reviewer, text(mock, "s3").replace("4 arcseconds", "6 arcseconds"), "Wider dithering.");
    mock.room.suggest("s2", reviewer, "## Summary\n", "Shorter.");
    await ana.locator("#tab-suggestions .count", { hasText: "2" }).waitFor();
    await ana.locator("#tab-suggestions").click();
    await ana.locator(".card", { hasText: "Wider" }).getByRole("button", { name: "Accept" }).click();
    await until("accepted", () => text(mock, "s3").includes("6 arcseconds"));
    const before = text(mock, "s2");
    await ana.locator(".card", { hasText: "Shorter" }).getByRole("button", { name: "Reject" }).click();
    await ana.getByText("No suggestions are open").waitFor();
    assert.equal(text(mock, "s2"), before);
  },

  async "history shows the words that changed, restores a version and undoes an author"({ mock, open }) {
    const ana = await open("Ana");
    const imported = text(mock, "s7");
    mock.room.write("s7", agent, `${imported}- Who pays?\n`);
    mock.room.write("s2", agent, `${text(mock, "s2")}Also this.\n`);
    await ana.locator("#tab-history").click();
    await ana.locator(".card-head", { hasText: "Open questions" }).first().click();
    assert.match(await ana.locator(".card-body ins").innerText(), /Who pays\?/);
    await ana.getByRole("button", { name: "Undo all by writer-1" }).click();
    await ana.locator("dialog").getByRole("button", { name: "In the whole document" }).click();
    await until("undone", () => !text(mock, "s2").includes("Also this") && text(mock, "s7") === imported);
    await ana.getByRole("button", { name: "Restore v2" }).click();
    await until("restored", () => text(mock, "s7").includes("Who pays?"));
  },

  async "text has its authors' colours and names when asked for"({ mock, open }) {
    const ana = await open("Ana");
    mock.room.write("s2", agent, `${text(mock, "s2")}By the agent.`);
    await ana.locator("#authors").click();
    await ana.locator("#section-s2 .author[title='writer-1 (agent)']", { hasText: "By the agent." }).waitFor();
    await ana.locator("#legend", { hasText: "writer-1 (agent)" }).waitFor();
    await ana.locator("#authors").click();
    await until("no colours", async () => (await ana.locator("#sections .author").count()) === 0);
  },

  async "everything can be done with the keyboard alone, and the focus is visible everywhere"({ mock, open }) {
    const ana = await open(null);
    await ana.keyboard.type("Ana");
    await ana.keyboard.press("Enter");
    await live(ana);
    const { keyboard } = ana;
    const focus = (what) => until(what, () => ana.evaluate((selector) => !!document.activeElement?.closest(selector), what));
    await keyboard.press("Alt+PageDown");
    await keyboard.press("Alt+PageDown");
    const at = await ana.evaluate(() => document.activeElement.closest("[data-section]").dataset.section);
    await keyboard.press("Alt+Enter");
    await focus(`#section-${at} .cm-content`);
    await keyboard.press("Control+End");
    await keyboard.type("by keyboard");
    await until("typed", () => text(mock, at).endsWith("by keyboard"));
    await keyboard.press("Control+z");
    await until("undone", () => !text(mock, at).includes("by keyboard"));
    await keyboard.press("Alt+l");
    await ana.waitForSelector(`#section-${at}[data-lock=mine]`);
    await keyboard.press("Alt+l");
    await ana.waitForSelector(`#section-${at}[data-lock=free]`);
    await keyboard.press("Escape");
    await focus(`#title-${at}`);
    await keyboard.press("Alt+h");
    await focus("#tab-history");
    await keyboard.press("ArrowRight");
    await focus("#tab-suggestions[aria-selected=true]");
    await keyboard.press("Alt+Slash");
    await ana.locator("dialog", { hasText: "next section" }).waitFor();
    await keyboard.press("Escape");
    await until("help is closed", async () => (await ana.locator("dialog").count()) === 0);
    await focus("#tab-suggestions");

    // Tab through the whole page: every stop is seen, and no text keeps the focus.
    await ana.evaluate(() => (scrollTo(0, 0), document.querySelector(".skip").focus()));
    const stops = [];
    for (let n = 0; n < 60; n++) {
      await keyboard.press("Tab");
      const stop = await ana.evaluate(() => {
        const { activeElement: e } = document;
        if (e === document.body) return null;
        const seen = getComputedStyle(e).outlineStyle !== "none" || !!e.closest(".section:focus-within .cm-content") || e.id === "document";
        return { seen, what: e.id || e.className, section: e.closest("[data-section]")?.dataset.section };
      });
      if (!stop) break;
      stops.push(stop);
    }
    assert.deepEqual(stops.filter((stop) => !stop.seen), []);
    for (const id of ["authors", "panel-toggle", "help-open", "tab-suggestions", "tab-body"]) assert.ok(stops.some((s) => s.what === id), `${id} is reached`);
    assert.equal(new Set(stops.filter((s) => s.what.includes("cm-content")).map((s) => s.section)).size, REPORT.length, "each text is reached");
  },

  async "an empty document and a server that is not there say what to do"({ launchMock, browser }) {
    const mock = await launchMock([]);
    const ana = await browser.page(`${mock.url}/doc/${mock.id}`, { name: "Ana", expect: OFFLINE });
    await ana.getByText("This document has no sections yet").waitFor();
    mock.cut(true);
    await ana.reload();
    await ana.getByText("The server cannot be reached").waitFor();
    mock.cut(false);
    await ana.getByRole("button", { name: "Try again" }).click();
    await ana.getByText("This document has no sections yet").waitFor();
    await live(ana);
    const lost = await browser.page(`${mock.url}/doc/other`, { name: "Ana", expect: [/404/] });
    await lost.getByText("there is no such page").waitFor();
  },

  async "a document of 200 sections has editors only near what is seen"({ launchMock, browser }) {
    const mock = await launchMock(long(200));
    const ana = await browser.page(`${mock.url}/doc/${mock.id}`, { name: "Ana", init: () => {
      window.longTasks = [];
      new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((e) => Math.round(e.duration)))).observe({ type: "longtask", buffered: true });
    } });
    await live(ana);
    await editor(ana, "s1").waitFor();
    const editors = () => ana.locator(".cm-editor").count();
    assert.ok((await editors()) < 20, "few at first");
    const opening = await ana.evaluate(() => longTasks.splice(0));
    const frames = await ana.evaluate(() => new Promise((resolve) => {
      const gaps = [];
      let last = performance.now();
      const step = (now) => {
        gaps.push(now - last);
        last = now;
        scrollBy(0, 400);
        if (innerHeight + scrollY < document.body.scrollHeight - 10 && gaps.length < 400) requestAnimationFrame(step);
        else resolve(gaps.sort((a, b) => a - b));
      };
      requestAnimationFrame(step);
    }));
    await editor(ana, "s200").waitFor();
    assert.ok((await editors()) <= 45, `${await editors()} editors`);
    await ana.locator("#tab-outline").click();
    await ana.locator(".outline-item", { hasText: "Station 100" }).click();
    await end(ana, "s100");
    await ana.keyboard.type("here");
    await until("typed", () => text(mock, "s100").endsWith("here"));
    const p = (q) => Math.round(frames[Math.floor(frames.length * q)]);
    console.log(`     200 sections: long tasks while opening ${JSON.stringify(opening)} ms; ${frames.length} frames of scrolling, p50 ${p(0.5)} ms, p95 ${p(0.95)} ms, max ${Math.round(frames.at(-1))} ms`);
  },

  async "the watch for violations of the policy works"({ open, browser }) {
    const ana = await open("Ana", { expect: [/never/] });
    await ana.evaluate(() => document.body.setAttribute("style", "color: red"));
    await until("it is noticed", () => browser.complaints.some((c) => c.includes("CSP: style-src")));
    browser.complaints.length = 0;
  },

  async "screenshots, to be looked at"({ mock, open }) {
    const ana = await open("Ana");
    const ben = await open("Ben", { colorScheme: "dark", reducedMotion: "reduce" });
    await end(ben, "s2");
    await ben.keyboard.type("The second night of ice could have been avoided.");
    mock.room.section("s6").reserved = ["writer-2"];
    mock.room.suggest("s3", reviewer, text(mock, "s3").replace("at dusk and at dawn", "at dusk, at midnight and at dawn").replace("4 arcseconds", "6 arcseconds"), "Three calibrations show the drift of the west unit.");
    await ana.locator("#section-s5 .bar-button").click();
    await end(ana, "s5");
    await ana.keyboard.type("Measured twice.");
    await stream(mock, "s4", "writer-1", "\nThe east mirror iced over at 02:40, a quarter of an hour before the dew point was reached.".split(/(?= )/), 10, { release: false });
    mock.room.section("s4").lock.waiting = 1;
    mock.room.onChange();
    await until("all is there", async () => (await shown(ana, "s4")).endsWith("reached.") && (await ana.locator("#section-s4 .holder", { hasText: "1 waiting" }).count()) === 1);
    await ana.locator("#authors").click();
    await ana.locator("#section-s2 .author").waitFor();
    await ana.locator("#tab-history").click();
    await ana.locator(".card-head", { hasText: "Weather" }).first().click();
    await ana.locator(".card-body").waitFor();
    await ben.locator("#tab-suggestions").click();
    await ben.locator(".card").waitFor();
    for (const [page, mode] of [[ana, "light"], [ben, "dark"]]) {
      await page.evaluate(() => (scrollTo(0, 0), document.activeElement.blur()));
      await page.screenshot({ path: `${out}${mode}-1280.png` });
      await page.evaluate(() => document.querySelector("#section-s4").scrollIntoView());
      await page.screenshot({ path: `${out}${mode}-1280-locks.png` });
      await page.setViewportSize({ width: 640, height: 900 });
      await page.screenshot({ path: `${out}${mode}-640-panel.png` });
      await page.locator("#panel-toggle").click();
      await page.evaluate(() => document.querySelector("#section-s4").scrollIntoView());
      await page.screenshot({ path: `${out}${mode}-640.png` });
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 640, "nothing is wider than the window");
    }
    mock.cut(true);
    await ben.waitForSelector("#banner:not([hidden])");
    await ben.screenshot({ path: `${out}dark-640-offline.png` });
    mock.cut(false);
  },
};

const browser = await launch();
const filter = process.argv[2] ?? "";
let failed = 0;
for (const [name, test] of Object.entries(TESTS).filter(([name]) => name.includes(filter))) {
  const mocks = [];
  const launchMock = async (sections) => (mocks.push(await serve({ sections })), mocks.at(-1));
  const mock = await launchMock(REPORT);
  const open = async (person, options = {}) => {
    const expect = name.startsWith("screenshots") ? OFFLINE : options.expect;
    const page = await browser.page(`${mock.url}/doc/${mock.id}`, { name: person ?? undefined, ...options, expect });
    if (person) await live(page).then(() => editor(page, "s1").waitFor());
    return page;
  };
  browser.complaints.length = 0;
  try {
    await test({ mock, open, launchMock, browser });
    assert.deepEqual(browser.complaints, [], "no console error, no violation of the policy");
    console.log(`ok   ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${name}\n     ${String(error.stack ?? error).replaceAll("\n", "\n     ")}\n     complaints: ${JSON.stringify(browser.complaints)}`);
  }
  await browser.closeContexts();
  for (const one of mocks) await one.close();
}
await browser.close();
process.exitCode = failed ? 1 : 0;
