//! D11 to D13: documents that survive. A system dropped is a process killed; the store outlives it.

mod faults;
mod kills;
pub(crate) mod rig;

use ggml_agent::{Addr, EventKind, Supervisor};
use ggml_agent_core::lease::Stale;
use ggml_agent_doc::{CallError, DocEvent, DocEventKind, DocNote, DocumentRef, Edit, EditError};

use self::rig::{Process, Rig};
use crate::support::{Do, LEASE, Writer, edit, id, lock};

/// What happened to a document, if that is what the event is about.
fn doc_event(event: &EventKind) -> Option<DocEventKind> {
    let EventKind::Custom(event) = event else { return None };
    Some(event.as_any().downcast_ref::<DocEvent>()?.kind.clone())
}

#[tokio::test(start_paused = true)]
async fn d11_an_acknowledged_edit_survives_the_process() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let one = process.writer("one").await;
    let grant = lock(&one, process.deny(0)).await.unwrap().remove(0);
    let edited = Edit::locked(grant.section, grant.token, "# One\n\nkept\n\n");
    assert_eq!(edit(&one, edited).await.unwrap().seq, 1);
    process.kill().await;
    let process = Process::start(&rig).await;
    let snapshot = process.document.snapshot().await.unwrap();
    assert_eq!(snapshot.to_markdown(), "# One\n\nkept\n\n# Two\n\nsecond\n");
    assert_eq!((snapshot.seq, snapshot.sections[0].version), (1, 1));
    let two = process.writer("two").await;
    let outdated = edit(&two, Edit::optimistic(grant.section, 0, "# One\n\n")).await.unwrap_err();
    let error = EditError::Outdated { section: grant.section, base: 0, current: 1 };
    assert_eq!(outdated, CallError::Refused(error));
    let next = edit(&two, Edit::optimistic(grant.section, 1, "# One\n\n2\n\n")).await.unwrap();
    assert_eq!((next.seq, next.version), (2, 2));
    process.stop().await;
    let process = Process::start(&rig).await;
    assert_eq!(process.text().await, "# One\n\n2\n\n# Two\n\nsecond\n");
}

#[tokio::test(start_paused = true)]
async fn d12_after_the_process_its_locks_are_taken_back_and_their_tokens_refused() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let one = process.writer("one").await;
    let old = lock(&one, process.deny(0)).await.unwrap().remove(0);
    process.kill().await;

    let (process, mut events) = Process::start_watched(&rig).await;
    let taken_back = |event: &EventKind| match doc_event(event)? {
        DocEventKind::TakenBack { section, token } => Some((section, token)),
        _ => None,
    };
    let event: (_, _) = events.find(taken_back).await.unwrap();
    assert_eq!(event, (old.section, old.token));
    // Another life, of the same name and number.
    let one = process.writer("one").await;
    assert_eq!(one.incarnation(), 1);
    let late = edit(&one, Edit::locked(old.section, old.token, "# Late\n\n")).await.unwrap_err();
    let stale = Stale::NotHeld { token: old.token };
    assert_eq!(late, CallError::Refused(EditError::Stale(stale)));
    let two = process.writer("two").await;
    let new = lock(&two, process.deny(0)).await.unwrap().remove(0);
    assert!(new.token > old.token, "at once, and with a larger token");
    let late = edit(&one, Edit::locked(old.section, old.token, "# Late\n\n")).await.unwrap_err();
    assert!(matches!(late, CallError::Refused(EditError::Stale(_))), "{late:?}");
    assert!(edit(&two, Edit::locked(new.section, new.token, "# New\n\n")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn d12_incarnations_of_an_earlier_process_bar_nobody_of_this_one() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let tree = Supervisor::new("writers").child(process.spec("one"));
    let tree = process.system.supervise(tree).await.unwrap();
    let one: Addr<Writer> = process.system.lookup("one").unwrap();
    lock(&one, process.deny(0)).await.unwrap();
    one.tell(Do::Fail).unwrap();
    lock(&one, process.deny(0)).await.unwrap();
    assert_eq!(one.incarnation(), 2);
    tree.stop().await;
    process.kill().await;
    let process = Process::start(&rig).await;
    let one = process.writer("one").await;
    assert_eq!(one.incarnation(), 1);
    assert!(lock(&one, process.deny(0)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn d12_a_living_holder_keeps_its_lock_when_the_agent_restarts() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let (one, two) = (process.writer("one").await, process.writer("two").await);
    let grant = lock(&one, process.deny(0)).await.unwrap().remove(0);
    tokio::time::advance(LEASE * 3 / 4).await;
    process.restart_document().await;
    assert!(lock(&two, process.deny(0)).await.is_err(), "it is held");
    tokio::time::advance(LEASE * 3 / 4).await;
    let text = "# One\n\nwith the same token\n\n";
    let edited = edit(&one, Edit::locked(grant.section, grant.token, text)).await;
    assert!(edited.is_ok(), "not shortened: {edited:?}");
    tokio::time::advance(LEASE / 4).await;
    let later = lock(&two, process.deny(0)).await.unwrap().remove(0);
    assert!(later.token > grant.token, "and not for ever");
    assert_eq!(process.document.addr().incarnation(), 2);
}

#[tokio::test(start_paused = true)]
async fn d12_a_holder_that_ended_with_the_agent_has_no_lock_after_it() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let (one, two) = (process.writer("one").await, process.writer("two").await);
    lock(&one, process.deny(0)).await.unwrap();
    one.kill();
    process.document.addr().kill();
    one.ended().await;
    process.restarted(2).await;
    assert!(lock(&two, process.deny(0)).await.is_ok());
    // And one that ends later is still watched.
    process.restart_document().await;
    two.kill();
    two.ended().await;
    let three = process.writer("three").await;
    assert!(lock(&three, process.deny(0)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn d12_a_holder_that_ends_while_the_document_is_stopped_has_no_lock_after_it() {
    let rig = Rig::new();
    let mut process = Process::start(&rig).await;
    let one = process.writer("one").await;
    lock(&one, process.deny(0)).await.unwrap();
    process.tree.stop_child(&id("doc")).await.unwrap();
    one.kill();
    one.ended().await;
    process.tree.restart_child(&id("doc")).await.unwrap();
    process.document = DocumentRef::new(process.system.lookup("doc").unwrap());
    let two = process.writer("two").await;
    assert!(lock(&two, process.deny(0)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn d08_d11_followers_are_told_to_read_anew_when_the_agent_restarts() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let (one, reader) = (process.writer("one").await, process.writer("reader").await);
    reader.ask(Do::Subscribe).await.unwrap();
    let section = process.sections[0];
    edit(&one, Edit::optimistic(section, 0, "# 1\n\n")).await.unwrap();
    process.restart_document().await;
    edit(&one, Edit::optimistic(section, 1, "# 2\n\n")).await.unwrap();
    let notes = reader.ask(Do::Notes).await.unwrap();
    match &notes[..] {
        [DocNote::Updated(first), DocNote::Resync { seq: 1 }, DocNote::Updated(second)] => {
            assert_eq!((first.seq, second.seq), (1, 2));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn d11_the_protocol_by_envelopes_is_answered_after_the_commit() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let mut events = process.system.events();
    let one = process.writer("one").await;
    rig.hold();
    let kind = ggml_agent::MessageType::DocEdit;
    let payload = "section: s1\nbase: 0\n\n# One\n\nby envelope\n\n";
    let envelope = process.system.envelope(id("doc"), kind, payload);
    process.system.route(envelope.sent_by(one.id().clone())).unwrap();
    rig.has_commits(1).await;
    assert!(!process.text().await.contains("by envelope"));
    rig.release();
    let accepted = |event: &EventKind| {
        matches!(doc_event(event)?, DocEventKind::EditAccepted { .. }).then_some(())
    };
    assert!(events.find(accepted).await.is_ok());
    assert!(process.text().await.contains("by envelope"));
}

#[tokio::test(start_paused = true)]
async fn d13_what_is_written_grows_with_the_edits_and_not_with_their_square() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let one = process.writer("one").await;
    for n in 0..4_000 {
        let text = format!("# One\n\n{n:>60}\n\n");
        edit(&one, Edit::optimistic(process.sections[0], n, text)).await.unwrap();
        if [499, 999, 1_999, 3_999].contains(&n) {
            // An entry takes some 120 bytes, and the snapshots as much again.
            assert!(rig.written() < (n + 1) * 300, "{} bytes after {n}", rig.written());
        }
    }
    let stored = rig.stored("doc").await;
    assert!(stored.entries < 2_000, "snapshots take the place of entries: {stored:?}");
    process.kill().await;
    let process = Process::start(&rig).await;
    assert_eq!(process.document.snapshot().await.unwrap().seq, 4_000);
}
