// What is done with local edits after a change of epoch: rows of (before, mine, theirs) and the text that must come out.
import assert from "node:assert/strict";
import { merge, splice } from "../../assets/rescue.js";

const ROWS = [
  ["nothing was typed", "a b c", "a b c", "a x c", "a x c"],
  ["the server had it all", "a b", "a b c", "a b c", "a b c"],
  ["the server had none of it", "a b", "a b c", "a b", "a b c"],
  ["another wrote before it", "one two", "one two three", "zero one two", "zero one two three"],
  ["another wrote after it", "one two", "zero one two", "one two three", "zero one two three"],
  ["the server had it, and another wrote elsewhere", "one two", "one two!!", "zero one two!!", "zero one two!!"],
  ["a deletion, another wrote before it", "one two three", "one two", "zero one two three", "zero one two"],
  ["both changed one word", "one two three", "one 2 three", "one TWO three", null],
  ["another removed where it stood", "one two three", "one two! three", "", null],
];

for (const [name, base, mine, theirs, expected] of ROWS) {
  const result = merge(base, mine, theirs);
  const text = result === null ? null : result === "present" ? theirs : theirs.slice(0, result.at) + result.insert + theirs.slice(result.at + result.remove);
  assert.equal(text, expected, name);
}
for (const [before, after] of [["", ""], ["aa", "aaa"], ["aaa", "aa"], ["abcabc", "abc"], ["😀", "😃"]]) {
  const { at, remove, insert } = splice(before, after);
  assert.equal(before.slice(0, at) + insert + before.slice(at + remove), after);
}
console.log(`rescue: ${ROWS.length} rows`);
