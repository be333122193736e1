// A scripted agent: locks a section, streams text into it, gives it back.

/** Streams `words` into section `sid` of `mock`, one per `everyMs`; resolves when the lock is given back. */
export async function stream(mock, sid, name, words, everyMs, { release = true } = {}) {
  const agent = { id: `agent/${name}`, name, kind: "agent" };
  const { room } = mock;
  const client = [...name].reduce((sum, c) => sum * 31 + c.codePointAt(0), 7) % 1_000_000;
  const [{ token }] = room.lock([sid], agent, 30_000).locks;
  for (const word of words) {
    if (room !== mock.room || room.section(sid).lock?.token !== token) return; // taken over
    const ytext = room.section(sid).ytext;
    room.write(sid, agent, `${ytext.toString()}${word}`);
    const at = { tname: `s/${sid}`, item: null, type: null, assoc: 0 };
    mock.say(client, { user: { name, kind: "agent", color: "#888888", colorLight: "#88888833" }, cursor: { anchor: at, head: at } });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  if (release) {
    room.unlock(sid, { token });
    mock.say(client, null);
  }
}
