// What the page takes from npm, in one module: the only third-party code that the binary serves.
export * as Y from "yjs";
export { WebsocketProvider } from "y-websocket";
export { Awareness } from "y-protocols/awareness";
export { readVarString } from "lib0/decoding";
export { yCollab, ySyncAnnotation } from "y-codemirror.next";
export { minimalSetup } from "codemirror";
export { EditorState, Compartment, Prec, RangeSet, StateEffect, StateField } from "@codemirror/state";
export { EditorView, Decoration, ViewPlugin, WidgetType, keymap, placeholder } from "@codemirror/view";
export { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
export { markdown, markdownLanguage } from "@codemirror/lang-markdown";
export { tags } from "@lezer/highlight";
