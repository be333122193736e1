// Word diff of two texts, for the mock's answers.

/** Runs `{op, text}` that lead from `before` to `after`, by words. */
export function diff(before, after) {
  const a = before.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
  const b = after.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const runs = [];
  const push = (op, text) => {
    if (text === "") return;
    if (runs.at(-1)?.op === op) runs.at(-1).text += text;
    else runs.push({ op, text });
  };
  push("keep", a.slice(0, head).join(""));
  middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail), push);
  push("keep", a.slice(a.length - tail).join(""));
  return runs;
}

// Longest common subsequence; beyond 4 million cells the middle is one replacement.
function middle(a, b, push) {
  if (a.length * b.length > 4_000_000) {
    push("delete", a.join(""));
    push("insert", b.join(""));
    return;
  }
  const width = b.length + 1;
  const lcs = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      lcs[i * width + j] =
        a[i] === b[j] ? lcs[(i + 1) * width + j + 1] + 1 : Math.max(lcs[(i + 1) * width + j], lcs[i * width + j + 1]);
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      push("keep", a[i++]);
      j++;
    } else if (i < a.length && (j === b.length || lcs[(i + 1) * width + j] >= lcs[i * width + j + 1])) push("delete", a[i++]);
    else push("insert", b[j++]);
  }
}

/** The one splice that leads from `before` to `after`: common beginning and end are kept. */
export function splice(before, after) {
  let at = 0;
  while (at < before.length && at < after.length && before[at] === after[at]) at++;
  let tail = 0;
  while (tail < before.length - at && tail < after.length - at && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  return { at, remove: before.length - at - tail, insert: after.slice(at, after.length - tail) };
}
