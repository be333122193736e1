// Stands in for @codemirror/lang-html, see build.mjs: HTML inside Markdown is text without colours.
export const html = () => ({ support: [], language: { parser: undefined } });
export const htmlCompletionSource = () => null;
