// Quill 2 with y-quill on a Y.Text.
import Quill from "quill";
import { QuillBinding } from "y-quill";
import { doc, plain, provider, random, root, serveClient, whole, word } from "./client.js";

const ytext = doc.getText(root);
const quill = new Quill(document.querySelector("#editor"), { modules: { toolbar: false, history: { userOnly: true } } });
const binding = new QuillBinding(ytext, quill, provider.awareness);

serveClient({
  kind: "quill",
  binding,
  view: () => JSON.stringify(quill.getContents().ops),
  shared: () => ytext.toString(),
  insert: (text) => quill.insertText(0, text, "user"),
  edit() {
    const text = quill.getText();
    const at = whole(text, random(text.length));
    const length = whole(text, Math.min(text.length - 1, at + random(12))) - at; // the last line break stays
    const what = random(10);
    if (what < 6 || (plain && what >= 8)) quill.insertText(at, word(), "user");
    else if (what < 8) quill.deleteText(at, length, "user");
    else quill.formatText(at, length, "bold", random(2) === 0, "user");
  },
});
