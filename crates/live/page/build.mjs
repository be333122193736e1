// Makes ../assets/editor.js and ../assets/LICENSES.txt from the packages that package-lock.json pins.
//
//   node build.mjs           writes them
//   node build.mjs --check   builds again, compares the bytes, writes nothing; exit status 1 if they differ
//
// The same lock file gives the same bytes: no time, path or machine goes in.
import { build } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "..", "assets");

/**
 * style-mod (CodeMirror's style sheets) uses constructable sheets in shadow roots only, and a `<style>`
 * element in a document, which `style-src 'self'` forbids. The sheets are allowed everywhere, so the
 * bundle drops that one condition. A new version of style-mod without this text fails the build.
 */
const sheetsWithoutElements = {
  name: "sheets-without-elements",
  setup(b) {
    b.onLoad({ filter: /style-mod[\\/]src[\\/]style-mod\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const before = "if (!root.head && root.adoptedStyleSheets && win.CSSStyleSheet) {";
      if (source.split(before).length !== 2) throw new Error(`${path}: the condition to change is gone`);
      return { contents: source.replace(before, "if (root.adoptedStyleSheets && win.CSSStyleSheet) {"), loader: "js" };
    });
  },
};

/** Markdown without highlighting inside HTML tags: that would bring grammars of HTML, CSS and JavaScript (170 kB). */
const markdownWithoutHtml = {
  name: "markdown-without-html",
  setup(b) {
    b.onResolve({ filter: /^@codemirror\/lang-html$/ }, () => ({ path: join(here, "src", "no-html.js") }));
  },
};

const { outputFiles, metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["src/editor.js"],
  outfile: "editor.js",
  bundle: true,
  write: false,
  metafile: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none", // they stand in LICENSES.txt
  plugins: [sheetsWithoutElements, markdownWithoutHtml],
});

/** The packages whose code is in the bundle, by name. */
function packages() {
  const [{ inputs }] = Object.values(metafile.outputs);
  const used = Object.entries(inputs).filter(([, input]) => input.bytesInOutput > 0);
  const names = used.map(([path]) => path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1]);
  return [...new Set(names.filter(Boolean))].sort();
}

async function licences() {
  const parts = [];
  for (const name of packages()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    if (license !== "MIT") throw new Error(`${name}: licence ${license} has not been looked at`);
    const text = await readFile(join(folder, "LICENSE"), "utf8");
    parts.push(`${name} ${version} (${license})\n\n${text.replace(/\r\n/g, "\n").trim()}\n`);
  }
  const rule = `\n${"-".repeat(72)}\n\n`;
  return `editor.js is made of these packages, unchanged but for what page/build.mjs says.\n${rule}${parts.join(rule)}`;
}

const files = { "editor.js": outputFiles[0].text, "LICENSES.txt": await licences() };
const check = process.argv.includes("--check");
for (const [name, text] of Object.entries(files)) {
  const path = join(assets, name);
  if (!check) {
    await writeFile(path, text);
    console.log(`${name} ${Buffer.byteLength(text)} bytes`);
  } else if ((await readFile(path, "utf8").catch(() => "")) !== text) {
    console.error(`${name} is not what this lock file gives: npm ci && npm run build, then commit it`);
    process.exitCode = 1;
  }
}
