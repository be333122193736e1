//! One node process with any number of real Yjs documents.

use std::{
    io::{Read, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A change of one text, in units of UTF-16; `at` is taken modulo the length, `del` ends at the end.
pub(crate) struct Change {
    pub(crate) root: String,
    pub(crate) at: usize,
    pub(crate) del: usize,
    pub(crate) insert: String,
}

pub(crate) struct Node {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    batch: Vec<u8>,
    commands: usize,
    heard: usize,
}

impl Node {
    /// The process, or `None` where it cannot be: then the test says so and is skipped.
    #[expect(clippy::disallowed_methods, reason = "the one place where a test starts a process")]
    pub(crate) fn start(test: &str) -> Option<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        if !folder.join("node_modules/yjs").is_dir() {
            let required = std::env::var_os("GGML_AGENT_REQUIRE_NODE").is_some();
            assert!(!required, "{test}: run crates/live/tests/node/install first");
            skip(test, "no Yjs; run crates/live/tests/node/install");
            return None;
        }
        let script = folder.join("replicas.mjs");
        let child =
            Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = child else {
            skip(test, "node does not start");
            return None;
        };
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self { child, input, output, batch: Vec::new(), commands: 0, heard: 0 })
    }

    /// Queues a command; its answer is the one with the given number of [`flush`](Self::flush).
    fn command(&mut self, op: u8, doc: u64) -> usize {
        self.batch.push(op);
        self.number(doc);
        self.commands += 1;
        self.commands - 1
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.batch.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.batch.push((value & 0x7f) as u8);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.batch.extend_from_slice(bytes);
    }

    pub(crate) fn open(&mut self, doc: u64, client: u64) {
        self.command(0, doc);
        self.number(client);
    }

    /// One transaction; the answer is its update.
    pub(crate) fn edit(&mut self, doc: u64, changes: &[Change]) -> usize {
        let answer = self.command(1, doc);
        self.number(changes.len() as u64);
        for Change { root, at, del, insert } in changes {
            self.bytes(root.as_bytes());
            self.number(*at as u64);
            self.number(*del as u64);
            self.bytes(insert.as_bytes());
        }
        answer
    }

    pub(crate) fn apply(&mut self, doc: u64, update: &[u8]) {
        self.command(2, doc);
        self.bytes(update);
    }

    pub(crate) fn vector(&mut self, doc: u64) -> usize {
        self.command(3, doc)
    }

    pub(crate) fn diff(&mut self, doc: u64, vector: &[u8]) -> usize {
        let answer = self.command(4, doc);
        self.bytes(vector);
        answer
    }

    pub(crate) fn text(&mut self, doc: u64, root: &str) -> usize {
        let answer = self.command(5, doc);
        self.bytes(root.as_bytes());
        answer
    }

    pub(crate) fn close(&mut self, doc: u64) {
        self.command(6, doc);
    }

    /// Runs JavaScript on the document; the answer is the update it made.
    pub(crate) fn run(&mut self, doc: u64, script: &str) -> usize {
        let answer = self.command(7, doc);
        self.bytes(script.as_bytes());
        answer
    }

    /// The socket of a client opens; the answer is the frames it sends.
    pub(crate) fn hello(&mut self, doc: u64) -> usize {
        self.command(8, doc)
    }

    /// A client hears a frame; the answer is the frames it sends.
    pub(crate) fn hear(&mut self, doc: u64, frame: &[u8]) -> usize {
        self.heard += 1;
        let answer = self.command(9, doc);
        self.bytes(frame);
        answer
    }

    /// Frames that clients heard so far.
    pub(crate) fn heard(&self) -> usize {
        self.heard
    }

    /// The answer is the names of all others that a client sees.
    pub(crate) fn states(&mut self, doc: u64) -> usize {
        self.command(10, doc)
    }

    /// Sends what is queued, and gives the answers.
    pub(crate) fn flush(&mut self) -> Vec<Vec<u8>> {
        let len = u32::try_from(self.batch.len()).unwrap().to_le_bytes();
        self.input.write_all(&len).unwrap();
        self.input.write_all(&self.batch).unwrap();
        self.input.flush().unwrap();
        self.batch.clear();
        let mut len = [0; 4];
        self.output.read_exact(&mut len).expect("node ended: see its error above");
        let mut body = vec![0; u32::from_le_bytes(len) as usize];
        self.output.read_exact(&mut body).unwrap();
        let mut rest = body.as_slice();
        (0..std::mem::take(&mut self.commands)).map(|_| answer(&mut rest)).collect()
    }
}

/// The frames of an answer that is several.
pub(crate) fn parts(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        parts.push(answer(&mut bytes));
    }
    parts
}

/// Past the capture of the test's output: a test that did not run should be seen.
fn skip(test: &str, why: &str) {
    let line = format!("skipped {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn answer(rest: &mut &[u8]) -> Vec<u8> {
    let (mut len, mut shift) = (0usize, 0);
    loop {
        let (&byte, tail) = rest.split_first().unwrap();
        *rest = tail;
        len |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let (bytes, tail) = rest.split_at(len);
    *rest = tail;
    bytes.to_vec()
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
