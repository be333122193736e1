//! Replicas that edit at random, hear from each other in any order, twice or never, and agree in the end.
//!
//! One is the mirror; of the others, half are real Yjs documents and half are yrs. A plain text follows the mirror by
//! nothing but the splices that it reports.
//!
//! In half of the tests a section is held: the first replica may write it, of all others everything that they do to
//! it, in whatever mixture, is refused. Then nothing that they send may change it, and each character of the holder
//! is there in the end, exactly once.

use crate::{
    node::{Change, Node},
    random::Random,
};
use bytes::Bytes;
use ggml_agent_live::mirror::{
    Boot, ClientId, Entry, Mirror, SectionId, Seed, Splice, Verdict, YrsMirror,
};
use yrs::{
    Doc, GetString, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, Update,
    updates::{decoder::Decode, encoder::Encode},
};

/// Traces in a usual run, and steps of each; `GGML_AGENT_TRACES` sets another number.
const TRACES: u64 = 1_000;
const STEPS: usize = 24;
/// Traces that share one question to node.
const GROUP: u64 = 50;
const SECTIONS: [&str; 2] = ["s1", "s2"];

fn section(idx: usize) -> SectionId {
    SECTIONS[idx].parse().unwrap()
}

/// Who may write the first section; the second is everyone's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Open,
    /// Only the first replica and the mirror.
    Held,
}

/// A replica of an editor: a number in node, or yrs here.
enum Editor {
    Node(u64),
    Yrs(Doc),
}

struct Replica {
    editor: Editor,
    online: bool,
    resync: bool,
    to_mirror: Vec<Vec<u8>>,
    from_mirror: Vec<Bytes>,
}

/// What is done with an answer of node.
enum Then {
    Edited,
    Synced,
    Vector,
}

struct Trace {
    seed: u64,
    random: Random,
    mirror: YrsMirror,
    model: [String; 2],
    replicas: Vec<Replica>,
    asked: Vec<(usize, usize, Then)>,
    rule: Rule,
    /// How many characters the holder wrote; each is another one.
    held: u32,
}

impl Trace {
    fn open(seed: u64, rule: Rule, node: &mut Option<Node>) -> Self {
        let mut random = Random::new(seed);
        let boot = Boot { epoch: 1, client: ClientId::small(random.next()) };
        let model = [random.text(), random.text()];
        let seeds = (0..2).map(|idx| Seed::new(section(idx), &*model[idx], Entry::default()));
        let mirror = YrsMirror::open(boot, seeds.collect()).unwrap();
        let replicas = (0..1 + random.below(7))
            .map(|idx| {
                let client = random.next() >> 32;
                let editor = match node {
                    Some(node) if idx % 2 == 0 => {
                        let doc = seed * 8 + idx as u64;
                        node.open(doc, client);
                        Editor::Node(doc)
                    }
                    _ => Editor::Yrs(Doc::with_options(Options {
                        offset_kind: OffsetKind::Utf16,
                        ..Options::with_client_id(yrs::ClientID::new(client))
                    })),
                };
                let (to_mirror, from_mirror) = (Vec::new(), Vec::new());
                Replica { editor, online: true, resync: true, to_mirror, from_mirror }
            })
            .collect();
        Self { seed, random, mirror, model, replicas, asked: Vec::new(), rule, held: 0 }
    }

    fn step(&mut self, node: &mut Option<Node>) {
        for _ in 0..1 + self.random.below(4) {
            let at = self.random.below(self.replicas.len());
            match self.random.below(10) {
                0..4 => self.edit(at, node),
                4 => self.edit_mirror(),
                5 => self.replicas[at].online = self.random.one_in(2),
                _ if !self.replicas[at].online => {}
                6 if self.replicas[at].resync || self.random.one_in(4) => self.sync(at, node),
                6 | 7 => self.hear(at, node),
                _ => self.tell(at),
            }
        }
    }

    /// One transaction of a replica, of one section or both.
    fn edit(&mut self, at: usize, node: &mut Option<Node>) {
        let first = self.random.below(2);
        let n = 1 + usize::from(self.random.one_in(4));
        let changes: Vec<_> = (first..first + n).map(|idx| self.change(at, idx % 2)).collect();
        let replica = &mut self.replicas[at];
        match &replica.editor {
            Editor::Node(doc) => {
                let answer = node.as_mut().unwrap().edit(*doc, &changes);
                self.asked.push((answer, at, Then::Edited));
            }
            Editor::Yrs(doc) => replica.to_mirror.push(edit_yrs(doc, &changes)),
        }
    }

    fn change(&mut self, at: usize, idx: usize) -> Change {
        let root = section(idx).root();
        let (position, del) = (self.random.below(1_000), self.random.below(4));
        let insert = if self.random.one_in(3) { String::new() } else { self.random.text() };
        if self.rule == Rule::Held && (at, idx) == (0, 0) {
            // The holder only adds, and never the same twice, so that every loss and every double is seen. Not in
            // the middle of a pair, where Yjs itself would make two of one: at the end, or where others do damage.
            let insert = self.mark();
            let position = if self.random.one_in(2) { 0 } else { position };
            return Change { root, at: position, del: 0, insert };
        }
        Change { root, at: position, del, insert }
    }

    /// A character that is nowhere else.
    fn mark(&mut self) -> String {
        self.held += 1;
        char::from_u32(0xac00 + self.held).unwrap().to_string()
    }

    fn edit_mirror(&mut self) {
        let idx = self.random.below(2);
        let text = &mut self.model[idx];
        let ends: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let from = self.random.below(ends.len());
        let held = self.rule == Rule::Held && idx == 0;
        let to = if held { from } else { (from + self.random.below(4)).min(ends.len() - 1) };
        let (at, del) = (ends[from], ends[to] - ends[from]);
        let splice = Splice { at, del, insert: self.random.text() };
        splice.apply(text).unwrap();
        let update = self.mirror.apply(&section(idx), &[splice]).unwrap();
        self.broadcast(&update);
        self.check();
    }

    /// The mirror gets one of the replica's updates: any of them, and perhaps not for the last time.
    fn tell(&mut self, at: usize) {
        let replica = &mut self.replicas[at];
        if replica.to_mirror.is_empty() {
            return;
        }
        let pick = self.random.below(replica.to_mirror.len());
        let update = replica.to_mirror[pick].clone();
        if !self.random.one_in(5) {
            replica.to_mirror.remove(pick);
        }
        self.receive(at, &update);
    }

    fn receive(&mut self, at: usize, update: &[u8]) {
        let seed = self.seed;
        let may_not = self.rule == Rule::Held && at != 0;
        let held = self.model[0].clone();
        let received = self.mirror.receive(update, &mut |id| {
            if may_not && *id == section(0) { Verdict::Refuse } else { Verdict::Accept }
        });
        let received = received.unwrap_or_else(|e| panic!("seed {seed}: {e:?} {update:?}"));
        for (id, splices) in &received.changes {
            let idx = SECTIONS.iter().position(|name| *name == id.as_str()).unwrap();
            for splice in splices {
                splice.apply(&mut self.model[idx]).unwrap();
            }
        }
        assert_eq!(received.refused.is_empty(), received.undo.is_none(), "seed {seed}");
        if may_not {
            assert_eq!(self.model[0], held, "seed {seed}: a refused writer changed a held section");
        } else {
            assert!(received.refused.is_empty(), "seed {seed}");
        }
        self.replicas[at].resync |= received.missing;
        for update in received.update.into_iter().chain(received.undo) {
            self.broadcast(&update);
        }
        self.check();
    }

    fn broadcast(&mut self, update: &Bytes) {
        for replica in &mut self.replicas {
            replica.from_mirror.push(update.clone());
        }
    }

    fn check(&self) {
        let seed = self.seed;
        assert!(self.mirror.agrees(), "seed {seed}: the CRDT and the mirror's text differ");
        for (idx, text) in self.model.iter().enumerate() {
            assert_eq!(
                self.mirror.text(&section(idx)),
                Some(&**text),
                "seed {seed}, section {idx}"
            );
        }
    }

    /// The replica hears of something: of anything, in any order, and perhaps not for the last time.
    fn hear(&mut self, at: usize, node: &mut Option<Node>) {
        let replica = &mut self.replicas[at];
        if replica.from_mirror.is_empty() {
            return;
        }
        let pick = self.random.below(replica.from_mirror.len());
        let update = replica.from_mirror[pick].clone();
        if !self.random.one_in(5) {
            replica.from_mirror.remove(pick);
        }
        integrate(&replica.editor, &update, node);
    }

    /// Both sides say what they have, and are given what they lack.
    fn sync(&mut self, at: usize, node: &mut Option<Node>) {
        self.replicas[at].resync = false;
        let vector = self.mirror.state_vector();
        match &self.replicas[at].editor {
            Editor::Node(doc) => {
                let node = node.as_mut().unwrap();
                self.asked.push((node.diff(*doc, &vector), at, Then::Synced));
                self.asked.push((node.vector(*doc), at, Then::Vector));
            }
            Editor::Yrs(doc) => {
                let theirs = StateVector::decode_v1(&vector).unwrap();
                let txn = doc.transact();
                let (update, vector) =
                    (txn.encode_diff_v1(&theirs), txn.state_vector().encode_v1());
                drop(txn);
                self.receive(at, &update);
                let diff = self.mirror.diff(&vector).unwrap();
                self.replicas[at].from_mirror.push(diff);
            }
        }
    }

    /// Takes the answers of node, in the order of the questions.
    fn answered(&mut self, answers: &[Vec<u8>]) {
        for (answer, at, then) in std::mem::take(&mut self.asked) {
            let bytes = &answers[answer];
            match then {
                Then::Edited if bytes.is_empty() => {}
                Then::Edited => self.replicas[at].to_mirror.push(bytes.clone()),
                Then::Synced => self.receive(at, bytes),
                Then::Vector => {
                    let diff = self.mirror.diff(bytes).unwrap();
                    self.replicas[at].from_mirror.push(diff);
                }
            }
        }
    }

    /// Delivers all that is on its way, once and in order.
    fn settle(&mut self, node: &mut Option<Node>) {
        for at in 0..self.replicas.len() {
            for update in std::mem::take(&mut self.replicas[at].from_mirror) {
                integrate(&self.replicas[at].editor, &update, node);
            }
        }
    }
}

fn integrate(editor: &Editor, update: &[u8], node: &mut Option<Node>) {
    match editor {
        Editor::Node(doc) => node.as_mut().unwrap().apply(*doc, update),
        Editor::Yrs(doc) => {
            let update = Update::decode_v1(update).unwrap();
            doc.transact_mut().apply_update(update).unwrap();
        }
    }
}

fn edit_yrs(doc: &Doc, changes: &[Change]) -> Vec<u8> {
    let texts: Vec<_> = changes.iter().map(|it| doc.get_or_insert_text(&*it.root)).collect();
    let mut txn = doc.transact_mut();
    for (text, Change { at, del, insert, .. }) in texts.iter().zip(changes) {
        let len = text.len(&txn);
        let at = u32::try_from(*at).unwrap() % (len + 1);
        let del = u32::try_from(*del).unwrap().min(len - at);
        if del > 0 {
            text.remove_range(&mut txn, at, del);
        }
        text.insert(&mut txn, at, insert);
    }
    txn.encode_update_v1()
}

/// Runs the traces of `seeds` side by side.
fn run(seeds: std::ops::Range<u64>, rule: Rule, node: &mut Option<Node>) {
    let mut traces: Vec<_> = seeds.map(|seed| Trace::open(seed, rule, node)).collect();
    for _ in 0..STEPS {
        traces.iter_mut().for_each(|trace| trace.step(node));
        round(&mut traces, node);
    }
    // Two rounds: in the first the mirror learns all, in the second all learn from it.
    for _ in 0..2 {
        for trace in &mut traces {
            trace.settle(node);
            (0..trace.replicas.len()).for_each(|at| trace.sync(at, node));
        }
        round(&mut traces, node);
    }
    traces.iter_mut().for_each(|trace| trace.settle(node));
    verify(&traces, node);
}

fn round(traces: &mut [Trace], node: &mut Option<Node>) {
    let answers = node.as_mut().map(Node::flush).unwrap_or_default();
    traces.iter_mut().for_each(|trace| trace.answered(&answers));
}

fn verify(traces: &[Trace], node: &mut Option<Node>) {
    let mut wanted = Vec::new();
    for trace in traces {
        let seed = trace.seed;
        for mark in 1..=trace.held {
            let mark = char::from_u32(0xac00 + mark).unwrap();
            let n = trace.model[0].chars().filter(|c| *c == mark).count();
            assert_eq!(n, 1, "seed {seed}: {mark} of the holder in {}", trace.model[0]);
        }
        for (at, replica) in trace.replicas.iter().enumerate() {
            for (idx, text) in trace.model.iter().enumerate() {
                let root = section(idx).root();
                match &replica.editor {
                    Editor::Node(doc) => {
                        let answer = node.as_mut().unwrap().text(*doc, &root);
                        wanted.push((seed, at, answer, text));
                    }
                    Editor::Yrs(doc) => {
                        let root = doc.get_or_insert_text(root);
                        let said = root.get_string(&doc.transact());
                        assert_eq!(said, *text, "seed {seed}, yrs replica {at}");
                    }
                }
            }
            if let Editor::Node(doc) = &replica.editor {
                node.as_mut().unwrap().close(*doc);
            }
        }
    }
    let answers = node.as_mut().map(Node::flush).unwrap_or_default();
    for (seed, at, answer, text) in wanted {
        let said = String::from_utf8(answers[answer].clone()).unwrap();
        assert_eq!(said, *text, "seed {seed}, Yjs replica {at}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where a test reads its size")]
fn traces(default: u64) -> u64 {
    std::env::var("GGML_AGENT_TRACES").map_or(default, |n| n.parse().unwrap())
}

fn run_all(count: u64, rule: Rule, mut node: Option<Node>) {
    for first in (0..count).step_by(usize::try_from(GROUP).unwrap()) {
        run(first..(first + GROUP).min(count), rule, &mut node);
    }
}

#[test]
fn replicas_agree_byte_for_byte_half_of_them_real_yjs() {
    if let Some(node) = Node::start("replicas_agree_byte_for_byte_half_of_them_real_yjs") {
        run_all(traces(TRACES), Rule::Open, Some(node));
    }
}

#[test]
fn replicas_agree_byte_for_byte_all_of_them_yrs() {
    run_all(traces(TRACES / 2), Rule::Open, None);
}

#[test]
fn a_held_section_is_its_holders_alone_among_real_yjs_replicas() {
    if let Some(node) = Node::start("a_held_section_is_its_holders_alone_among_real_yjs_replicas") {
        run_all(traces(TRACES), Rule::Held, Some(node));
    }
}

#[test]
fn a_held_section_is_its_holders_alone_among_yrs_replicas() {
    run_all(traces(TRACES / 2), Rule::Held, None);
}
