// Who is here, in which colour, and where their carets are.
import { Y } from "./editor.js";
import { byId, h, icon } from "./dom.js";

const HUES = 8; // .hue-0 to .hue-7 in page.css
const hues = new Map();

/** The colour class of a person or an agent: the same for text, caret and name, given in order of appearance. */
export function hue({ kind, name }) {
  const key = `${kind}/${name}`;
  if (!hues.has(key)) hues.set(key, hues.size % HUES);
  return `hue-${hues.get(key)}`;
}

/** Those who are here, without this page and without the server. */
export function others(link) {
  return [...link.awareness.getStates()]
    .filter(([client, state]) => client !== link.doc.clientID && client !== link.base.server_client && state.user?.name)
    .map(([client, { user, cursor }]) => ({ client, name: String(user.name).slice(0, 64), kind: user.kind === "agent" ? "agent" : "person", cursor }));
}

/** The list in the top bar: this person first, then the others; several tabs of one person are one. */
export function showPeople(link) {
  const you = { ...link.base.you, you: true };
  const all = new Map([[`${you.kind}/${you.name}`, you]]);
  for (const one of others(link)) if (!all.has(`${one.kind}/${one.name}`)) all.set(`${one.kind}/${one.name}`, one);
  const shown = [...all.values()].slice(0, 6);
  const items = shown.map((one) => h("li", { class: `person ${hue(one)}` }, icon(one.kind), h("span", { class: "person-name" }, one.name), h("span", { class: one.you ? "quiet" : "hidden-text" }, one.you ? "you" : ` (${one.kind})`)));
  if (all.size > shown.length) items.push(h("li", { class: "person more", title: [...all.values()].slice(6).map((p) => p.name).join(", ") }, `+${all.size - shown.length}`));
  byId("people").replaceChildren(...items);
}

/** Carets by section: sid -> [{client, name, kind, from, to, head}], positions in UTF-16 units. */
export function carets(link, sections) {
  const bySection = new Map();
  const sidOf = new Map(sections.map((sid) => [link.text(sid), sid]));
  for (const { client, name, kind, cursor } of others(link)) {
    const anchor = position(cursor?.anchor, link.doc);
    const head = position(cursor?.head, link.doc);
    const sid = anchor && head && anchor.type === head.type ? sidOf.get(head.type) : undefined;
    if (sid === undefined) continue;
    const list = bySection.get(sid) ?? [];
    list.push({ client, name, kind, from: Math.min(anchor.index, head.index), to: Math.max(anchor.index, head.index), head: head.index });
    bySection.set(sid, list);
  }
  return bySection;
}

// What others write into their entry is not to be trusted to be a position.
function position(json, doc) {
  if (!json) return null;
  try {
    return Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(json), doc);
  } catch {
    return null;
  }
}

/** Tells the others where this person's caret is. */
export function tellCaret(link, ytext, selection) {
  const at = (index) => JSON.parse(JSON.stringify(Y.createRelativePositionFromTypeIndex(ytext, index)));
  const cursor = selection && { anchor: at(selection.anchor), head: at(selection.head) };
  const known = link.awareness.getLocalState()?.cursor ?? null;
  if (JSON.stringify(known) !== JSON.stringify(cursor ?? null)) link.awareness.setLocalStateField("cursor", cursor ?? null);
}

// For editors that are not this page: they paint with what stands in the entry.
const COLORS = ["#0b6b5d", "#9a4f00", "#3f57b5", "#a1316b", "#4c6b12", "#7a3fb0", "#006a8e", "#8a3b2e"];

export function entryOf(name) {
  const color = COLORS[[...name].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) >>> 0, 7) % COLORS.length];
  return { name, kind: "person", color, colorLight: `${color}33` };
}
