// Local edits that a change of epoch could lose: they are kept as text and re-applied to the new document.
//
// The new Y.Doc knows nothing of the old one's updates, so an edit that was typed just before, or while the connection was
// lost, is carried over as the difference between the text before it and the text after it.

// An edit this old, made while connected, has reached the server: frames arrive in order, and a socket
// whose frames wait longer is closed.
const SETTLED_MS = 5000;

export class Rescue {
  constructor(now = () => performance.now()) {
    this.now = now;
    this.edits = new Map(); // sid -> {base, middle, rolled}: texts before the edits that may be lost
    this.kept = new Map(); // sid -> {base, mine}
  }

  edited(sid, before, live) {
    const edit = this.edits.get(sid);
    if (!edit) this.edits.set(sid, { base: before, middle: before, rolled: this.now() });
    else if (live && this.now() - edit.rolled > SETTLED_MS) {
      // Two generations: what happened before the last one is settled.
      edit.base = edit.middle;
      edit.middle = before;
      edit.rolled = this.now();
    }
  }

  /** Takes over what `doc` (the old one) has. */
  keep(doc) {
    for (const [sid, { base }] of this.edits) {
      const mine = doc.getText(`s/${sid}`).toString();
      if (mine !== base && !this.kept.has(sid)) this.kept.set(sid, { base, mine });
    }
    this.edits.clear();
  }

  has() {
    return this.kept.size > 0;
  }

  /** Re-applies what was kept to `doc`; what no longer fits is returned as `left`, to be shown. */
  apply(doc) {
    const applied = [];
    const left = [];
    for (const [sid, { base, mine }] of this.kept) {
      const text = doc.getText(`s/${sid}`);
      const result = merge(base, mine, text.toString());
      if (result === "present") continue;
      if (result === null) {
        left.push({ section: sid, text: splice(base, mine).insert || mine });
        continue;
      }
      doc.transact(() => {
        if (result.remove) text.delete(result.at, result.remove);
        if (result.insert) text.insert(result.at, result.insert);
      });
      applied.push(sid);
    }
    this.kept.clear();
    return { applied, left };
  }
}

/** The one splice from `before` to `after`: common beginning and end are kept. */
export function splice(before, after) {
  let at = 0;
  const least = Math.min(before.length, after.length);
  while (at < least && before[at] === after[at]) at++;
  let tail = 0;
  while (tail < least - at && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  return { at, remove: before.length - at - tail, insert: after.slice(at, after.length - tail) };
}

/**
 * The splice that brings `base -> mine` into `theirs`; `"present"` when nothing is left to do, `null` when both changed the
 * same place.
 */
export function merge(base, mine, theirs) {
  if (theirs === mine || mine === base) return "present";
  const ours = splice(base, mine);
  if (theirs === base) return ours;
  const other = splice(base, theirs);
  if (ours.insert !== "" && ours.remove === 0 && theirs.includes(ours.insert) && !base.includes(ours.insert)) return "present";
  if (ours.at + ours.remove < other.at) return ours;
  if (other.at + other.remove < ours.at) return { ...ours, at: ours.at + other.insert.length - other.remove };
  return null;
}
