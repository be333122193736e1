//! D10 and D18 to D22.

use std::collections::BTreeMap;
use std::time::Duration;

use ggml_agent::{Addr, AgentId, Supervisor};
use ggml_agent_doc::{
    CallError, Changes, DocNote, DocumentRef, Edit, EditError, Holder, Kind, OnExit, Restructure,
    Revert, RevertError, Selection, StreamError, StreamId, StreamOpen, StreamPlace, Structure,
    Suggest,
};

use crate::durable::rig::{Process, Rig};
use crate::support::{Do, House, Writer, edit, id, lock};

/// Lets the time pass that pieces of a stream wait for each other, and returns when update `seq` can be read.
async fn written(document: &DocumentRef, seq: u64) {
    tokio::time::advance(Duration::from_millis(51)).await;
    for _ in 0..10_000 {
        if document.snapshot().await.unwrap().seq >= seq {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("update {seq} was not written");
}

fn holder(name: &str) -> Holder {
    Holder::new(id(name), 1)
}

fn anna() -> Holder {
    Holder::of(Kind::Person, id("anna"), 1)
}

async fn open(writer: &Addr<Writer>, house: &House, on_exit: OnExit) -> StreamId {
    let section = house.sections[0];
    let open = StreamOpen { section, place: StreamPlace::End, token: None, on_exit };
    writer.ask(|reply| Do::Open(open, reply)).await.unwrap().unwrap()
}

fn seqs(notes: &[DocNote]) -> Vec<u64> {
    let seq = |note: &DocNote| match note {
        DocNote::Updated(update) => update.seq,
        other => panic!("{other:?}"),
    };
    notes.iter().map(seq).collect()
}

#[tokio::test(start_paused = true)]
async fn d21_pieces_of_the_same_tick_are_one_update() {
    let house = House::new().await;
    let (one, reader) = (house.writer("one").await, house.writer("reader").await);
    reader.ask(Do::Subscribe).await.unwrap();
    let stream = open(&one, &house, OnExit::Keep).await;
    for piece in ["Token", " by", " token"] {
        house.document.stream_push(&holder("one"), stream, piece).await.unwrap();
    }
    assert_eq!(house.document.snapshot().await.unwrap().seq, 0, "they wait for each other");
    written(&house.document, 1).await;
    assert_eq!(seqs(&reader.ask(Do::Notes).await.unwrap()), [1]);
    house.document.stream_push(&holder("one"), stream, ".").await.unwrap();
    let done = house.document.stream_commit(&holder("one"), stream).await.unwrap();
    assert_eq!(done.seq, Some(2), "what waits is written with the end");
    let text = "# One\n\nfirst\n\nToken by token.\n\n# Two\n\nsecond\n";
    assert_eq!(house.text().await, text);
    let late = house.document.stream_push(&holder("one"), stream, "x").await.unwrap_err();
    assert_eq!(late, CallError::Refused(StreamError::Unknown { stream }));
}

#[tokio::test(start_paused = true)]
async fn d21_a_piece_that_could_not_be_written_is_tried_again_and_said() {
    let house = House::new().await;
    let (one, two) = (house.writer("one").await, house.writer("two").await);
    let stream = open(&one, &house, OnExit::Keep).await;
    let push = |text: &'static str| {
        let document = house.document.clone();
        async move { document.stream_push(&holder("one"), stream, text).await }
    };
    push("a").await.unwrap();
    let grant = lock(&two, house.deny(0)).await.unwrap().remove(0);
    assert!(house.document.stream_commit(&holder("one"), stream).await.is_err(), "it is locked");
    let refused = push("b").await.unwrap_err();
    let CallError::Refused(StreamError::Edit(EditError::Locked { .. })) = refused else {
        panic!("{refused:?}")
    };
    assert!(two.ask(|reply| Do::Release(grant.section, grant.token, reply)).await.unwrap());
    push("c").await.unwrap();
    house.document.stream_commit(&holder("one"), stream).await.unwrap();
    assert!(house.text().await.contains("first\n\nac\n\n"), "{}", house.text().await);
}

#[tokio::test(start_paused = true)]
async fn d21_a_writer_that_fails_takes_the_words_of_its_stream_along_or_leaves_them() {
    for (on_exit, stays) in [(OnExit::Keep, true), (OnExit::Abort, false)] {
        let house = House::new().await;
        let tree = Supervisor::new("writers").child(house.spec("one"));
        let _tree = house.system.supervise(tree).await.unwrap();
        let one: Addr<Writer> = house.system.lookup("one").unwrap();
        let reader = house.writer("reader").await;
        reader.ask(Do::Subscribe).await.unwrap();
        let stream = open(&one, &house, on_exit).await;
        house.document.stream_push(&holder("one"), stream, "words").await.unwrap();
        written(&house.document, 1).await;
        house.document.stream_push(&holder("one"), stream, " and more").await.unwrap();
        one.tell(Do::Fail).unwrap();
        // The next life is there: the one before has ended.
        one.ask(Do::Notes).await.unwrap();
        assert_eq!(house.text().await.contains("words and more"), stays);
        assert_eq!(house.text().await == crate::support::TEXT, !stays);
        let expected: &[u64] = if stays { &[1, 2] } else { &[1, 2, 3] };
        assert_eq!(seqs(&reader.ask(Do::Notes).await.unwrap()), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn d20_a_suggestion_is_made_by_an_agent_and_accepted_by_a_person() {
    let house = House::new().await;
    let section = house.sections[0];
    let wish = Suggest {
        section,
        base: 0,
        changes: Changes::one(7, 5, "FIRST"),
        note: "loud".into(),
        op: None,
    };
    let id = house.document.suggest(&holder("one"), wish).await.unwrap();
    let list = house.document.suggestions(section).await.unwrap();
    assert_eq!((list.len(), list[0].0.id, list[0].1.is_some()), (1, id, true));
    let accepted = house.document.accept(&anna(), id, None).await.unwrap();
    assert_eq!((accepted.seq, accepted.version), (1, 1));
    assert!(house.text().await.starts_with("# One\n\nFIRST\n"));
    assert!(house.document.reject(&anna(), id).await.is_err(), "it is answered");
    let runs = house.document.blame(section).await.unwrap();
    assert_eq!((runs[1].len, runs[1].author.clone()), (5, Some(holder("one"))));
}

#[tokio::test(start_paused = true)]
async fn d19_an_agents_edits_are_taken_back_as_one_update_that_followers_see() {
    let house = House::new().await;
    let [one, two] = [house.writer("one").await, house.writer("two").await];
    two.ask(Do::Subscribe).await.unwrap();
    for (n, section) in house.sections.iter().enumerate() {
        let text = format!("# {n}\n\nby one\n\n");
        edit(&one, Edit::optimistic(*section, 0, text)).await.unwrap();
    }
    let by: Selection = Selection::Author("one".parse::<AgentId>().unwrap());
    let done = house.document.revert(&anna(), Revert::of(by.clone())).await.unwrap();
    assert_eq!((done.seq, done.sections.len()), (Some(3), 2));
    assert_eq!(house.text().await, crate::support::TEXT);
    assert_eq!(seqs(&two.ask(Do::Notes).await.unwrap()), [1, 2, 3]);
    let nothing = house.document.revert(&anna(), Revert::of(by)).await.unwrap_err();
    assert_eq!(nothing, CallError::Refused(RevertError::Nothing { since: 1 }));
    let old = house.document.text_at(house.sections[0], 1).await.unwrap();
    assert_eq!(old, "# 0\n\nby one\n\n");
}

#[tokio::test(start_paused = true)]
async fn d22_sections_are_changed_by_who_has_seen_the_outline() {
    let house = House::new().await;
    let seen = house.document.outline().await.unwrap();
    let titles: Vec<&str> = seen.sections.iter().map(|item| &*item.title).collect();
    assert_eq!(titles, ["One", "Two"]);
    let wish = || {
        Restructure::seen(
            seen.outline_version,
            Structure::Move { section: house.sections[1], after: None },
        )
    };
    assert!(house.document.restructure(&holder("one"), wish()).await.is_ok());
    assert_eq!(house.text().await, "# Two\n\nsecond\n# One\n\nfirst\n\n");
    assert!(house.document.restructure(&holder("two"), wish()).await.is_err(), "another outline");
}

#[tokio::test(start_paused = true)]
async fn d11_authors_suggestions_and_reverts_survive_the_process_and_nothing_is_seen_before() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let section = process.sections[0];
    let one = process.writer("one").await;
    let text = "# One\n\nfirst, kept\n\n";
    edit(&one, Edit::optimistic(section, 0, text)).await.unwrap();
    let open = |on_exit| StreamOpen { section, place: StreamPlace::End, token: None, on_exit };
    let stream = one.ask(|reply| Do::Open(open(OnExit::Abort), reply)).await.unwrap().unwrap();
    process.document.stream_push(&holder("one"), stream, "half a text").await.unwrap();
    written(&process.document, 2).await;
    let changes = Changes::one(7, 5, "1st");
    let wish = Suggest { section, base: 2, changes, note: String::new(), op: None };
    let id = process.document.suggest(&holder("one"), wish).await.unwrap();
    rig.hold();
    let document = process.document.clone();
    let accept = tokio::spawn(async move { document.accept(&anna(), id, None).await });
    rig.has_commits(1).await;
    assert!(!process.text().await.contains("1st"), "it is not kept yet");
    process.kill().await;
    assert!(accept.await.unwrap().is_err());
    rig.release();

    let process = Process::start(&rig).await;
    assert_eq!(process.text().await, format!("{text}# Two\n\nsecond\n"), "the half is gone");
    let runs = process.document.blame(section).await.unwrap();
    assert!(runs.iter().any(|run| run.seq == 1 && run.author == Some(holder("one"))), "{runs:?}");
    assert_eq!(process.document.suggestions(section).await.unwrap()[0].0.id, id);
    process.document.accept(&anna(), id, None).await.unwrap();
    process.document.undo_own(&holder("one"), BTreeMap::new()).await.unwrap();
    process.stop().await;
    let process = Process::start(&rig).await;
    assert_eq!(process.text().await, "# One\n\n1st\n\n# Two\n\nsecond\n");
}
