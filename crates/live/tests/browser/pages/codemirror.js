// CodeMirror 6 with y-codemirror.next, as its own documentation shows it.
import { EditorView, basicSetup } from "codemirror";
import { markdown } from "@codemirror/lang-markdown";
import { yCollab } from "y-codemirror.next";
import { doc, provider, random, root, serveClient, whole, word } from "./client.js";

const ytext = doc.getText(root);
const view = new EditorView({
  doc: ytext.toString(),
  extensions: [basicSetup, markdown(), yCollab(ytext, provider.awareness)],
  parent: document.querySelector("#editor"),
});

serveClient({
  kind: "codemirror",
  view: () => view.state.doc.toString(),
  shared: () => ytext.toString(),
  insert: (text) => view.dispatch({ changes: { from: 0, insert: text } }),
  edit() {
    const text = view.state.doc.toString();
    const from = whole(text, random(text.length + 1));
    const to = random(4) === 0 ? whole(text, Math.min(text.length, from + random(12))) : from;
    view.dispatch({ changes: { from, to, insert: to > from ? "" : word() }, selection: { anchor: from } });
  },
});
