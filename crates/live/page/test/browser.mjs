// A headless browser for tests, which notices every console error and every violation of the content security policy.
import { chromium } from "playwright-core";
import { existsSync } from "node:fs";

const candidates = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export async function launch() {
  const executablePath = candidates.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error("no browser: install chromium, or name one in CHROMIUM");
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
  const complaints = [];
  return {
    complaints,
    closeContexts: () => Promise.all(browser.contexts().map((context) => context.close())),
    close: () => browser.close(),
    /** A page of its own context: its own storage, its own network switch. `expect`: patterns of console errors that are part of the test. */
    async page(url, { name, expect = [], init, ...options } = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
      await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(url).origin });
      if (name) await context.addInitScript((value) => localStorage.setItem("ggml-agent.name", value), name);
      await context.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`)));
      if (init) await context.addInitScript(init);
      const page = await context.newPage();
      const note = (text) => expect.some((pattern) => pattern.test(text)) || complaints.push(`${name ?? "page"}: ${text}`);
      page.setDefaultTimeout(10_000);
      page.on("console", (message) => ["error", "warning"].includes(message.type()) && note(`${message.type()}: ${message.text()}`));
      page.on("pageerror", (error) => note(`pageerror: ${error.stack}`));
      await page.goto(url);
      return page;
    },
  };
}
