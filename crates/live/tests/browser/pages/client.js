// What the three pages have in common: a stock provider, and `window.client` for the driver. No rule of ours is in here.
import * as Y from "yjs";
import { WebsocketProvider } from "y-websocket";

const query = new URLSearchParams(location.search);
export const user = query.get("user");
export const root = query.get("root");
/** No formats: the server has plain texts only. */
export const plain = query.has("plain");
export const doc = new Y.Doc();
export const provider = new WebsocketProvider(query.get("ws"), query.get("room"), doc, { params: { user }, disableBc: true });
provider.awareness.setLocalStateField("user", { name: user, color: "#30698e", colorLight: "#30698e33" });

// The same edits for the same seed (LCG of Numerical Recipes).
let seed = Number(query.get("seed") ?? 1) >>> 0;
export function random(below) {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
}
const WORDS = ["ridge", "mirror", "frost", "drift", "café", "日本語", "👩‍🚀", "e\u0301", "log", "dusk"];
export const word = () => `${WORDS[random(WORDS.length)]}${random(1000)} `;

/**
 * `at`, or the place before it if that is inside a surrogate pair of `text`: no caret can stand there, and Yjs does not keep
 * two clients equal when one is split (half a pair has no UTF-8).
 */
export const whole = (text, at) => (/[\uDC00-\uDFFF]/.test(text[at] ?? "") ? at - 1 : at);

/**
 * `editor`: `edit()` makes one random edit through the editor, `insert(text)` one at its beginning, `view()` what the editor
 * shows, as text that two clients can compare; `shared()` the same of the shared type.
 */
export function serveClient(editor) {
  let timer = null;
  let edits = 0;
  window.client = {
    ...editor,
    synced: () => provider.synced,
    connected: () => provider.wsconnected,
    reconnect: () => (provider.disconnect(), provider.connect()),
    clientId: () => doc.clientID,
    presence: () => [...provider.awareness.getStates().values()].map((state) => state.user?.name).filter(Boolean).sort(),
    lockTable: () => [...provider.awareness.getStates().values()].find((state) => state.server)?.server ?? null,
    start() {
      const step = () => {
        editor.edit();
        edits++;
        timer = setTimeout(step, 40 + random(160));
      };
      timer ??= setTimeout(step, random(200));
    },
    stop() {
      clearTimeout(timer);
      timer = null;
      return edits;
    },
    /** Inserts `marker` and resolves with the milliseconds until it is gone again; null after `limit`. */
    refused(marker, limit) {
      return new Promise((resolve) => {
        const begun = performance.now();
        const look = () => {
          if (editor.view().includes(marker) || editor.shared().includes(marker)) return;
          doc.off("afterTransaction", look);
          clearTimeout(end);
          resolve(performance.now() - begun);
        };
        const end = setTimeout(() => (doc.off("afterTransaction", look), resolve(null)), limit);
        editor.insert(marker);
        if (!editor.shared().includes(marker)) throw new Error("the editor did not insert the marker");
        doc.on("afterTransaction", look);
      });
    },
  };
}
