//! G: the registry.

use std::sync::{Arc, Mutex};

use ggml_agent::core::registry::{Change, JoinError};
use ggml_agent::{
    Agent, Bytes, ChildSpec, Context, Envelope, EnvelopeAgent, EnvelopeContext, Enveloped,
    Handlers, MailboxOptions, MessageType, Overflow, Reason, Report, SendError, StartError,
    Supervisor, System, SystemRef, Tag,
};

use crate::stage::{Act, Msg, OnStart, Stage, Watch, act, find, gate, incarnations, secs};
use crate::support::until;

/// What the boxes of a test got, in order.
#[derive(Clone, Default)]
struct Post(Arc<Mutex<Vec<(String, Envelope)>>>);

impl Post {
    fn boxed(&self, id: &str) -> ChildSpec<Enveloped<Letterbox>> {
        let (post, name) = (self.clone(), id.to_owned());
        ChildSpec::envelope(id, move || Letterbox { post: post.clone(), name: name.clone() })
    }

    /// Who got something since the last call.
    fn names(&self) -> Vec<String> {
        self.take().into_iter().map(|(name, _)| name).collect()
    }

    fn take(&self) -> Vec<(String, Envelope)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Keeps the tasks that it gets; an ERROR makes it panic, a TASK_RESULT makes it hang.
struct Letterbox {
    post: Post,
    name: String,
}

impl EnvelopeAgent for Letterbox {
    type Error = Report;

    fn handlers(none: Handlers<Self>) -> Handlers<Self> {
        none.on(MessageType::Task, |agent, envelope, ctx| Box::pin(agent.keep(envelope, ctx)))
            .on(MessageType::Error, |_, _, _| Box::pin(async { panic!("scripted") }))
            .on(MessageType::TaskResult, |_, _, _| Box::pin(std::future::pending()))
    }
}

impl Letterbox {
    async fn keep(&mut self, task: Envelope, _: &mut EnvelopeContext<Self>) -> Result<(), Report> {
        self.post.0.lock().unwrap().push((self.name.clone(), task));
        Ok(())
    }
}

fn envelope(system: &System, to: &str, kind: MessageType) -> Envelope {
    system.envelope(to.parse().unwrap(), kind, Bytes::new())
}

/// A broadcast's or a group's envelope: its address is filled in for each copy.
fn task(system: &System) -> Envelope {
    envelope(system, "somebody", MessageType::Task)
}

/// Waits until all that was sent so far has been handled by these.
async fn settle(system: &System, ids: &[&str]) {
    for id in ids {
        let addr = system.lookup_any(id).unwrap();
        until("its mail is handled", || addr.queued() == 0 && addr.ledger().is_balanced()).await;
    }
}

fn ids(system: &System, tag: &Tag) -> Vec<String> {
    system.members(tag).iter().map(|member| member.id().to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn g01_register_look_up_list_and_unregister_by_id() {
    let (system, stage) = (System::new(), Stage::default());
    for id in ["b", "c", "a"] {
        system.start(stage.worker(id)).await.unwrap();
    }
    let listed: Vec<_> = system.agents().iter().map(|agent| agent.id().to_string()).collect();
    assert_eq!(listed, ["a", "b", "c"]);
    let a = system.lookup_any("a").unwrap();
    assert!(a.typed::<crate::stage::Worker>().is_some());
    assert!(a.typed::<Enveloped<Letterbox>>().is_none(), "it is of another type");
    assert!(system.lookup::<Enveloped<Letterbox>>("a").is_none());
    assert!(system.lookup_any("d").is_none());
    assert!(system.lookup_any("").is_none(), "what is no id names nobody");
    a.stop();
    a.ended().await;
    assert!(system.lookup_any("a").is_none());
    assert_eq!(system.agents().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn g01_a_live_id_is_refused_with_a_typed_error() {
    let (system, stage) = (System::new(), Stage::default());
    system.start(stage.worker("a")).await.unwrap();
    let taken = StartError::IdTaken { id: "a".parse().unwrap() };
    assert_eq!(system.start(stage.worker("a")).await.unwrap_err(), taken);
    assert_eq!(system.spawn(Post::default().boxed("a")).unwrap_err(), taken);
    assert_eq!(system.supervise(Supervisor::new("a")).await.unwrap_err(), taken);
    assert_eq!(incarnations(&system, ["a"]).await, [1], "the first one goes on");
    assert_eq!(stage.log(), "+a");
}

#[tokio::test(start_paused = true)]
async fn g01_changes_can_be_watched() {
    let (system, stage) = (System::new(), Stage::default());
    let mut changes = system.watch_registry();
    let writers = Tag::group("writers").unwrap();
    let id = "a".parse().unwrap();
    let tree = Supervisor::new("tree").child(stage.worker("a").tag(writers.clone()));
    let tree = system.supervise(tree).await.unwrap();
    act(&system, "a", Act::Panic);
    assert_eq!(incarnations(&system, ["a"]).await, [2]);
    tree.stop().await;
    let joined = || Change::Joined { id: "a".parse().unwrap(), tag: writers.clone() };
    let left = || Change::Left { id: "a".parse().unwrap(), tag: writers.clone() };
    let a = |change: &Change| !format!("{change:?}").contains("tree");
    let mut seen = Vec::new();
    loop {
        let change = changes.next().await.unwrap();
        if change == (Change::Ended { id: "tree".parse().unwrap() }) {
            break;
        }
        seen.extend(Some(change).filter(a));
    }
    assert_eq!(
        seen,
        [
            Change::Registered { id: "a".parse().unwrap() },
            joined(),
            left(),
            Change::Restarting { id: "a".parse().unwrap() },
            Change::Restarted { id: "a".parse().unwrap() },
            joined(),
            left(),
            Change::Restarting { id: "a".parse().unwrap() },
            Change::Ended { id },
        ]
    );
}

/// Its last moment is a call of the registry.
struct Clinging(SystemRef);

impl Drop for Clinging {
    fn drop(&mut self) {
        drop(self.0.lookup_any("hoarder"));
        // The same shard, to be written this time.
        let tag = Tag::group("left behind").unwrap();
        self.0.join(&"hoarder".parse().unwrap(), &tag).unwrap();
    }
}

/// Takes one message and keeps it for ever.
struct Hoarder;

impl Agent for Hoarder {
    type Msg = Clinging;
    type Error = Report;

    async fn handle(&mut self, _: Clinging, _: &mut Context<Self>) -> Result<(), Report> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn g01_a_displaced_message_may_call_the_registry_when_it_is_dropped() {
    let system = System::new();
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let options = MailboxOptions { len_max: 1, overflow };
        let hoarder = ChildSpec::new("hoarder", || Hoarder).mailbox(options);
        let hoarder = system.start(hoarder).await.unwrap();
        for _ in 0..3 {
            system.tell(hoarder.id(), Clinging((*system).clone())).unwrap();
        }
        assert_eq!(ids(&system, &Tag::group("left behind").unwrap()), ["hoarder"]);
        hoarder.kill();
        hoarder.ended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn g02_an_id_stays_taken_while_its_agent_restarts_and_is_free_after_its_end() {
    let (system, stage, gate) = (System::new(), Stage::default(), gate());
    stage.starts("a", [OnStart::Run, OnStart::Gate(gate.clone())]);
    let tree = Supervisor::new("tree").child(stage.worker("a"));
    let tree = system.supervise(tree).await.unwrap();
    let (a, mut watch) = (find(&system, "a"), Watch::new(&system));
    act(&system, "a", Act::Panic);
    watch.until("tree: starting a (incarnation 2)").await;
    let taken = StartError::IdTaken { id: a.id().clone() };
    assert_eq!(system.start(stage.worker("a")).await.unwrap_err(), taken);
    assert_eq!(find(&system, "a").id(), a.id(), "it can be looked up and sent to");
    let (answer, ()) = tokio::join!(a.ask(Msg::Ping), async { gate.add_permits(1) });
    assert_eq!(answer, Ok(2));
    tree.stop_child(a.id()).await.unwrap();
    let other = system.start(stage.worker("a")).await.unwrap();
    assert_eq!(other.ask(Msg::Ping).await, Ok(1));
    assert!(matches!(a.tell(Msg::Do(Act::End)), Err(SendError::Closed(_))));
    assert!(tree.restart_child(a.id()).await.is_err(), "now it is taken by the other one");
    assert_eq!(other.ask(Msg::Ping).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn g02_an_id_stays_taken_during_a_backoff() {
    let (system, stage) = (System::new(), Stage::default());
    let backoff = ggml_agent::Backoff { jitter: 0.0, ..ggml_agent::Backoff::DEFAULT };
    let tree = Supervisor::new("tree").child(stage.worker("a").backoff(backoff));
    system.supervise(tree).await.unwrap();
    let mut watch = Watch::new(&system);
    act(&system, "a", Act::Panic);
    watch.until("tree: a waits 100ms before its restart").await;
    assert!(matches!(system.spawn(stage.worker("a")), Err(StartError::IdTaken { .. })));
    assert_eq!(incarnations(&system, ["a"]).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn g03_an_envelope_is_routed_by_id() {
    let (system, post) = (System::new(), Post::default());
    for id in ["a", "b"] {
        system.start(post.boxed(id)).await.unwrap();
    }
    let sent = envelope(&system, "b", MessageType::Task);
    system.route(sent.clone()).unwrap();
    settle(&system, &["a", "b"]).await;
    assert_eq!(post.take(), [("b".to_owned(), sent)]);
}

#[tokio::test(start_paused = true)]
async fn g03_an_unknown_id_is_an_error_for_the_sender_and_a_dead_letter() {
    let system = System::new();
    let mut events = system.events();
    let sent = envelope(&system, "nobody", MessageType::Task);
    match system.route(sent.clone()) {
        Err(SendError::Unknown(back)) => assert_eq!(back, sent),
        other => panic!("{other:?}"),
    }
    let letters = system.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].to.as_str(), letters[0].reason), ("nobody", Reason::Unknown));
    assert_eq!(letters[0].envelope.as_ref(), Some(&sent));
    assert_eq!(system.dead_letter_counts()[&Reason::Unknown], 1);
    let told = events.find(|kind| match kind {
        ggml_agent::EventKind::DeadLetter(letter) => Some(letter.reason),
        _ => None,
    });
    assert_eq!(told.await, Ok(Reason::Unknown));
    let lost: Result<(), _> = system.tell(&"nobody".parse().unwrap(), 7_u32);
    assert!(matches!(lost, Err(SendError::Unknown(7))), "the typed road gives it back, too");
}

#[tokio::test(start_paused = true)]
async fn g04_a_broadcast_reaches_all_but_the_sender_and_one_more_with_one_payload() {
    let (system, post) = (System::new(), Post::default());
    let all = ["a", "b", "c", "d"];
    for id in all {
        system.start(post.boxed(id)).await.unwrap();
    }
    let payload = Bytes::from(vec![7; 1_000]);
    let to = "all".parse().unwrap();
    let sent = system.envelope(to, MessageType::Task, payload.clone());
    assert_eq!(system.broadcast(&sent, None), 4, "one from outside reaches everybody");
    settle(&system, &all).await;
    let got = post.take();
    assert_eq!(got.len(), 4);
    for (name, copy) in &got {
        assert_eq!(
            copy.payload.as_ptr(),
            payload.as_ptr(),
            "one payload, not {} copies",
            got.len()
        );
        assert_eq!(copy.to.as_str(), name);
        assert_eq!(got.iter().filter(|(_, other)| other.id == copy.id).count(), 1);
    }
    let sent = sent.sent_by("b".parse().unwrap());
    assert_eq!(system.broadcast(&sent, None), 3);
    settle(&system, &all).await;
    assert_eq!(post.names(), ["a", "c", "d"]);
    assert_eq!(system.broadcast(&sent, Some(&"c".parse().unwrap())), 2);
    settle(&system, &all).await;
    assert_eq!(post.names(), ["a", "d"]);
}

#[tokio::test(start_paused = true)]
async fn g04_a_full_an_ending_and_a_foreign_mailbox_keep_the_others_from_nothing() {
    let (system, post, stage) = (System::new(), Post::default(), Stage::default());
    let small = MailboxOptions { len_max: 1, overflow: Overflow::Reject };
    system.start(post.boxed("b").mailbox(small)).await.unwrap();
    system.start(stage.worker("c")).await.unwrap(); // understands no envelopes
    for id in ["a", "d", "e"] {
        system.start(post.boxed(id)).await.unwrap();
    }
    system.route(envelope(&system, "b", MessageType::TaskResult)).unwrap();
    settle_hanging(&system, "b").await;
    system.route(envelope(&system, "b", MessageType::Task)).unwrap();
    // d has a closed mailbox, and is still registered while it hangs.
    system.route(envelope(&system, "d", MessageType::TaskResult)).unwrap();
    settle_hanging(&system, "d").await;
    system.lookup_any("d").unwrap().stop();
    assert_eq!(system.broadcast(&task(&system), None), 2);
    settle(&system, &["a", "e"]).await;
    assert_eq!(post.names(), ["a", "e"]);
    let reasons: Vec<_> =
        system.dead_letters().iter().map(|letter| (letter.to.to_string(), letter.reason)).collect();
    let expected = [("b", Reason::Full), ("c", Reason::NotUnderstood), ("d", Reason::Ended)];
    assert_eq!(reasons, expected.map(|(id, reason)| (id.to_owned(), reason)));
}

/// Waits until this agent has taken its last message, with which it hangs.
async fn settle_hanging(system: &System, id: &str) {
    let addr = system.lookup_any(id).unwrap();
    until("its mail is taken", || addr.queued() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn g05_one_member_in_turn_or_all_of_a_group_or_capability() {
    let (system, post) = (System::new(), Post::default());
    let writers = Tag::group("writers").unwrap();
    let french = Tag::capability("french").unwrap();
    system.start(post.boxed("a").tag(writers.clone())).await.unwrap();
    system.start(post.boxed("b").tag(writers.clone()).tag(french.clone())).await.unwrap();
    system.start(post.boxed("c").tag(writers.clone())).await.unwrap();
    system.start(post.boxed("d").tag(french.clone())).await.unwrap();
    let all = ["a", "b", "c", "d"];
    assert_eq!(ids(&system, &writers), ["a", "b", "c"]);
    assert_eq!(ids(&system, &french), ["b", "d"]);
    for expected in ["a", "b", "c", "a", "b"] {
        system.send_to_one(&writers, task(&system)).unwrap();
        settle(&system, &all).await;
        assert_eq!(post.names(), [expected]);
    }
    assert_eq!(system.send_to_all(&french, &task(&system)), 2);
    settle(&system, &all).await;
    assert_eq!(post.names(), ["b", "d"]);
    let nobody = Tag::group("french").unwrap();
    assert!(ids(&system, &nobody).is_empty(), "a group is no capability");
    assert_eq!(system.send_to_all(&nobody, &task(&system)), 0);
    let refused = system.send_to_one(&nobody, task(&system));
    assert!(matches!(refused, Err(SendError::Unknown(_))));
}

#[tokio::test(start_paused = true)]
async fn g05_a_member_that_ends_is_left_out_and_one_that_restarts_waits_for_its_turn() {
    let (system, post) = (System::new(), Post::default());
    let tag = Tag::group("writers").unwrap();
    let backoff = ggml_agent::Backoff { jitter: 0.0, ..ggml_agent::Backoff::DEFAULT };
    let member = |id| post.boxed(id).tag(tag.clone()).backoff(backoff);
    let tree = Supervisor::new("tree").children(["a", "b", "c"].map(member));
    let tree = system.supervise(tree).await.unwrap();
    let mut watch = Watch::new(&system);
    system.route(envelope(&system, "b", MessageType::Error)).unwrap();
    watch.until("tree: b waits 100ms before its restart").await;
    tree.stop_child(&"c".parse().unwrap()).await.unwrap();
    assert_eq!(ids(&system, &tag), ["a"]);
    for _ in 0..3 {
        system.send_to_one(&tag, task(&system)).unwrap();
    }
    settle(&system, &["a"]).await;
    assert_eq!(post.names(), ["a", "a", "a"]);
    watch.until("tree: b started (incarnation 2)").await;
    assert_eq!(ids(&system, &tag), ["a", "b"], "the tags of its spec are joined again");
}

#[tokio::test(start_paused = true)]
async fn g05_what_an_incarnation_joined_by_itself_it_leaves_with_its_end() {
    let (system, stage) = (System::new(), Stage::default());
    let [spec, own] = ["spec", "own"].map(|name| Tag::group(name).unwrap());
    let tree = Supervisor::new("tree").child(stage.worker("a").tag(spec.clone()));
    system.supervise(tree).await.unwrap();
    let mut watch = Watch::new(&system);
    act(&system, "a", Act::Join(own.clone()));
    incarnations(&system, ["a"]).await;
    assert_eq!((ids(&system, &spec).len(), ids(&system, &own).len()), (1, 1));
    act(&system, "a", Act::Panic);
    watch.until("tree: a started (incarnation 2)").await;
    assert_eq!((ids(&system, &spec).len(), ids(&system, &own).len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn g05_tags_can_be_given_and_taken_from_outside() {
    let (system, stage) = (System::new(), Stage::default());
    let a = system.start(stage.worker("a")).await.unwrap();
    let tag = Tag::group("writers").unwrap();
    system.join(a.id(), &tag).unwrap();
    system.join(a.id(), &tag).unwrap();
    assert_eq!(ids(&system, &tag), ["a"]);
    system.leave(a.id(), &tag);
    assert!(ids(&system, &tag).is_empty());
    let nobody = "nobody".parse().unwrap();
    assert_eq!(system.join(&nobody, &tag), Err(JoinError::UnknownAgent { id: nobody }));
    for n in 0..ggml_agent::core::limits::TAGS_PER_AGENT_MAX {
        system.join(a.id(), &Tag::group(&format!("g{n}")).unwrap()).unwrap();
    }
    let too_many = JoinError::TooManyTags { id: a.id().clone() };
    assert_eq!(system.join(a.id(), &tag), Err(too_many));
}

#[tokio::test(start_paused = true)]
async fn g06_two_systems_do_not_meet() {
    let (one, two) = (System::new(), System::new());
    let (first, second) = (Post::default(), Post::default());
    let tag = Tag::group("writers").unwrap();
    for (system, post) in [(&one, &first), (&two, &second)] {
        let tree = Supervisor::new("tree").child(post.boxed("a").tag(tag.clone()));
        system.supervise(tree).await.unwrap();
    }
    let mut quiet = two.events();
    let sent = envelope(&one, "a", MessageType::Task);
    one.route(sent.clone()).unwrap();
    assert_eq!(one.broadcast(&task(&one), None), 1, "the supervisor takes no envelopes");
    one.send_to_all(&tag, &task(&one));
    settle(&one, &["a"]).await;
    assert_eq!((first.names().len(), second.names().len()), (3, 0));
    assert!(one.route(envelope(&one, "b", MessageType::Task)).is_err());
    assert!(two.dead_letters().is_empty());
    let a = one.lookup_any("a").unwrap();
    one.shutdown(secs(5)).await;
    a.ended().await;
    assert!(quiet.try_next().unwrap().is_none(), "nothing happened there");
    two.route(sent).unwrap();
    settle(&two, &["a"]).await;
    assert_eq!(second.names(), ["a"]);
}
