//! D21: the words of a stream stay together, whatever others do.

use std::time::Duration;

use ggml_agent_core::lease::{Limits, OnBusy, Outcome};

use super::{OnExit, Pushed, StreamError, StreamId, StreamOpen, StreamPlace};
use crate::coordinator::{EditError, Restructure, Structure};
use crate::limits::{STREAM_BYTES_MAX, STREAMS_PER_HOLDER_MAX};
use crate::soup::each;
use crate::text::Change;
use crate::{Coordinator, Document, Holder, Lock, SectionId, Splices};

const NOW: Duration = Duration::ZERO;

fn who(name: &str) -> Holder {
    Holder::new(name.parse().unwrap(), 1)
}

fn a() -> SectionId {
    SectionId::nth(0)
}

fn started(text: &str) -> Coordinator {
    Coordinator::new(&Document::parse(text).unwrap())
}

fn at_end() -> StreamOpen {
    StreamOpen { section: a(), place: StreamPlace::End, token: None, on_exit: OnExit::Keep }
}

fn open(c: &mut Coordinator, name: &str, open: StreamOpen) -> StreamId {
    c.stream_open(&who(name), open, NOW).answer.unwrap()
}

fn push(c: &mut Coordinator, name: &str, id: StreamId, text: &str) -> Result<Pushed, StreamError> {
    c.stream_push(&who(name), id, text, NOW).answer
}

fn put(c: &mut Coordinator, old: &str, new: &str) {
    let view = c.read(a()).unwrap();
    let at = view.text.to_string().find(old).unwrap();
    let changes = [Change { at, del: old.len(), insert: new.into() }].into();
    let splices = Splices { section: a(), token: None, base: Some(view.version), changes };
    c.splice(&who("person"), splices, NOW).answer.unwrap();
}

fn text(c: &Coordinator) -> String {
    c.read(a()).unwrap().text.to_string()
}

#[test]
fn d21_a_stream_at_the_end_is_a_paragraph_whatever_follows() {
    let cases = [
        ("# A\n\na\n\n# B\n", "# A\n\na\n\nNew words.\n\n# B\n"),
        ("# A\n\na\n# B\n", "# A\n\na\n\nNew words.\n\n# B\n"),
        ("# A\n# B\n", "# A\n\nNew words.\n\n# B\n"),
        ("# A\n\na\n\nB\n===\n", "# A\n\na\n\nNew words.\n\nB\n===\n"),
        ("# A", "# A\n\nNew words."),
        ("# A\r\n\r\na\r\n\r\n# B\r\n", "# A\r\n\r\na\r\n\r\nNew words.\r\n\r\n# B\r\n"),
        ("", "New words."),
    ];
    for (before, after) in cases {
        let mut c = started(before);
        let id = open(&mut c, "one", at_end());
        assert_eq!(c.to_markdown(), before);
        for piece in ["New", " words", "."] {
            assert!(push(&mut c, "one", id, piece).unwrap().seq.is_some(), "{before:?}");
        }
        assert!(c.stream_commit(&who("one"), id, NOW).answer.is_ok());
        assert_eq!(c.to_markdown(), after, "{before:?}");
        let over = push(&mut c, "one", id, "late");
        assert_eq!(over, Err(StreamError::Unknown { stream: id }));
    }
}

#[test]
fn d21_the_place_of_a_stream_moves_with_the_text_around_it() {
    let mut c = started("# A\n\nred green blue\n\n");
    let id =
        open(&mut c, "one", StreamOpen { place: StreamPlace::At { at: 8, base: 0 }, ..at_end() });
    put(&mut c, "red", "dark red");
    push(&mut c, "one", id, " one").unwrap();
    put(&mut c, " green", ", two green");
    put(&mut c, "# A", "# Aa");
    push(&mut c, "one", id, "!").unwrap();
    assert_eq!(text(&c), "# Aa\n\ndark red one!, two green blue\n\n");
    // Its surroundings go, and it goes on where they were.
    put(&mut c, "red one!, two green", "");
    push(&mut c, "one", id, "x").unwrap();
    assert_eq!(text(&c), "# Aa\n\ndark x blue\n\n");
}

#[test]
fn d21_what_would_swallow_the_next_heading_waits_for_what_closes_it() {
    let mut c = started("# A\n\na\n\n# B\n");
    let id = open(&mut c, "one", at_end());
    for piece in ["```rust\n", "fn main() {}\n"] {
        let pushed = push(&mut c, "one", id, piece).unwrap();
        assert!(pushed.seq.is_none() && pushed.n_waiting >= piece.len());
    }
    assert_eq!(c.seq(), 0);
    let early = c.stream_commit(&who("one"), id, NOW).answer;
    assert_eq!(early, Err(EditError::SwallowsNext.into()), "and it is still open");
    let pushed = push(&mut c, "one", id, "```\n").unwrap();
    assert_eq!(pushed, Pushed { seq: Some(1), n_waiting: 0 });
    assert_eq!(text(&c), "# A\n\na\n\n```rust\nfn main() {}\n```\n\n\n");
    push(&mut c, "one", id, "~~~").unwrap();
    let much = "x".repeat(STREAM_BYTES_MAX);
    assert!(matches!(push(&mut c, "one", id, &much), Err(StreamError::Full { .. })));
}

#[test]
fn d21_each_piece_needs_the_right_to_write() {
    let mut c = started("# A\n\na\n\n# B\n");
    let id = open(&mut c, "one", at_end());
    push(&mut c, "one", id, "1").unwrap();
    let lock = Lock::one(a(), Duration::from_secs(30), OnBusy::Deny);
    let Ok(Outcome::Granted(grants)) = c.lock(&who("two"), lock, NOW).answer else { panic!() };
    let refused = push(&mut c, "one", id, "2");
    assert!(matches!(refused, Err(StreamError::Edit(EditError::Locked { .. }))), "{refused:?}");
    let abort = c.stream_abort(&who("one"), id, NOW).answer;
    assert!(abort.is_err(), "{abort:?}");
    let not_yours = StreamError::NotYours { stream: id, holder: who("one") };
    assert_eq!(push(&mut c, "two", id, "x"), Err(not_yours));
    c.release(&who("two"), a(), grants[0].token, NOW).answer.unwrap();
    push(&mut c, "one", id, "3").unwrap();
    assert_eq!(text(&c), "# A\n\na\n\n13\n\n", "the piece that was refused is the caller's");
}

#[test]
fn d21_an_aborted_stream_takes_its_words_with_it_and_no_others() {
    let mut c = started("# A\n\na\n\n# B\n");
    let id = open(&mut c, "one", at_end());
    push(&mut c, "one", id, "one two three").unwrap();
    put(&mut c, "two", "two (really)");
    push(&mut c, "one", id, " four").unwrap();
    put(&mut c, "a", "a, said somebody");
    c.stream_abort(&who("one"), id, NOW).answer.unwrap();
    // The blank line before was of the stream, too.
    assert_eq!(text(&c), "# A\n\na, said somebodytwo (really)\n\n");
    let id = open(&mut c, "one", at_end());
    let nothing = c.stream_abort(&who("one"), id, NOW).answer.unwrap();
    assert_eq!(nothing.seq, None);
}

#[test]
fn d21_a_holder_that_ends_leaves_its_words_or_takes_them_along() {
    for (on_exit, is_locked, expected) in [
        (OnExit::Keep, false, "# A\n\na\n\nwords\n\n"),
        (OnExit::Abort, false, "# A\n\na\n\n"),
        (OnExit::Abort, true, "# A\n\na\n\n"),
    ] {
        let mut c = started("# A\n\na\n\n# B\n");
        let lock = Lock::one(a(), Duration::from_secs(30), OnBusy::Deny);
        let token = is_locked.then(|| match c.lock(&who("one"), lock, NOW).answer {
            Ok(Outcome::Granted(grants)) => grants[0].token,
            other => panic!("{other:?}"),
        });
        let id = open(&mut c, "one", StreamOpen { on_exit, token, ..at_end() });
        push(&mut c, "one", id, "words").unwrap();
        assert!(c.subscribe(&who("reader"), NOW).answer.is_ok());
        let step = c.drop_holder(&who("one"), NOW);
        assert_eq!(text(&c), expected);
        let is_told = step.outs.iter().any(|out| matches!(out, crate::Out::ToSubscriber { .. }));
        assert_eq!(is_told, on_exit == OnExit::Abort);
        assert_eq!(push(&mut c, "one", id, "x"), Err(StreamError::Unknown { stream: id }));
    }
}

#[test]
fn d21_after_a_restart_of_the_document_a_stream_is_over_and_no_number_comes_again() {
    for (on_exit, expected) in
        [(OnExit::Keep, "# A\n\na\n\nwords\n\n"), (OnExit::Abort, "# A\n\na\n\n")]
    {
        let mut c = started("# A\n\na\n\n# B\n");
        c.keep_entries();
        let id = open(&mut c, "one", StreamOpen { on_exit, ..at_end() });
        push(&mut c, "one", id, "words").unwrap();
        let mut c = Coordinator::resume(c.record(), Limits::DEFAULT, NOW);
        c.keep_entries();
        let mut replay = c.record();
        c.end_left_streams(NOW).outs.clear();
        assert_eq!(text(&c), expected);
        assert_eq!(push(&mut c, "one", id, "x"), Err(StreamError::Unknown { stream: id }));
        assert!(open(&mut c, "one", at_end()) > id);
        for entry in c.take_entries() {
            replay.apply(&entry).unwrap();
        }
        assert_eq!(replay, c.record());
    }
}

#[test]
fn d21_streams_have_limits_and_follow_their_section() {
    let mut c = started("# A\n\na\n\n# B\n\nb\n");
    let b = SectionId::nth(1);
    let id = open(&mut c, "two", StreamOpen { section: b, ..at_end() });
    push(&mut c, "two", id, "x").unwrap();
    let merge = Restructure::seen(0, Structure::Merge { section: a() });
    assert!(c.restructure(&who("two"), merge, NOW).answer.is_ok());
    push(&mut c, "two", id, "y").unwrap();
    assert_eq!(text(&c), "# A\n\na\n\n# B\n\nb\n\nxy\n");
    for _ in 0..STREAMS_PER_HOLDER_MAX {
        open(&mut c, "one", at_end());
    }
    assert_eq!(c.stream_open(&who("one"), at_end(), NOW).answer, Err(StreamError::TooMany));
}

#[test]
fn d21_streams_at_one_place_never_get_between_each_others_words() {
    each(500, "d21_streams_at_one_place", |rng| {
        let mut c = started("# A\n\nsome words\n\n# B\n");
        let names = ["one", "two", "three"];
        let place = StreamPlace::At { at: 9, base: 0 };
        let is_end = rng.below(2) == 0;
        let wish = if is_end { at_end() } else { StreamOpen { place, ..at_end() } };
        let ids = names.map(|name| open(&mut c, name, wish.clone()));
        let mut written = [const { String::new() }; 3];
        let mut by_person = String::new();
        for n in 0..30 {
            let i = rng.below(3);
            if rng.below(5) == 0 {
                // A person writes in front of all, or behind.
                let view = text(&c);
                let at = if rng.below(2) == 0 { 5 } else { view.trim_end().len() };
                let insert = format!("<{n}>");
                by_person.push_str(&insert);
                let changes = [Change { at, del: 0, insert }].into();
                let base = Some(c.read(a()).unwrap().version);
                let splices = Splices { section: a(), token: None, base, changes };
                c.splice(&who("person"), splices, NOW).answer.unwrap();
            } else {
                let piece = format!("{}{n},", ["a", "b", "c"][i]);
                push(&mut c, names[i], ids[i], &piece).unwrap();
                written[i].push_str(&piece);
            }
        }
        let text = text(&c);
        for words in &written {
            assert!(text.contains(words.as_str()), "{words:?} in {text:?}");
        }
        // Aborted, nothing of them is left.
        for (name, id) in names.iter().zip(ids) {
            c.stream_abort(&who(name), id, NOW).answer.unwrap();
        }
        let rest: usize = self::text(&c).chars().filter(|c| !c.is_whitespace()).count();
        assert_eq!(rest, "#Asomewords".len() + by_person.len(), "{:?}", self::text(&c));
    });
}
