//! D18: each byte is said to be of who wrote it, against a text whose bytes know.

use std::time::Duration;

use super::{AUTHORS_MIN, BlameRun};
use crate::coordinator::{Cut, Restructure, Structure};
use crate::soup::{Rng, each};
use crate::{Change, Coordinator, Document, Edit, Holder, SectionId, Splices};

const NOW: Duration = Duration::ZERO;

fn author(name: &str) -> Holder {
    Holder::new(name.parse().unwrap(), 1)
}

fn started(text: &str) -> Coordinator {
    Coordinator::new(&Document::parse(text).unwrap())
}

fn splice(c: &mut Coordinator, who: &Holder, section: SectionId, change: Change) -> bool {
    let base = Some(c.read(section).unwrap().version);
    let changes = [change].into_iter().collect();
    c.splice(who, Splices { section, token: None, base, changes }, NOW).answer.is_ok()
}

/// `name:text` for each run.
fn shown(c: &Coordinator, section: SectionId) -> Vec<String> {
    let text = c.read(section).unwrap().text.to_string();
    let mut at = 0;
    let runs = c.blame(section).unwrap();
    let shown = runs.iter().map(|run| {
        at += run.len;
        let name = run.author.as_ref().map_or("-", |author| author.agent().as_str());
        format!("{name}{}:{}", run.seq, &text[at - run.len..at])
    });
    shown.collect()
}

#[test]
fn d18_each_run_names_who_wrote_it_and_with_which_update() {
    let mut c = started("# A\n\nold\n\n# B\n\nb\n");
    let (a, b) = (SectionId::nth(0), SectionId::nth(1));
    let (one, two) = (author("one"), author("two"));
    assert!(splice(&mut c, &one, a, Change { at: 8, del: 0, insert: " new".into() }));
    assert!(splice(&mut c, &two, a, Change { at: 5, del: 1, insert: "é".into() }));
    assert_eq!(shown(&c, a), ["-0:# A\n\n", "two2:é", "-0:ld", "one1: new", "-0:\n\n"]);
    assert_eq!(c.blame(b).unwrap(), [BlameRun { len: 7, author: None, seq: 0 }]);
    assert_eq!(c.blame(SectionId::nth(9)), None);
}

#[test]
fn d18_words_keep_their_author_when_sections_are_cut_and_put_together() {
    let mut c = started("# A\n\nfirst\n");
    let (a, b) = (SectionId::nth(0), SectionId::nth(1));
    let (one, two) = (author("one"), author("two"));
    assert!(splice(&mut c, &one, a, Change { at: 11, del: 0, insert: "words\n".into() }));
    let at = Cut::Byte { at: 5, base: 1 };
    let split = Structure::Split { section: a, at, title: Some("B".into()) };
    let done = c.restructure(&two, Restructure::seen(0, split), NOW).answer.unwrap();
    assert_eq!((done.section, done.outline_version), (b, 1));
    assert_eq!(shown(&c, a), ["-0:# A\n\n"]);
    assert_eq!(shown(&c, b), ["two2:# B\n\n", "-0:first\n", "one1:words\n"]);
    let merge = Restructure::seen(1, Structure::Merge { section: a });
    assert!(c.restructure(&two, merge, NOW).answer.is_ok());
    assert_eq!(shown(&c, a), ["-0:# A\n\n", "two2:# B\n\n", "-0:first\n", "one1:words\n"]);
    assert_eq!(shown(&c, b), Vec::<String>::new());
}

/// A text in which every byte knows who wrote it.
type Model = Vec<(u8, Option<Holder>)>;

fn owners(c: &Coordinator, section: SectionId) -> Model {
    let text = c.read(section).unwrap().text.to_string().into_bytes();
    let runs = c.blame(section).unwrap();
    let owners = runs.iter().flat_map(|run| vec![run.author.clone(); run.len]);
    let owned: Model = text.iter().copied().zip(owners).collect();
    assert_eq!(runs.iter().map(|run| run.len).sum::<usize>(), text.len());
    owned
}

fn change(rng: &mut Rng, len: usize, head: usize) -> Change {
    let at = head + rng.below(len - head);
    let del = rng.below(4).min(len - 1 - at);
    Change { at, del, insert: rng.pick(&["a", "bcd", "", "e f", "gh"]).to_owned() }
}

#[test]
fn d18_every_byte_is_of_who_wrote_it_and_a_replay_says_the_same() {
    each(300, "d18_every_byte", |rng| {
        let mut c = started("# A\n\nsome words here\n");
        c.keep_entries();
        let mut replay = c.record();
        let mut model: Vec<Model> = vec![owners(&c, SectionId::nth(0))];
        for _ in 0..40 {
            let who = author(rng.pick(&["one", "two", "three"]));
            let n = rng.below(model.len());
            let (section, len) = (SectionId::nth(n), model[n].len());
            match rng.below(12) {
                0 if len > 8 => {
                    let at = 4 + rng.below(len - 4);
                    let base = c.read(section).unwrap().version;
                    let (at_cut, title) = (Cut::Byte { at, base }, Some("T".into()));
                    let split = Structure::Split { section, at: at_cut, title };
                    let wish = Restructure::seen(c.outline_version(), split);
                    if c.restructure(&who, wish, NOW).answer.is_ok() {
                        let head = b"# T\n\n".iter().map(|byte| (*byte, Some(who.clone())));
                        let tail = model[n].split_off(at);
                        model.push(head.chain(tail).collect());
                    }
                }
                1 => {
                    let order: Vec<SectionId> =
                        c.snapshot().sections.iter().map(|s| s.id).collect();
                    let merge = Structure::Merge { section };
                    let wish = Restructure::seen(c.outline_version(), merge);
                    if c.restructure(&who, wish, NOW).answer.is_ok() {
                        let place = order.iter().position(|id| *id == section).unwrap();
                        let gone = std::mem::take(&mut model[order[place + 1].index()]);
                        model[n].extend(gone);
                    }
                }
                _ if len > 6 => {
                    let change = change(rng, len, 4);
                    if splice(&mut c, &who, section, change.clone()) {
                        let new = change.insert.bytes().map(|byte| (byte, Some(who.clone())));
                        model[n].splice(change.at..change.end(), new);
                    }
                }
                _ => {}
            }
        }
        for (n, expected) in model.iter().enumerate() {
            assert_eq!(owners(&c, SectionId::nth(n)), *expected);
        }
        for entry in c.take_entries() {
            replay.apply(&entry).unwrap();
        }
        assert_eq!(replay, c.record());
    });
}

#[test]
fn d18_authors_who_have_no_words_left_are_forgotten() {
    let mut c = started("# A\n\n");
    let a = SectionId::nth(0);
    let keeper = author("keeper");
    assert!(splice(&mut c, &keeper, a, Change { at: 5, del: 0, insert: "kept ".into() }));
    for n in 0..3 * AUTHORS_MIN {
        let who = author(&format!("w{n}"));
        let base = c.read(a).unwrap().version;
        let text = format!("# A\n\nkept {n}\n");
        assert!(c.edit(&who, Edit::optimistic(a, base, text), NOW).answer.is_ok());
    }
    assert!(c.past.blame.authors.len() <= AUTHORS_MIN, "{}", c.past.blame.authors.len());
    assert_eq!(c.blame(a).unwrap()[1].author, Some(keeper));
}
