//! Stores that are slow, full, taken by another, newer or damaged.

use std::time::Duration;

use ggml_agent::core::store::{Bounds, Commit, Open, Snapshot};
use ggml_agent::{Options, StartError, System};
use ggml_agent_doc::{
    CallError, DocEventKind, Document, DocumentAgent, Edit, EditError, LockDenied,
    coordinator::LockError,
};

use super::rig::{Process, Rig};
use super::{doc_event, edit, id, lock};
use crate::support::{Do, TEXT};

#[tokio::test(start_paused = true)]
async fn d11_an_edit_that_is_not_kept_is_seen_by_nobody() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let (one, reader) = (process.writer("one").await, process.writer("reader").await);
    reader.ask(Do::Subscribe).await.unwrap();
    let mut events = process.system.events();
    rig.hold();
    let section = process.sections[0];
    let writes =
        tokio::spawn(
            async move { edit(&one, Edit::optimistic(section, 0, "# One\n\nlost\n\n")).await },
        );
    rig.has_commits(1).await;
    assert_eq!(process.text().await, TEXT);
    assert_eq!(process.document.read(section).await.unwrap().unwrap().version, 0);
    assert_eq!(reader.ask(Do::Notes).await.unwrap().len(), 0);
    assert!(!writes.is_finished());
    // What waits is lost with the incarnation: nobody had heard of it.
    process.restart_document().await;
    assert!(matches!(writes.await.unwrap(), Err(CallError::Unreachable(_))));
    rig.release();
    let two = process.writer("two").await;
    let done = edit(&two, Edit::optimistic(section, 0, "# One\n\nkept\n\n")).await.unwrap();
    assert_eq!((done.seq, done.version), (1, 1));
    let seq = events.find(|event| match doc_event(event)? {
        DocEventKind::EditAccepted { seq, version, .. } => Some((seq, version)),
        _ => None,
    });
    assert_eq!(seq.await.unwrap(), (1, 1));
    assert!(process.text().await.contains("kept"));
}

#[tokio::test(start_paused = true)]
async fn d11_edits_that_come_while_a_commit_is_under_way_share_the_next_one() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    rig.hold();
    let mut jobs = Vec::new();
    for n in 0..50 {
        let writer = process.writer(&format!("w{n}")).await;
        let section = process.sections[0];
        let text = format!("# {n}\n\n");
        jobs.push(tokio::spawn(async move {
            edit(&writer, Edit::optimistic(section, n, text)).await.unwrap().seq
        }));
        process.writer(&format!("after{n}")).await;
        tokio::task::yield_now().await;
    }
    rig.has_commits(1).await;
    assert_eq!(rig.commits(), 1);
    rig.release();
    let mut seqs = Vec::new();
    for job in jobs {
        seqs.push(job.await.unwrap());
    }
    assert_eq!(seqs, (1..=50).collect::<Vec<_>>());
    assert_eq!(rig.commits(), 2, "one for the first edit, one for all the others");
}

#[tokio::test(start_paused = true)]
async fn d11_a_full_disk_holds_edits_up_and_readers_not_and_loses_nothing() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let (one, two) = (process.writer("one").await, process.writer("two").await);
    let section = process.sections[0];
    edit(&one, Edit::optimistic(section, 0, "# 1\n\n")).await.unwrap();
    rig.set_full(true);
    let writes =
        tokio::spawn(async move { edit(&one, Edit::optimistic(section, 1, "# 2\n\n")).await });
    rig.has_commits(4).await;
    assert!(process.text().await.starts_with("# 1\n"), "it can be read");
    assert!(!writes.is_finished());
    rig.set_full(false);
    assert_eq!(writes.await.unwrap().unwrap().seq, 2);
    assert_eq!(edit(&two, Edit::optimistic(section, 2, "# 3\n\n")).await.unwrap().seq, 3);
    assert_eq!(rig.stored("doc").await.epoch.0, 1, "in the same incarnation");
}

#[tokio::test(start_paused = true)]
async fn d11_beyond_a_bound_edits_and_locks_are_refused_until_the_store_has_caught_up() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let section = process.sections[0];
    rig.hold();
    let mut jobs = Vec::new();
    let mut refused = None;
    for n in 0..50 {
        let writer = process.writer(&format!("w{n}")).await;
        let letter = if n % 2 == 0 { "x" } else { "y" };
        let text = format!("# One\n\n{}\n\n", letter.repeat(250_000));
        let mut job =
            tokio::spawn(async move { edit(&writer, Edit::optimistic(section, n, text)).await });
        // Either it waits with the others, or it is refused at once.
        match tokio::time::timeout(Duration::from_millis(1), &mut job).await {
            Ok(answer) => {
                refused = Some(answer.unwrap().unwrap_err());
                break;
            }
            Err(_) => jobs.push(job),
        }
    }
    let refused = refused.expect("8 MiB are the bound");
    assert_eq!(refused, CallError::Refused(EditError::Unsaved));
    let late = process.writer("late").await;
    let denied = lock(&late, process.deny(1)).await.unwrap_err();
    assert_eq!(denied, LockDenied::Refused(LockError::Unsaved));
    rig.release();
    let n = jobs.len() as u64;
    for (seq, job) in (1..).zip(jobs) {
        assert_eq!(job.await.unwrap().unwrap().seq, seq);
    }
    let done = edit(&late, Edit::optimistic(section, n, "# One\n\n")).await.unwrap();
    assert_eq!(done.seq, n + 1);
}

#[tokio::test(start_paused = true)]
async fn d11_an_incarnation_whose_record_another_has_taken_ends_and_begins_anew() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let one = process.writer("one").await;
    let open = Open { agent: id("doc"), bounds: Bounds::DEFAULT, in_hand: None };
    rig.store.open(open).await.unwrap();
    let section = process.sections[0];
    let lost = edit(&one, Edit::optimistic(section, 0, "# One\n\n")).await;
    assert!(matches!(lost, Err(CallError::Unreachable(_))), "{lost:?}");
    process.restarted(2).await;
    assert_eq!(process.text().await, TEXT);
    assert_eq!(edit(&one, Edit::optimistic(section, 0, "# One\n\n")).await.unwrap().seq, 1);
}

/// How the start of a document ends on a store that holds this.
async fn refusal(snapshot: Option<Snapshot>, journal: Vec<&'static [u8]>) -> String {
    let rig = Rig::new();
    let open = Open { agent: id("doc"), bounds: Bounds::DEFAULT, in_hand: None };
    let opened = rig.store.open(open).await.unwrap();
    let mut commit = Commit::new(id("doc"), opened.epoch, opened.revision, opened.applied);
    commit.snapshot = snapshot;
    commit.journal = journal.into_iter().map(ggml_agent::Bytes::from_static).collect();
    rig.store.commit(commit).await.unwrap();
    let before = rig.stored("doc").await;
    let system = System::with(Options { store: Some(rig.store.clone()), ..Options::default() });
    let spec = DocumentAgent::durable("doc", Document::parse(TEXT).unwrap());
    let Err(StartError::Failed { reason, .. }) = system.start(spec).await else {
        panic!("it was started")
    };
    let after = rig.stored("doc").await;
    assert_eq!((before.revision, before.entries), (after.revision, after.entries), "changed");
    reason.to_string()
}

#[tokio::test(start_paused = true)]
async fn d13_a_document_that_is_newer_or_damaged_does_not_start_and_is_left_alone() {
    let bytes = ggml_agent::Bytes::from_static(b"\xa0");
    let newer = refusal(Some(Snapshot { version: 3, bytes: bytes.clone() }), Vec::new()).await;
    assert_eq!(
        newer,
        "start failed: what is kept of the document has form 3, this release reads up to 2"
    );
    let damaged = refusal(Some(Snapshot { version: 1, bytes }), Vec::new()).await;
    assert!(damaged.contains("is damaged: "), "{damaged}");
    let orphans = refusal(None, vec![b"\x01\x00"]).await;
    assert!(orphans.ends_with("damaged: its entries have no snapshot before them"), "{orphans}");
}

#[tokio::test(start_paused = true)]
async fn d11_without_a_store_a_durable_document_does_not_start() {
    let spec = DocumentAgent::durable("doc", Document::parse(TEXT).unwrap());
    let Err(StartError::Failed { reason, .. }) = System::new().start(spec).await else {
        panic!("it was started")
    };
    assert!(reason.to_string().contains("set `Options::store`"), "{reason}");
}
