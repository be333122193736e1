// Real Yjs documents, driven over stdin and stdout. A request is a length (4 bytes, little endian) and commands in
// lib0's encoding; the answer has one byte string for every command, in order.
import * as Y from 'yjs'
import * as presence from 'y-protocols/awareness'
import * as sync from 'y-protocols/sync'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { writeSync } from 'node:fs'

const docs = new Map()
const presences = new Map()
const NOTHING = new Uint8Array()
const utf8 = new TextEncoder()

// The update of one transaction, whatever it does.
const made = (doc, change) => {
  let update = NOTHING
  const keep = (bytes) => { update = bytes }
  doc.on('update', keep)
  doc.transact(change)
  doc.off('update', keep)
  return update
}

// At a UTF-16 offset, also in the middle of a surrogate pair: an editor's bug, but one that happens.
const splice = (text, at, del, insert) => {
  const start = at % (text.length + 1)
  const len = Math.min(del, text.length - start)
  if (len > 0) text.delete(start, len)
  if (insert.length > 0) text.insert(start, insert)
}

// What y-websocket does, with the same calls: two messages when it opens, and an answer to what it hears.
const message = (type, write) => {
  const e = encoding.createEncoder()
  encoding.writeVarUint(e, type)
  write(e)
  return encoding.toUint8Array(e)
}

const presenceOf = (awareness, ids) => message(1, (e) =>
  encoding.writeVarUint8Array(e, presence.encodeAwarenessUpdate(awareness, ids)))

const list = (frames) => {
  const e = encoding.createEncoder()
  frames.forEach((frame) => encoding.writeVarUint8Array(e, frame))
  return encoding.toUint8Array(e)
}

const openPresence = (id) => {
  const awareness = new presence.Awareness(docs.get(id))
  // Its timers run on the clock of the wall.
  clearInterval(awareness._checkInterval)
  awareness.setLocalState({ cursor: null, user: { name: 'whoever I say I am' } })
  presences.set(id, awareness)
  return awareness
}

const hearing = {
  0: (d, doc, awareness, answer) => {
    const reply = message(0, (e) => sync.readSyncMessage(d, e, doc, 'wire'))
    if (reply.length > 1) answer(reply)
  },
  1: (d, doc, awareness, answer) => {
    const echo = ({ added, updated, removed }) =>
      answer(presenceOf(awareness, [...added, ...updated, ...removed]))
    awareness.on('update', echo)
    presence.applyAwarenessUpdate(awareness, decoding.readVarUint8Array(d), 'wire')
    awareness.off('update', echo)
  }
}

const commands = [
  function open (d) {
    const id = decoding.readVarUint(d)
    const doc = new Y.Doc()
    doc.clientID = decoding.readVarUint(d)
    docs.set(id, doc)
  },
  function change (d) {
    const doc = docs.get(decoding.readVarUint(d))
    return made(doc, () => {
      for (let left = decoding.readVarUint(d); left > 0; left--) {
        const text = doc.getText(decoding.readVarString(d))
        splice(text, decoding.readVarUint(d), decoding.readVarUint(d), decoding.readVarString(d))
      }
    })
  },
  function apply (d) {
    const doc = docs.get(decoding.readVarUint(d))
    Y.applyUpdate(doc, decoding.readVarUint8Array(d), 'wire')
  },
  function vector (d) {
    return Y.encodeStateVector(docs.get(decoding.readVarUint(d)))
  },
  function diff (d) {
    const doc = docs.get(decoding.readVarUint(d))
    return Y.encodeStateAsUpdate(doc, decoding.readVarUint8Array(d))
  },
  function text (d) {
    const doc = docs.get(decoding.readVarUint(d))
    return utf8.encode(doc.getText(decoding.readVarString(d)).toString())
  },
  function close (d) {
    const id = decoding.readVarUint(d)
    docs.get(id).destroy()
    docs.delete(id)
  },
  // Any change at all: JavaScript that gets the document. For what a hostile client might write.
  function run (d) {
    const doc = docs.get(decoding.readVarUint(d))
    return made(doc, () => new Function('doc', 'Y', decoding.readVarString(d))(doc, Y))
  },
  // The socket opens, for the first time or again.
  function hello (d) {
    const id = decoding.readVarUint(d)
    const doc = docs.get(id)
    const awareness = presences.get(id) ?? openPresence(id)
    const others = [...awareness.getStates().keys()].filter((client) => client !== doc.clientID)
    presence.removeAwarenessStates(awareness, others, 'wire')
    return list([message(0, (e) => sync.writeSyncStep1(e, doc)), presenceOf(awareness, [doc.clientID])])
  },
  function hear (d) {
    const id = decoding.readVarUint(d)
    const frame = decoding.createDecoder(decoding.readVarUint8Array(d))
    const answers = []
    hearing[decoding.readVarUint(frame)](frame, docs.get(id), presences.get(id), (answer) => answers.push(answer))
    if (decoding.hasContent(frame)) throw new Error('more than one message in a frame')
    return list(answers)
  },
  function states (d) {
    const id = decoding.readVarUint(d)
    const name = ([client, state]) => state.user?.name ?? ('server' in state ? 'server' : `client ${client}`)
    const others = [...presences.get(id).getStates()].filter(([client]) => client !== docs.get(id).clientID)
    return utf8.encode(others.map(name).sort().join(' '))
  }
]

const answer = (request) => {
  const d = decoding.createDecoder(request)
  const e = encoding.createEncoder()
  while (decoding.hasContent(d)) {
    encoding.writeVarUint8Array(e, commands[decoding.readUint8(d)](d) ?? NOTHING)
  }
  const body = Buffer.from(encoding.toUint8Array(e))
  const head = Buffer.alloc(4)
  head.writeUInt32LE(body.length)
  const frame = Buffer.concat([head, body])
  for (let sent = 0; sent < frame.length;) {
    sent += writeSync(1, frame, sent)
  }
}

let waiting = Buffer.alloc(0)
process.stdin.on('data', (chunk) => {
  waiting = waiting.length > 0 ? Buffer.concat([waiting, chunk]) : chunk
  while (waiting.length >= 4 && waiting.length >= 4 + waiting.readUInt32LE(0)) {
    const len = waiting.readUInt32LE(0)
    answer(waiting.subarray(4, 4 + len))
    waiting = waiting.subarray(4 + len)
  }
})
