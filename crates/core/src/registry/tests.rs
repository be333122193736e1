use super::*;
use crate::envelope::MessageType;
use crate::id::MessageId;
use crate::limits::TAGS_PER_AGENT_MAX;
use crate::seeded;
use crate::seeded::Rng;

mod model;
mod places;

fn agent(id: &str) -> AgentId {
    id.parse().unwrap()
}

fn group(name: &str) -> Tag {
    Tag::group(name).unwrap()
}

/// One stay of an agent under its id.
#[derive(Debug, PartialEq)]
struct Card {
    id: AgentId,
    letter: char,
}

type Handle = Arc<Card>;

impl Named for Handle {
    fn id(&self) -> &AgentId {
        &self.id
    }

    fn is(&self, other: &Self) -> bool {
        Self::ptr_eq(self, other)
    }
}

/// A registry with its groups. Each call gives its changes back, and ends with a look whether the two
/// agree.
struct Book {
    registry: Registry<Handle>,
    groups: Groups<Handle>,
    /// How often the registry asked for the groups.
    n_asked: usize,
}

impl Book {
    fn with_agents_max(agents_max: usize) -> Self {
        let registry = Registry::sharing(Arc::new(Places::new(agents_max)));
        Self { registry, groups: Groups::new(), n_asked: 0 }
    }

    fn check(&self) {
        self.registry.agents.check();
        assert_eq!(self.registry.places.n_taken(), self.registry.len());
        for entry in self.registry.list() {
            let place = self.registry.agents.find(entry.id.into()).expect("it is listed");
            let is_tagged = self.groups.tags_of(entry.id).next().is_some();
            assert_eq!(self.registry.agents.is_tagged(place), is_tagged);
        }
    }

    fn register(&mut self, id: &AgentId, letter: char) -> Result<(Handle, Change), RegisterError> {
        let (card, mut told) = (Arc::new(Card { id: id.clone(), letter }), Vec::new());
        let result = self.registry.register(id, card.clone(), &mut told);
        self.check();
        assert_eq!(told.len(), usize::from(result.is_ok()));
        result.map(|()| (card, told.remove(0)))
    }

    fn restarting(&mut self, card: &Handle) -> Vec<Change> {
        let mut told = Vec::new();
        let groups = asked(&mut self.groups, &mut self.n_asked);
        self.registry.restarting(&card.id, card, groups, &mut told);
        self.check();
        told
    }

    fn restarted(&mut self, card: &Handle) -> Option<Change> {
        let mut told = Vec::new();
        let groups = asked(&mut self.groups, &mut self.n_asked);
        let is_registered = self.registry.restarted(&card.id, card, groups, &mut told);
        self.check();
        let found = self.registry.lookup(&card.id);
        assert_eq!(is_registered, found.is_some_and(|found| Arc::ptr_eq(found.handle, card)));
        assert!(told.len() <= 1);
        told.pop()
    }

    fn ended(&mut self, card: &Handle) -> Option<Vec<Change>> {
        let mut told = Vec::new();
        let groups = asked(&mut self.groups, &mut self.n_asked);
        let removed = self.registry.ended(&card.id, card, groups, &mut told)?;
        self.check();
        assert!(Arc::ptr_eq(&removed, card));
        Some(told)
    }

    fn unregister(&mut self, id: &AgentId) -> Option<(char, Vec<Change>)> {
        let mut told = Vec::new();
        let groups = asked(&mut self.groups, &mut self.n_asked);
        let removed = self.registry.unregister(id, groups, &mut told)?;
        self.check();
        Some((removed.letter, told))
    }

    fn join(&mut self, card: &Handle, tag: &Tag) -> Result<Option<Change>, JoinError> {
        let mut told = Vec::new();
        let groups = asked(&mut self.groups, &mut self.n_asked);
        let is_new = self.registry.join(&card.id, card, groups, tag, &mut told);
        self.check();
        assert_eq!(told.len(), usize::from(is_new == Ok(true)));
        is_new.map(|_| told.pop())
    }

    fn leave(&mut self, card: &Handle, tag: &Tag) -> Option<Change> {
        let mut told = Vec::new();
        let groups = asked(&mut self.groups, &mut self.n_asked);
        let had_it = self.registry.leave(&card.id, card, groups, tag, &mut told);
        self.check();
        assert_eq!(told.len(), usize::from(had_it));
        told.pop()
    }

    fn list(&self) -> String {
        text(self.registry.list())
    }

    fn members(&self, tag: &Tag) -> String {
        self.groups.members(tag).map(|card| card.letter).collect()
    }

    fn picks(&mut self, tag: &Tag, n: usize) -> String {
        (0..n).map(|_| self.groups.pick(tag).unwrap().letter).collect()
    }
}

fn asked<'a>(
    groups: &'a mut Groups<Handle>,
    n_asked: &'a mut usize,
) -> impl FnOnce() -> &'a mut Groups<Handle> {
    || {
        *n_asked += 1;
        groups
    }
}

/// Agents under one-letter ids.
fn registry(ids: &str) -> (Book, Vec<Handle>) {
    let mut book = Book::with_agents_max(AGENTS_MAX);
    let mut who = Vec::new();
    for c in ids.chars() {
        let id = agent(&c.to_string());
        let (card, change) = book.register(&id, c).unwrap();
        assert_eq!(change, Change::Registered { id });
        who.push(card);
    }
    (book, who)
}

fn text<'a>(entries: impl Iterator<Item = Entry<'a, Handle>>) -> String {
    entries.map(|entry| entry.handle.letter).collect()
}

#[test]
fn g01_agents_are_found_by_id_and_listed_in_order() {
    let (mut registry, who) = registry("cab");
    assert_eq!(registry.list(), "abc");
    let a = &who[1].id;
    let found = registry.registry.lookup(a).unwrap();
    assert_eq!((found.id, found.state), (a, AgentState::Live));
    assert!(Arc::ptr_eq(found.handle, &who[1]));
    assert_eq!(registry.unregister(a), Some(('a', vec![Change::Ended { id: a.clone() }])));
    assert_eq!(registry.unregister(a), None);
    assert!(registry.registry.lookup(a).is_none());
    assert_eq!((registry.list(), registry.registry.len()), ("bc".to_owned(), 2));
}

#[test]
fn g01_second_registration_of_a_live_id_is_refused() {
    let (mut registry, who) = registry("a");
    let error = registry.register(&who[0].id, 'b').unwrap_err();
    assert_eq!(error, RegisterError::Taken { id: agent("a"), state: AgentState::Live });
    assert!(!error.is_retryable());
    assert_eq!(
        error.to_string(),
        "agent id \"a\" is taken by an agent that is live: choose another, or wait for its end"
    );
    assert_eq!(registry.list(), "a");
}

#[test]
fn g01_every_change_is_told_once() {
    let (mut registry, who) = registry("a");
    let (a, tag) = (&who[0], group("g"));
    let id = || a.id.clone();
    let joined = Change::Joined { id: id(), tag: tag.clone() };
    let left = Change::Left { id: id(), tag: tag.clone() };
    assert_eq!(registry.join(a, &tag), Ok(Some(joined.clone())));
    assert_eq!(registry.join(a, &tag), Ok(None));
    assert_eq!(registry.leave(a, &tag), Some(left.clone()));
    assert_eq!(registry.leave(a, &tag), None);
    assert_eq!(registry.restarted(a), None);
    assert_eq!(registry.join(a, &tag), Ok(Some(joined)));
    let restarting = vec![left, Change::Restarting { id: id() }];
    assert_eq!(registry.restarting(a), restarting);
    assert_eq!(registry.restarting(a), vec![]);
    assert_eq!(registry.restarted(a), Some(Change::Restarted { id: id() }));
    assert_eq!(registry.restarted(a), None);
    assert_eq!(registry.ended(a), Some(vec![Change::Ended { id: id() }]));
    assert_eq!(registry.ended(a), None);
}

#[test]
fn g02_id_is_taken_while_its_agent_restarts_and_free_when_it_has_ended() {
    let (mut registry, who) = registry("a");
    let a = &who[0];
    assert_eq!(registry.restarting(a).len(), 1);
    let taken = RegisterError::Taken { id: a.id.clone(), state: AgentState::Restarting };
    assert_eq!(registry.register(&a.id, 'x').unwrap_err(), taken);
    assert!(registry.restarted(a).is_some());
    assert!(registry.register(&a.id, 'x').is_err());
    assert!(registry.ended(a).is_some());
    assert!(registry.register(&a.id, 'x').is_ok());
}

#[test]
fn g02_late_news_about_an_ended_agent_does_not_touch_its_successor() {
    let (mut registry, who) = registry("a");
    let (old, id) = (&who[0], &who[0].id);
    assert!(registry.ended(old).is_some());
    let (new, _) = registry.register(id, 'b').unwrap();
    let unknown = JoinError::UnknownAgent { id: id.clone() };
    assert_eq!(registry.join(old, &group("g")), Err(unknown));
    assert!(registry.join(&new, &group("g")).is_ok());
    assert_eq!(registry.leave(old, &group("g")), None);
    assert_eq!(registry.restarting(old), vec![]);
    assert_eq!(registry.restarted(old), None);
    assert_eq!(registry.ended(old), None);
    assert_eq!(registry.registry.lookup(id).unwrap().state, AgentState::Live);
    assert_eq!(registry.members(&group("g")), "b");
}

#[test]
fn g03_envelope_is_routed_by_id_and_an_unknown_id_is_an_error() {
    let (mut registry, who) = registry("a");
    let to =
        |id: &str| Envelope::new(MessageId::from_u128(1), 0, agent(id), MessageType::User, "hello");
    assert_eq!(registry.registry.route(&to("a")), Ok(&who[0]));
    assert!(!registry.restarting(&who[0]).is_empty());
    assert_eq!(
        registry.registry.route(&to("a")),
        Ok(&who[0]),
        "mail waits for the next incarnation"
    );
    let error = registry.registry.route(&to("b")).unwrap_err();
    assert_eq!(error, UnknownAgent { id: agent("b") });
    assert_eq!(error.to_string(), "no agent has the id \"b\"");
}

#[test]
fn g04_broadcast_reaches_everybody_but_the_sender_and_one_more() {
    let (mut registry, who) = registry("abcd");
    assert!(!registry.restarting(&who[2]).is_empty());
    let [a, b, x] = ["a", "b", "x"].map(agent);
    let table = [
        (None, None, "abcd"),
        (Some(&a), None, "bcd"),
        (None, Some(&b), "acd"),
        (Some(&a), Some(&b), "cd"),
        (Some(&a), Some(&a), "bcd"),
        (Some(&x), Some(&x), "abcd"),
    ];
    for (sender, also_except, reached) in table {
        assert_eq!(text(registry.registry.broadcast(sender, also_except)), reached);
    }
}

#[test]
fn g05_one_member_is_picked_in_turn_and_turns_stay_fair() {
    let (mut registry, who) = registry("abcd");
    let tag = Tag::capability("translate").unwrap();
    assert!(registry.groups.pick(&tag).is_none());
    for card in &who[..3] {
        assert!(registry.join(card, &tag).is_ok());
    }
    assert_eq!(registry.picks(&tag, 4), "abca");
    // The next in turn leaves, another one joins: nobody is skipped, nobody is asked twice.
    assert!(registry.leave(&who[1], &tag).is_some());
    assert!(registry.join(&who[3], &tag).is_ok());
    assert_eq!(registry.picks(&tag, 4), "cdac");
    // Who was picked last ends: the turn goes on behind it.
    assert!(registry.ended(&who[2]).is_some());
    assert_eq!(registry.picks(&tag, 3), "dad");
}

#[test]
fn g05_pick_prefers_members_that_are_live() {
    let (mut registry, who) = registry("abc");
    let tag = group("g");
    for card in &who {
        let restarts = card.letter == 'b';
        assert!(!restarts || !registry.restarting(card).is_empty());
        // The incarnation that is starting joins before it is live.
        assert!(registry.join(card, &tag).is_ok());
    }
    assert_eq!(registry.picks(&tag, 4), "acac");
    for at in [0, 2] {
        assert!(registry.ended(&who[at]).is_some());
    }
    assert_eq!(registry.picks(&tag, 4), "bbbb");
}

#[test]
fn g05_groups_and_capabilities_do_not_meet_and_end_with_their_agent() {
    let (mut registry, who) = registry("ab");
    let tags = [group("x"), Tag::capability("x").unwrap()];
    assert!(registry.join(&who[0], &tags[0]).is_ok());
    assert!(registry.join(&who[1], &tags[1]).is_ok());
    assert!(registry.join(&who[1], &tags[0]).is_ok());
    assert_eq!(registry.members(&tags[0]), "ab");
    assert_eq!(registry.members(&tags[1]), "b");
    assert!(registry.groups.tags_of(&who[1].id).eq(&tags));
    let changes = registry.ended(&who[1]).unwrap();
    let id = agent("b");
    let left = |tag: &Tag| Change::Left { id: agent("b"), tag: tag.clone() };
    assert_eq!(changes, [left(&tags[0]), left(&tags[1]), Change::Ended { id }]);
    assert_eq!(registry.members(&tags[0]), "a");
    assert_eq!(registry.members(&tags[1]), "");
}

#[test]
fn m13_tags_of_an_incarnation_are_released_before_the_next_one_starts() {
    let (mut registry, who) = registry("a");
    let (a, g) = (&who[0], group("g"));
    assert!(registry.join(a, &g).is_ok());
    assert_eq!(registry.restarting(a).len(), 2);
    assert_eq!(registry.groups.tags_of(&a.id).count(), 0);
    assert!(registry.groups.pick(&g).is_none());
}

#[test]
fn g06_two_registries_live_side_by_side() {
    let (mut left, who) = registry("ab");
    let (mut right, _) = registry("a");
    assert!(left.join(&who[0], &group("g")).is_ok());
    assert!(left.unregister(&agent("b")).is_some());
    assert!(right.register(&agent("b"), 'B').is_ok());
    assert_eq!((left.list(), right.list()), ("a".to_owned(), "aB".to_owned()));
    assert_eq!(right.members(&group("g")), "");
}

#[test]
fn limits_of_agents_and_tags_are_held() {
    let mut registry = Book::with_agents_max(1);
    let a = agent("a");
    let (card, _) = registry.register(&a, 'a').unwrap();
    let error = registry.register(&agent("b"), 'b').unwrap_err();
    assert_eq!(error, RegisterError::Full { agents_max: 1 });
    assert!(error.is_retryable());
    for n in 0..TAGS_PER_AGENT_MAX {
        let joined = registry.join(&card, &group(&n.to_string()));
        assert!(matches!(joined, Ok(Some(_))));
    }
    let error = registry.join(&card, &group("one more")).unwrap_err();
    assert_eq!(error, JoinError::TooManyTags { id: a.clone() });
    assert_eq!(registry.join(&card, &group("0")), Ok(None), "it has that one");
    assert!(registry.leave(&card, &group("0")).is_some());
    assert!(registry.join(&card, &group("one more")).is_ok());
}

#[test]
fn g05_groups_are_asked_for_only_when_an_agent_has_tags() {
    let (mut registry, who) = registry("ab");
    let (plain, tagged, tag) = (&who[0], &who[1], group("g"));
    assert_eq!(registry.leave(plain, &tag), None);
    registry.restarting(plain);
    registry.restarted(plain);
    registry.ended(plain);
    assert_eq!(registry.n_asked, 0);
    assert!(registry.join(tagged, &tag).is_ok());
    assert!(registry.leave(tagged, &tag).is_some());
    assert_eq!(registry.n_asked, 2);
    registry.restarting(tagged);
    registry.restarted(tagged);
    registry.ended(tagged);
    assert_eq!(registry.n_asked, 2, "it has left them");
}

#[test]
fn limit_of_agents_holds_over_registries_that_share_places() {
    let places = Arc::new(Places::new(2));
    let (mut shards, mut groups) =
        ([(), ()].map(|()| Registry::<Handle>::sharing(places.clone())), Groups::new());
    let card = |id: &str| Arc::new(Card { id: agent(id), letter: ' ' });
    let (a, b, c) = (card("a"), card("b"), card("c"));
    assert_eq!(shards[0].register(&a.id, a.clone(), &mut ()), Ok(()));
    assert_eq!(shards[1].register(&b.id, b.clone(), &mut ()), Ok(()));
    let full = RegisterError::Full { agents_max: 2 };
    assert_eq!(shards[0].register(&c.id, c.clone(), &mut ()), Err(full));
    let taken = RegisterError::Taken { id: agent("a"), state: AgentState::Live };
    assert_eq!(shards[0].register(&a.id, card("a"), &mut ()), Err(taken), "not: full");
    assert!(shards[1].ended(&b.id, &b, || &mut groups, &mut ()).is_some());
    assert_eq!(shards[0].register(&c.id, c.clone(), &mut ()), Ok(()));
    assert_eq!(places.n_taken(), 2);
}

#[test]
fn tag_name_is_refused_with_the_byte_at_fault() {
    let long = "x".repeat(129);
    let table = [
        ("", ParseTagNameError::Empty),
        (&long[..], ParseTagNameError::TooLong { len: 129 }),
        ("a\tb", ParseTagNameError::ControlCharacter { at: 1 }),
    ];
    for (name, error) in table {
        assert_eq!(Tag::group(name), Err(error), "{name:?}");
        assert_eq!(Tag::capability(name), Err(error), "{name:?}");
    }
    assert_eq!(Tag::group(&long[..128]).unwrap().name().as_str(), &long[..128]);
}
