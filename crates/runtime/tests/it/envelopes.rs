//! M8, M9: envelopes on the road by id.

use std::time::Duration;

use ggml_agent::core::envelope::TraceContext;
use ggml_agent::{
    AgentId, ChildSpec, Envelope, EnvelopeAgent, EnvelopeContext, Enveloped, ExitReason, Handlers,
    MailboxOptions, MessageType, Overflow, Priority, Reason, Report, SendError, Supervisor, System,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::{Log, probe, until};

/// Answers tasks, and passes on everything that answers it.
struct Worker {
    log: Log,
    answers: UnboundedSender<Envelope>,
}

impl EnvelopeAgent for Worker {
    type Error = Report;

    fn handlers(none: Handlers<Self>) -> Handlers<Self> {
        none.on(MessageType::Task, |worker, task, ctx| Box::pin(worker.on_task(task, ctx)))
            .on(MessageType::User, |worker, order, ctx| Box::pin(worker.on_user(order, ctx)))
            .on(MessageType::TaskResult, |worker, answer, _| Box::pin(worker.pass_on(answer)))
            .on(MessageType::Error, |worker, answer, _| Box::pin(worker.pass_on(answer)))
            .on(MessageType::HeartbeatAck, |worker, answer, _| Box::pin(worker.pass_on(answer)))
    }

    async fn on_stop(&mut self, reason: &ExitReason, _ctx: &mut EnvelopeContext<Self>) {
        self.log.note(format!("stopped:{reason}"));
    }
}

impl Worker {
    async fn on_task(
        &mut self,
        task: Envelope,
        ctx: &mut EnvelopeContext<Self>,
    ) -> Result<(), Report> {
        self.log.note(text(&task));
        match text(&task).as_str() {
            "hang" => std::future::pending().await,
            "panic" => panic!("asked to panic"),
            _ => {}
        }
        if task.from.is_some() {
            ctx.reply_to(&task, MessageType::TaskResult, task.payload.clone())?;
        }
        Ok(())
    }

    /// Sends an envelope of the type named first to the agent named second.
    async fn on_user(
        &mut self,
        order: Envelope,
        ctx: &mut EnvelopeContext<Self>,
    ) -> Result<(), Report> {
        let order = text(&order);
        let mut words = order.split(' ');
        let kind = words.next().unwrap().parse()?;
        let to = AgentId::new(words.next().unwrap())?;
        match ctx.send_to(&to, kind, words.next().unwrap_or_default().to_owned()) {
            Ok(id) => self.log.note(format!("sent:{id}")),
            Err(error) => self.log.note(format!("{error:?}")),
        }
        Ok(())
    }

    async fn pass_on(&mut self, answer: Envelope) -> Result<(), Report> {
        // A test that has ended wants no answers.
        drop(self.answers.send(answer));
        Ok(())
    }
}

fn text(envelope: &Envelope) -> String {
    String::from_utf8_lossy(&envelope.payload).into_owned()
}

fn worker(id: &str, log: &Log) -> (ChildSpec<Enveloped<Worker>>, UnboundedReceiver<Envelope>) {
    let (answers, receiver) = unbounded_channel();
    let log = log.clone();
    let spec =
        ChildSpec::envelope(id, move || Worker { log: log.clone(), answers: answers.clone() });
    (spec, receiver)
}

/// A system with a boss that is sent to, and a hand that answers.
struct Pair {
    system: System,
    log: Log,
    answers: UnboundedReceiver<Envelope>,
}

impl Pair {
    async fn start() -> Self {
        let (system, log) = (System::new(), Log::default());
        let (boss, answers) = worker("boss", &log);
        let (hand, _) = worker("hand", &log);
        system.start(boss).await.unwrap();
        system.start(hand).await.unwrap();
        Self { system, log, answers }
    }

    fn to(&self, to: &str, kind: MessageType, payload: &'static str) -> Envelope {
        self.system.envelope(to.parse().unwrap(), kind, payload)
    }

    fn route(&self, to: &str, kind: MessageType, payload: &'static str) {
        self.system.route(self.to(to, kind, payload)).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn m08_an_answer_carries_every_field_of_the_question_that_it_should() {
    let mut pair = Pair::start().await;
    let trace = TraceContext::new([7; 16], [3; 8], 1).unwrap();
    let deadline = pair.system.clock().unix_ms() + 60_000;
    let task = pair
        .to("hand", MessageType::Task, "draft")
        .sent_by("boss".parse().unwrap())
        .with_priority(Priority::High)
        .with_deadline_ms(deadline)
        .with_trace(trace);
    pair.system.route(task.clone()).unwrap();
    let answer = pair.answers.recv().await.unwrap();
    assert_eq!(answer.correlation_id, Some(task.id));
    assert_eq!(answer.from.as_ref().map(AgentId::as_str), Some("hand"));
    assert_eq!(answer.to.as_str(), "boss");
    assert_eq!((answer.kind, text(&answer)), (MessageType::TaskResult, "draft".to_owned()));
    assert_eq!((answer.priority, answer.deadline_ms), (Priority::High, Some(deadline)));
    assert_eq!(answer.trace, Some(trace));
    assert_ne!(answer.id, task.id);
    assert!(answer.timestamp_ms >= task.timestamp_ms && task.timestamp_ms > 1_600_000_000_000);
}

#[tokio::test(start_paused = true)]
async fn m08_priority_chooses_the_lane_and_a_passed_deadline_is_not_handled() {
    let pair = Pair::start().await;
    let hand = pair.system.lookup_any("hand").unwrap();
    // All of it is queued before the hand's first turn.
    for (n, priority) in [Priority::Normal, Priority::High].into_iter().enumerate() {
        let payload = ["normal", "high"][n];
        let task = pair.to("hand", MessageType::Task, payload).with_priority(priority);
        hand.deliver(task).unwrap();
    }
    let now = pair.system.clock().unix_ms();
    hand.deliver(pair.to("hand", MessageType::Task, "late").with_deadline_ms(now)).unwrap();
    hand.stop();
    hand.ended().await;
    assert_eq!(pair.log.text(), "high normal stopped:normal");
    let letters = pair.system.dead_letters();
    assert_eq!((letters.len(), letters[0].reason), (1, Reason::Expired));
    assert_eq!(text(letters[0].envelope.as_ref().unwrap()), "late");
}

#[tokio::test(start_paused = true)]
async fn m08_ids_are_unique_and_an_agent_signs_what_it_sends() {
    let mut pair = Pair::start().await;
    pair.route("boss", MessageType::User, "TASK hand one");
    pair.route("boss", MessageType::User, "TASK hand two");
    let first = pair.answers.recv().await.unwrap();
    let second = pair.answers.recv().await.unwrap();
    assert_eq!((text(&first), text(&second)), ("one".to_owned(), "two".to_owned()));
    assert_ne!(first.id, second.id);
    assert_ne!(first.correlation_id, second.correlation_id);
    let sent = format!("sent:{}", first.correlation_id.unwrap());
    assert!(pair.log.has(&sent), "send_to told the id that the answer carries");
}

#[tokio::test(start_paused = true)]
async fn m09_a_handler_is_chosen_by_the_message_type() {
    let mut pair = Pair::start().await;
    pair.route("boss", MessageType::User, "TASK hand draft");
    let answer = pair.answers.recv().await.unwrap();
    assert_eq!((answer.kind, text(&answer)), (MessageType::TaskResult, "draft".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn m09_a_heartbeat_is_answered_without_user_code() {
    let mut pair = Pair::start().await;
    // Also by an agent that knows nothing of envelopes.
    pair.system.start(probe("plain")).await.unwrap();
    for to in ["hand", "plain"] {
        let beat = pair.to(to, MessageType::Heartbeat, "42").sent_by("boss".parse().unwrap());
        pair.system.route(beat.clone()).unwrap();
        let ack = pair.answers.recv().await.unwrap();
        assert_eq!((ack.kind, text(&ack)), (MessageType::HeartbeatAck, "42".to_owned()));
        assert_eq!(ack.correlation_id, Some(beat.id));
        assert_eq!(ack.from.unwrap().as_str(), to);
    }
    assert_eq!(pair.log.text(), "", "no handler ran");
}

#[tokio::test(start_paused = true)]
async fn m09_a_heartbeat_to_an_agent_that_never_takes_it_is_a_dead_letter() {
    let pair = Pair::start().await;
    let hand = pair.system.lookup_any("hand").unwrap();
    pair.route("hand", MessageType::Task, "hang");
    until("hang", || pair.log.has("hang")).await;
    let beat = pair.to("hand", MessageType::Heartbeat, "1").sent_by("boss".parse().unwrap());
    hand.deliver(beat.clone()).unwrap();
    hand.kill();
    hand.ended().await;
    let letters = pair.system.dead_letters();
    assert_eq!(letters.len(), 1, "accepted and not answered: never silently");
    assert_eq!((letters[0].reason, letters[0].envelope.clone()), (Reason::Ended, Some(beat)));
    let refused = hand.deliver(pair.to("hand", MessageType::Heartbeat, "2"));
    assert!(matches!(refused, Err(SendError::Closed(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn m09_shutdown_stops_gracefully_without_user_code() {
    let pair = Pair::start().await;
    let hand = pair.system.lookup_any("hand").unwrap();
    for n in ["a", "b"] {
        hand.deliver(pair.to("hand", MessageType::Task, n)).unwrap();
    }
    hand.deliver(pair.to("hand", MessageType::Shutdown, "")).unwrap();
    assert_eq!(hand.ended().await, ExitReason::Shutdown);
    assert_eq!(pair.log.text(), "stopped:shutdown");
    assert_eq!(pair.system.dead_letter_counts()[&Reason::Stopped], 2);
    let refused = hand.deliver(pair.to("hand", MessageType::Shutdown, ""));
    assert!(matches!(refused, Err(SendError::Closed(_))), "it has ended: {refused:?}");
}

#[tokio::test(start_paused = true)]
async fn m09_an_envelope_without_a_handler_is_an_error_for_its_sender() {
    let mut pair = Pair::start().await;
    let edit = pair.to("hand", MessageType::DocEdit, "x").sent_by("boss".parse().unwrap());
    pair.system.route(edit.clone()).unwrap();
    let answer = pair.answers.recv().await.unwrap();
    assert_eq!((answer.kind, answer.correlation_id), (MessageType::Error, Some(edit.id)));
    assert_eq!(text(&answer), "hand has no handler for DOC_EDIT");
    let letters = pair.system.dead_letters();
    assert_eq!((letters.len(), letters[0].reason), (1, Reason::NotUnderstood));
    assert_eq!(letters[0].envelope.as_ref(), Some(&edit));
    assert!(pair.system.lookup_any("hand").unwrap().is_alive(), "never a crash");

    // One that knows no envelopes at all gives it back at once.
    pair.system.start(probe("plain")).await.unwrap();
    let refused = pair.system.route(pair.to("plain", MessageType::Task, "x"));
    assert!(matches!(refused, Err(SendError::NotUnderstood(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn m09_all_thirteen_types_travel_and_an_unknown_one_is_an_error() {
    let pair = Pair::start().await;
    assert_eq!(MessageType::ALL.len(), 13);
    for kind in MessageType::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert!("LOCK_STOLEN".parse::<MessageType>().is_err());
    let hand = pair.system.lookup_any("hand").unwrap();
    // SHUTDOWN ends it, everything else leaves it alive.
    for kind in MessageType::ALL.into_iter().filter(|kind| *kind != MessageType::Shutdown) {
        hand.deliver(pair.to("hand", kind, "NONE x")).unwrap();
        if kind == MessageType::User {
            continue;
        }
    }
    hand.stop();
    // The USER order does not parse: its handler returned an error, which is a failure of its own.
    assert!(matches!(hand.ended().await, ExitReason::Error(_)));
}

#[tokio::test(start_paused = true)]
async fn m09_an_unknown_id_gives_the_envelope_back_and_a_dead_letter() {
    let pair = Pair::start().await;
    let lost = pair.to("nobody", MessageType::Task, "x");
    match pair.system.route(lost.clone()) {
        Err(SendError::Unknown(back)) => assert_eq!(back, lost),
        other => panic!("{other:?}"),
    }
    let letters = pair.system.dead_letters();
    assert_eq!((letters.len(), letters[0].reason), (1, Reason::Unknown));
    assert_eq!((letters[0].to.as_str(), letters[0].envelope.as_ref()), ("nobody", Some(&lost)));

    pair.route("boss", MessageType::User, "TASK nobody x");
    until("Unknown(..)", || pair.log.has("Unknown(..)")).await;
    // A question from outside has nobody to answer to.
    let outside = pair.to("hand", MessageType::Task, "x");
    let reply = pair.system.reply_as(&outside.to, &outside, MessageType::TaskResult, "y");
    assert!(matches!(reply, Err(SendError::Unknown(_))));
}

#[tokio::test(start_paused = true)]
async fn m09_a_full_mailbox_gives_the_envelope_back() {
    let (system, log) = (System::new(), Log::default());
    let (hand, _answers) = worker("hand", &log);
    let options = MailboxOptions { len_max: 1, overflow: Overflow::Reject };
    system.start(hand.mailbox(options)).await.unwrap();
    let task = |payload: &'static str| {
        system.envelope("hand".parse().unwrap(), MessageType::Task, payload)
    };
    system.route(task("hang")).unwrap();
    until("hang", || log.has("hang")).await;
    system.route(task("1")).unwrap();
    let second = task("2");
    match system.route(second.clone()) {
        Err(SendError::Full(back)) => assert_eq!(back, second),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn m12_queued_envelopes_and_the_id_survive_a_restart() {
    let (system, log) = (System::new(), Log::default());
    let (hand, _answers) = worker("hand", &log);
    let tree = system.supervise(Supervisor::new("tree").child(hand)).await.unwrap();
    for payload in ["a", "panic", "b"] {
        let task = system.envelope("hand".parse().unwrap(), MessageType::Task, payload);
        system.route(task).unwrap();
    }
    until("b", || log.has("b")).await;
    assert_eq!(log.text(), "a panic b");
    assert_eq!(system.lookup_any("hand").unwrap().incarnation(), 2);
    assert_eq!(system.dead_letters().len(), 0);
    tree.stop().await;
    system.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn m09_heartbeats_that_nobody_answers_are_bounded() {
    let pair = Pair::start().await;
    let hand = pair.system.lookup_any("hand").unwrap();
    pair.route("hand", MessageType::Task, "hang");
    until("hang", || pair.log.has("hang")).await;
    let beat = || hand.deliver(pair.to("hand", MessageType::Heartbeat, "1"));
    let n_accepted = (0..).take_while(|_| beat().is_ok()).count();
    assert_eq!(n_accepted, ggml_agent::core::limits::SYSTEM_MAIL_MAX);
    assert!(matches!(beat(), Err(SendError::Full(_))));
}
