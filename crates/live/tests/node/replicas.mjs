// Real Yjs documents, driven over stdin and stdout. A request is a length (4 bytes, little endian) and commands in
// lib0's encoding; the answer has one byte string for every command, in order.
import * as Y from 'yjs'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { writeSync } from 'node:fs'

const docs = new Map()
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
