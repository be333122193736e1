//! D9 and D14 to D16, as agents meet them.

use ggml_agent::EventKind;
use ggml_agent_core::lease::{OnBusy, Token};
use ggml_agent_doc::coordinator::TextSince;
use ggml_agent_doc::{
    CallError, Client, Command, DocEvent, DocEventKind, Done, EditError, Holder, Lock, Op, OpError,
    Query, SectionId,
};

use crate::durable::rig::{Process, Rig};
use crate::support::{Do, House, LEASE};

fn holder(name: &str) -> Holder {
    Holder::new(name.parse().unwrap(), 1)
}

fn str_replace(section: SectionId, old: &str, new: &str) -> Command {
    Command::new(section, Op::StrReplace { old: old.into(), new: new.into(), expect: 1 })
}

fn append(section: SectionId, text: &str) -> Command {
    Command::new(section, Op::Append { text: text.into() })
}

/// What happened to the document because of a command.
fn of_command(event: &EventKind) -> Option<DocEventKind> {
    let EventKind::Custom(event) = event else { return None };
    let kind = &event.as_any().downcast_ref::<DocEvent>()?.kind;
    let is_one =
        matches!(kind, DocEventKind::EditAccepted { .. } | DocEventKind::CommandRefused { .. });
    is_one.then(|| kind.clone())
}

#[tokio::test(start_paused = true)]
async fn d09_a_command_is_refused_with_a_hint_and_then_done() {
    let house = House::new().await;
    let mut events = house.system.events();
    let reader = house.writer("reader").await;
    reader.ask(Do::Subscribe).await.unwrap();
    let (one, section) = (holder("one"), house.sections[0]);
    let refused = house.document.command(&one, str_replace(section, "FIRST", "1st")).await;
    let Err(CallError::Refused(OpError::NoMatch { nearest: Some(nearest), current, .. })) = refused
    else {
        panic!("{refused:?}")
    };
    let done = str_replace(section, &current[nearest.range], "1st");
    let done = house.document.command(&one, done).await.unwrap();
    assert_eq!((done.seq, &*done.sections), (1, &[(section, 1)][..]));
    assert_eq!(house.text().await, "# One\n\n1st\n\n# Two\n\nsecond\n");
    assert_eq!(reader.ask(Do::Notes).await.unwrap().len(), 1);
    let event = events.find(of_command).await.unwrap();
    assert!(matches!(event, DocEventKind::CommandRefused { section: s, .. } if s == section));
    let event = events.find(of_command).await.unwrap();
    assert_eq!(event, DocEventKind::EditAccepted { section, seq: 1, version: 1 });
}

#[tokio::test(start_paused = true)]
async fn d14_d15_a_repeated_batch_is_one_event_and_a_refused_one_changes_nothing() {
    let house = House::new().await;
    let mut events = house.system.events();
    let (one, [a, b]) = (holder("one"), [house.sections[0], house.sections[1]]);
    let batch = vec![
        str_replace(a, "first", "1").named("b-1".parse().unwrap()),
        str_replace(b, "second", "2"),
    ];
    let first = house.document.batch(&one, batch.clone()).await.unwrap();
    let again = house.document.batch(&one, batch.clone()).await.unwrap();
    assert_eq!(again, Done { is_repeat: true, ..first });
    let refused =
        house.document.batch(&one, vec![append(a, "x\n"), append(b, ""), batch[1].clone()]);
    let refused = refused.await;
    assert!(
        matches!(refused, Err(CallError::Refused(OpError::InBatch { index: 2, .. }))),
        "{refused:?}"
    );
    assert_eq!(house.text().await, "# One\n\n1\n\n# Two\n\n2\n");
    let each =
        house.document.commands(&one, vec![append(b, "3\n"), batch[1].clone()]).await.unwrap();
    assert!(each[0].is_ok() && each[1].is_err());
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(match events.find(of_command).await.unwrap() {
            DocEventKind::EditAccepted { section, seq, .. } => (section, seq),
            DocEventKind::CommandRefused { section, .. } => (section, 0),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, [(a, 1), (b, 1), (b, 0), (b, 2), (b, 0)]);
}

#[tokio::test(start_paused = true)]
async fn d14_whenever_the_process_ends_a_command_sent_again_is_carried_out_once() {
    for is_kept in [true, false] {
        let rig = Rig::new();
        let process = Process::start(&rig).await;
        let (one, section) = (holder("one"), process.sections[0]);
        let command = append(section, "once\n").named("op-1".parse().unwrap());
        if !is_kept {
            rig.hold();
        }
        let (document, sent) = (process.document.clone(), command.clone());
        let who = one.clone();
        let answer = tokio::spawn(async move { document.command(&who, sent).await });
        if is_kept {
            assert!(!answer.await.unwrap().unwrap().is_repeat);
        } else {
            // Decided, on its way to the store, and not seen.
            rig.has_commits(1).await;
            assert!(!process.text().await.contains("once"));
            answer.abort();
        }
        process.kill().await;
        rig.release();
        let process = Process::start(&rig).await;
        let done = process.document.command(&one, command.clone()).await.unwrap();
        assert_eq!((done.seq, done.is_repeat), (1, is_kept));
        assert_eq!(process.text().await.matches("once").count(), 1);
        let other = append(section, "other\n").named("op-1".parse().unwrap());
        let refused = process.document.command(&one, other).await;
        assert!(matches!(refused, Err(CallError::Refused(OpError::OpIdReused { .. }))));
        process.restart_document().await;
        assert!(process.document.command(&one, command).await.unwrap().is_repeat);
        assert_eq!(process.document.snapshot().await.unwrap().seq, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn d11_d16_a_question_is_answered_from_what_is_kept() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let (one, section) = (holder("one"), process.sections[0]);
    let outline = Query::default();
    let text = Query { sections: vec![section], since: Some(0) };
    rig.hold();
    let document = process.document.clone();
    let client = Client::unwatched(one.clone());
    let lock = Lock::one(section, LEASE, OnBusy::Deny);
    let locked = tokio::spawn(async move { document.lock(&client, lock).await });
    rig.has_commits(1).await;
    let (document, who) = (process.document.clone(), one.clone());
    // The first lock of a document has the first token.
    let command = append(section, "new\n").with_token(Token::from_u64(1));
    let written = tokio::spawn(async move { document.command(&who, command).await });
    // Behind the command, in the same mailbox.
    tokio::task::yield_now().await;
    let view = process.document.query(outline.clone()).await.unwrap();
    assert_eq!((view.seq, view.outline[0].version, &view.outline[0].holder), (0, 0, &None));
    let view = process.document.query(text.clone()).await.unwrap();
    assert_eq!(view.sections[0].text, TextSince::Unchanged);
    assert!(!locked.is_finished() && !written.is_finished());

    rig.release();
    assert_eq!(locked.await.unwrap().unwrap()[0].token, Token::from_u64(1));
    written.await.unwrap().unwrap();
    let view = process.document.query(outline.clone()).await.unwrap();
    assert_eq!((view.outline[0].version, &view.outline[0].holder), (1, &Some(one.clone())));
    let view = process.document.query(text).await.unwrap();
    assert!(
        matches!(&view.sections[0].text, TextSince::Whole(text) if text.to_string().contains("new"))
    );
    // Who holds a lock is known after a restart, and who gave it back too.
    process.restart_document().await;
    let view = process.document.query(outline.clone()).await.unwrap();
    assert_eq!(view.outline[0].holder, None, "whom nobody watches has no lock after it");
}

#[tokio::test(start_paused = true)]
async fn d11_commands_are_refused_while_the_store_is_behind() {
    let rig = Rig::new();
    let process = Process::start(&rig).await;
    let (one, section) = (holder("one"), process.sections[0]);
    rig.hold();
    let large = append(section, "");
    let mut sent = Vec::new();
    // 8 MiB wait at most: 40 texts of 250 KiB are more, also without the commit under way.
    for n in 0..40_u64 {
        let text = format!("# One\n\n{}\n\n", n.to_string().repeat(120_000));
        let on_stale = ggml_agent_doc::OnStale::Refuse;
        let command = Command::new(section, Op::Replace { text, on_stale }).with_base(n);
        let (document, who) = (process.document.clone(), one.clone());
        sent.push(tokio::spawn(async move { document.command(&who, command).await }));
        tokio::task::yield_now().await;
    }
    let unsaved = CallError::Refused(OpError::Edit(EditError::Unsaved));
    assert_eq!(process.document.command(&one, large.clone()).await, Err(unsaved.clone()));
    assert_eq!(process.document.batch(&one, vec![large.clone()]).await, Err(unsaved));
    let each = process.document.commands(&one, vec![large.clone(), large]).await.unwrap();
    assert_eq!(each, vec![Err(OpError::Edit(EditError::Unsaved)); 2]);
    assert!(process.document.query(Query::default()).await.is_ok(), "what is kept can be read");
    rig.release();
    let answers = sent.into_iter().map(|sent| async { sent.await.unwrap().is_ok() });
    let mut n_done = 0;
    for answer in answers {
        n_done += u64::from(answer.await);
    }
    assert_eq!(process.document.snapshot().await.unwrap().seq, n_done);
    assert!(n_done > 1 && n_done < 40, "{n_done}");
}
