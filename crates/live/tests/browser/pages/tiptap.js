// TipTap 3 with its Collaboration extension on a Y.XmlFragment.
import { Editor } from "@tiptap/core";
import StarterKit from "@tiptap/starter-kit";
import Collaboration from "@tiptap/extension-collaboration";
import { doc, random, root, serveClient, whole, word } from "./client.js";

const fragment = doc.getXmlFragment(root);
const editor = new Editor({
  element: document.querySelector("#editor"),
  extensions: [StarterKit.configure({ undoRedo: false }), Collaboration.configure({ fragment })],
});

/** A range of up to 12 units inside one text block: TipTap refuses text elsewhere. */
function place() {
  const blocks = [];
  editor.state.doc.descendants((node, at) => {
    // A line break is one unit, as in the positions.
    if (node.isTextblock) blocks.push([at + 1, node.textBetween(0, node.content.size, "", "\n")]);
  });
  const [at, text] = blocks[random(blocks.length)];
  const from = whole(text, random(text.length + 1));
  return { from: at + from, to: at + whole(text, Math.min(text.length, from + random(12))) };
}

serveClient({
  kind: "tiptap",
  view: () => JSON.stringify(editor.getJSON()),
  shared: () => fragment.toString(),
  insert: (text) => editor.commands.insertContentAt(1, text),
  edit() {
    const { from, to } = place();
    const what = random(10);
    if (what < 5) editor.commands.insertContentAt(from, { type: "text", text: word() });
    else if (what < 7) editor.commands.deleteRange({ from, to });
    else if (what < 8) editor.chain().setTextSelection(from).splitBlock().run();
    else if (what < 9) editor.chain().setTextSelection({ from, to }).toggleBold().run();
    else editor.chain().setTextSelection(from).toggleHeading({ level: 2 }).run();
  },
});
