// CodeMirror for one section: Markdown, the shared text, others' carets, authors' colours, read-only while locked by another.
import {
  Compartment, Decoration, EditorState, EditorView, HighlightStyle, Prec, StateEffect, StateField, WidgetType, Y,
  keymap, markdown, markdownLanguage, minimalSetup, syntaxHighlighting, tags, yCollab, ySyncAnnotation,
} from "./editor.js";
import { hue } from "./people.js";

const style = HighlightStyle.define([
  { tag: tags.heading1, class: "md-h1" },
  { tag: tags.heading2, class: "md-h2" },
  { tag: tags.heading, class: "md-h3" },
  { tag: tags.strong, class: "md-strong" },
  { tag: tags.emphasis, class: "md-em" },
  { tag: tags.strikethrough, class: "md-strike" },
  { tag: tags.monospace, class: "md-code" },
  { tag: [tags.link, tags.url], class: "md-link" },
  { tag: tags.quote, class: "md-quote" },
  { tag: [tags.processingInstruction, tags.meta, tags.contentSeparator], class: "md-mark" },
]);

// Sizes and colours of the text are in page.css; here is only what must win over CodeMirror's own sheet.
const theme = EditorView.theme({
  "&": { color: "inherit", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "inherit", lineHeight: "inherit", overflow: "visible" },
  ".cm-content": { padding: "0", caretColor: "var(--ink)" },
  ".cm-line": { padding: "0" },
});

class Caret extends WidgetType {
  constructor(person) {
    super();
    this.person = person;
  }
  eq({ person }) {
    return person.client === this.person.client && person.head === this.person.head && person.name === this.person.name;
  }
  toDOM() {
    const caret = document.createElement("span");
    caret.className = `caret ${hue(this.person)}`;
    const flag = document.createElement("span");
    flag.className = "caret-name";
    flag.textContent = this.person.name;
    caret.append(flag);
    caret.setAttribute("aria-hidden", "true"); // the list of people says who is here
    return caret;
  }
  ignoreEvent() {
    return true;
  }
}

/** A field of decorations that an effect replaces and edits shift. */
function layer(make) {
  const set = StateEffect.define();
  const field = StateField.define({
    create: () => Decoration.none,
    update(value, transaction) {
      let next = value.map(transaction.changes);
      for (const effect of transaction.effects) if (effect.is(set)) next = make(effect.value, transaction.state.doc.length);
      return next;
    },
    provide: (self) => EditorView.decorations.from(self),
  });
  return { set, field };
}

const caretLayer = layer((people, length) =>
  Decoration.set(
    people.flatMap((person) => {
      const [from, to, head] = [person.from, person.to, person.head].map((at) => Math.min(at, length));
      const caret = Decoration.widget({ widget: new Caret(person), side: head === from ? -1 : 1 }).range(head);
      return from < to ? [Decoration.mark({ class: `chosen ${hue(person)}` }).range(from, to), caret] : [caret];
    }),
    true,
  ),
);

const authorLayer = layer((runs, length) => {
  const marks = [];
  let at = 0;
  for (const { len, author } of runs) {
    const to = Math.min(at + len, length);
    if (to > at && author.kind !== "server") marks.push(Decoration.mark({ class: `author ${hue(author)}`, attributes: { title: `${author.name} (${author.kind})` } }).range(at, to));
    at = to;
  }
  return Decoration.set(marks);
});

/** One mounted editor. */
export class SectionEditor {
  /**
   * `undo` lives longer than the editor, so that history survives when a far section is unmounted. `on`: `edited(before)` for
   * local edits, `caret(selection | null)`.
   */
  constructor({ ytext, undo, parent, label, writable, on }) {
    this.undo = undo;
    this.access = new Compartment();
    this.view = new EditorView({
      parent,
      state: EditorState.create({
        doc: ytext.toString(),
        extensions: [
          // Undo and redo are Yjs' own, which know this person's edits from others'; they must not touch a locked section.
          Prec.highest(keymap.of([
            { key: "Mod-z", run: () => this.step("undo"), preventDefault: true },
            { key: "Mod-y", mac: "Mod-Shift-z", run: () => this.step("redo"), preventDefault: true },
            { linux: "Ctrl-Shift-z", run: () => this.step("redo"), preventDefault: true },
          ])),
          EditorView.domEventHandlers({ beforeinput: (event, view) => this.beforeInput(event, view) }),
          yCollab(ytext, null, { undoManager: undo }),
          minimalSetup,
          markdown({ base: markdownLanguage, completeHTMLTags: false, pasteURLAsLink: true }),
          syntaxHighlighting(style),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "true", autocorrect: "on", autocapitalize: "sentences" }),
          this.access.of(access(writable)),
          caretLayer.field,
          authorLayer.field,
          theme,
          EditorView.updateListener.of((update) => {
            if (update.docChanged && update.transactions.some((t) => t.docChanged && !t.annotation(ySyncAnnotation))) on.edited(update.startState.doc.toString());
            if (update.selectionSet || update.focusChanged || update.docChanged) on.caret(update.view.hasFocus ? update.state.selection.main : null);
          }),
        ],
      }),
    });
  }

  beforeInput(event, view) {
    const step = { historyUndo: "undo", historyRedo: "redo" }[event.inputType];
    if (step) return this.step(step);
    // Left to itself, the browser types over a selection in the style of what was there, as an inline style: it would have
    // no effect, since CodeMirror draws the line anew, but the content security policy forbids it.
    const over = event.inputType === "insertText" && event.data !== null && !view.composing && !view.state.selection.main.empty;
    if (!over || view.state.readOnly) return false;
    view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
    return true;
  }

  step(what) {
    if (!this.view.state.readOnly) this.undo[what]();
    return true;
  }

  setWritable(writable) {
    if (this.view.state.readOnly === !writable) return;
    this.view.dispatch({ effects: this.access.reconfigure(access(writable)) });
  }

  setCarets(people) {
    this.view.dispatch({ effects: caretLayer.set.of(people) });
  }

  setAuthors(runs) {
    this.view.dispatch({ effects: authorLayer.set.of(runs) });
  }

  destroy() {
    this.view.destroy();
  }
}

// Read-only keeps the caret, so the text can be read, selected and copied by keyboard.
const access = (writable) => [EditorState.readOnly.of(!writable), EditorView.contentAttributes.of({ "aria-readonly": String(!writable) })];

/** An undo history of this page's own edits in one section. */
export const undoOf = (ytext) => new Y.UndoManager(ytext, { captureTimeout: 400 });
