//! D6 to D8.

use ggml_agent::{MailboxOptions, Overflow};
use ggml_agent_doc::{CallError, Change, DocNote, Edit, EditError, Holder, Splices};

use crate::support::{Do, House, TEXT, edit, lock};

#[tokio::test(start_paused = true)]
async fn d06_a_refused_edit_changes_nothing_and_says_why() {
    let house = House::new().await;
    let one = house.writer("one").await;
    let before = house.text().await;
    let section = house.sections[0];
    let no_proof = Edit { section, token: None, base: None, text: "# X\n".into() };
    let refused = edit(&one, no_proof).await.unwrap_err();
    assert_eq!(refused, CallError::Refused(EditError::NoTokenAndNoBase));
    let outdated = edit(&one, Edit::optimistic(section, 7, "# X\n")).await.unwrap_err();
    assert!(
        matches!(outdated, CallError::Refused(EditError::Outdated { base: 7, current: 0, .. })),
        "{outdated:?}"
    );
    assert_eq!(house.text().await, before);
}

#[tokio::test(start_paused = true)]
async fn d06_splices_change_all_their_places_or_none() {
    let house = House::new().await;
    let one = Holder::new("one".parse().unwrap(), 1);
    let change = |at, del, insert: &str| Change { at, del, insert: insert.into() };
    let splices = |base, changes: [Change; 2]| Splices {
        section: house.sections[0],
        token: None,
        base: Some(base),
        changes: changes.into_iter().collect(),
    };
    // The second one ends behind the text.
    let beyond = splices(0, [change(7, 5, "1st"), change(13, 5, "")]);
    let refused = house.document.splice(&one, beyond).await.unwrap_err();
    assert!(
        matches!(refused, CallError::Refused(EditError::NoSuchPlace { at: 13, .. })),
        "{refused:?}"
    );
    assert_eq!(house.text().await, TEXT);
    let both = splices(0, [change(2, 3, "Uno"), change(7, 5, "1st")]);
    let accepted = house.document.splice(&one, both.clone()).await.unwrap();
    assert_eq!((accepted.seq, accepted.version), (1, 1));
    let after = TEXT.replace("One", "Uno").replace("first", "1st");
    assert_eq!(house.text().await, after);
    // Said again, it would change another text than it was made for.
    let again = house.document.splice(&one, both).await.unwrap_err();
    assert!(matches!(again, CallError::Refused(EditError::Outdated { base: 0, current: 1, .. })));
    assert_eq!(house.text().await, after);
}

#[tokio::test(start_paused = true)]
async fn d07_edits_of_many_have_one_order_and_none_is_lost() {
    let house = House::new().await;
    let mut jobs = Vec::new();
    for n in 0..8 {
        let writer = house.writer(&format!("w{n}")).await;
        let (document, section) = (house.document.clone(), house.sections[0]);
        let queued = house.queue(0);
        jobs.push(tokio::spawn(async move {
            let mut seqs = Vec::new();
            for round in 0..10 {
                let grant = lock(&writer, queued.clone()).await.unwrap().remove(0);
                let old = document.read(section).await.unwrap().unwrap();
                let text = format!("{}w{n} r{round}\n", old.text);
                let done = edit(&writer, Edit::locked(section, grant.token, text)).await.unwrap();
                seqs.push(done.seq);
                writer.ask(|reply| Do::Release(section, grant.token, reply)).await.unwrap();
            }
            seqs
        }));
    }
    let mut seqs = Vec::new();
    for job in jobs {
        seqs.extend(job.await.unwrap());
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=80).collect::<Vec<_>>(), "gap-free");
    let text = house.text().await;
    for n in 0..8 {
        for round in 0..10 {
            assert_eq!(text.matches(&format!("w{n} r{round}\n")).count(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d08_a_subscriber_sees_every_version_in_order() {
    let house = House::new().await;
    let (one, reader) = (house.writer("one").await, house.writer("reader").await);
    assert_eq!(reader.ask(Do::Subscribe).await.unwrap(), 0);
    for n in 0..20 {
        edit(&one, Edit::optimistic(house.sections[0], n, format!("# v{n}\n\n"))).await.unwrap();
    }
    let notes = reader.ask(Do::Notes).await.unwrap();
    let seqs: Vec<u64> = notes
        .iter()
        .map(|note| match note {
            DocNote::Updated(update) => update.seq,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn d08_a_slow_subscriber_is_told_to_resynchronise_and_holds_nobody_up() {
    let house = House::new().await;
    let one = house.writer("one").await;
    let small = MailboxOptions { len_max: 4, overflow: Overflow::Reject };
    let slow = house.system.start(house.spec("slow").mailbox(small)).await.unwrap();
    slow.ask(Do::Subscribe).await.unwrap();
    let (go_on, until) = tokio::sync::oneshot::channel();
    slow.tell(Do::Hold(until)).unwrap();
    for n in 0..50 {
        edit(&one, Edit::optimistic(house.sections[0], n, format!("# v{n}\n\n"))).await.unwrap();
    }
    go_on.send(()).unwrap();
    let mut seqs = Vec::new();
    let resync = loop {
        // Full until it has worked off what it took.
        let notes = slow.ask(Do::Notes).await.unwrap_or_default();
        seqs.clear();
        let found = notes.iter().find_map(|note| match note {
            DocNote::Updated(update) => {
                seqs.push(update.seq);
                None
            }
            DocNote::Resync { seq } => Some(*seq),
            other => panic!("{other:?}"),
        });
        match found {
            Some(seq) => break seq,
            // Virtual time: the document tries again when its timer is due.
            None => tokio::time::advance(std::time::Duration::from_millis(10)).await,
        }
    };
    assert_eq!(resync, 50, "everything up to here is to be read anew");
    assert!(!seqs.is_empty() && seqs.len() <= 5, "{seqs:?}");
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "in order until then");
    edit(&one, Edit::optimistic(house.sections[0], 50, "# after\n\n")).await.unwrap();
    let notes = slow.ask(Do::Notes).await.unwrap();
    assert!(
        matches!(notes.last(), Some(DocNote::Updated(update)) if update.seq == 51),
        "{notes:?}"
    );
}
