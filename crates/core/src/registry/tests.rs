use super::*;
use crate::envelope::MessageType;
use crate::id::MessageId;
use crate::seeded;
use crate::seeded::Rng;

mod model;

fn agent(id: &str) -> AgentId {
    id.parse().unwrap()
}

fn group(name: &str) -> Tag {
    Tag::group(name).unwrap()
}

/// Agents under one-letter ids; the handle is the letter.
fn registry(ids: &str) -> (Registry<char>, Vec<(AgentId, Registration)>) {
    let mut registry = Registry::new();
    let mut who = Vec::new();
    for c in ids.chars() {
        let id = agent(&c.to_string());
        let (registration, change) = registry.register(&id, c).unwrap();
        assert_eq!(change, Change::Registered { id: id.clone() });
        who.push((id, registration));
    }
    (registry, who)
}

fn text<'a>(entries: impl Iterator<Item = Entry<'a, char>>) -> String {
    entries.map(|entry| *entry.handle).collect()
}

#[test]
fn g01_agents_are_found_by_id_and_listed_in_order() {
    let (mut registry, who) = registry("cab");
    assert_eq!(text(registry.list()), "abc");
    let (a, registration) = &who[1];
    let found = registry.lookup(a).unwrap();
    assert_eq!((found.handle, found.state), (&'a', AgentState::Live));
    assert_eq!(found.registration, *registration);
    let removed = registry.unregister(a).unwrap();
    assert_eq!((removed.handle, removed.changes), ('a', vec![Change::Ended { id: a.clone() }]));
    assert_eq!(registry.unregister(a), None);
    assert_eq!(registry.lookup(a), None);
    assert_eq!((text(registry.list()), registry.len()), ("bc".to_owned(), 2));
}

#[test]
fn g01_second_registration_of_a_live_id_is_refused() {
    let (mut registry, who) = registry("a");
    let error = registry.register(&who[0].0, 'b').unwrap_err();
    assert_eq!(error, RegisterError::Taken { id: agent("a"), state: AgentState::Live });
    assert!(!error.is_retryable());
    assert_eq!(
        error.to_string(),
        "agent id \"a\" is taken by an agent that is live: choose another, or wait for its end"
    );
    assert_eq!(text(registry.list()), "a");
}

#[test]
fn g01_every_change_is_told_once() {
    let (mut registry, who) = registry("a");
    let (a, registration) = who[0].clone();
    let tag = group("g");
    let id = || a.clone();
    let joined = Change::Joined { id: id(), tag: tag.clone() };
    let left = Change::Left { id: id(), tag: tag.clone() };
    assert_eq!(registry.join(&a, registration, &tag), Ok(Some(joined.clone())));
    assert_eq!(registry.join(&a, registration, &tag), Ok(None));
    assert_eq!(registry.leave(&a, registration, &tag), Some(left.clone()));
    assert_eq!(registry.leave(&a, registration, &tag), None);
    assert_eq!(registry.restarted(&a, registration), None);
    assert_eq!(registry.join(&a, registration, &tag), Ok(Some(joined)));
    let restarting = vec![left, Change::Restarting { id: id() }];
    assert_eq!(registry.restarting(&a, registration), restarting);
    assert_eq!(registry.restarting(&a, registration), vec![]);
    assert_eq!(registry.restarted(&a, registration), Some(Change::Restarted { id: id() }));
    assert_eq!(registry.restarted(&a, registration), None);
    let removed = registry.ended(&a, registration).unwrap();
    assert_eq!(removed.changes, vec![Change::Ended { id: id() }]);
    assert_eq!(registry.ended(&a, registration), None);
}

#[test]
fn g02_id_is_taken_while_its_agent_restarts_and_free_when_it_has_ended() {
    let (mut registry, who) = registry("a");
    let (a, registration) = &who[0];
    assert_eq!(registry.restarting(a, *registration).len(), 1);
    let taken = RegisterError::Taken { id: a.clone(), state: AgentState::Restarting };
    assert_eq!(registry.register(a, 'x').unwrap_err(), taken);
    assert!(registry.restarted(a, *registration).is_some());
    assert!(registry.register(a, 'x').is_err());
    assert!(registry.ended(a, *registration).is_some());
    assert!(registry.register(a, 'x').is_ok());
}

#[test]
fn g02_late_news_about_an_ended_agent_does_not_touch_its_successor() {
    let (mut registry, who) = registry("a");
    let (a, old) = &who[0];
    assert!(registry.ended(a, *old).is_some());
    let (new, _) = registry.register(a, 'b').unwrap();
    assert_ne!(*old, new);
    let unknown = JoinError::UnknownAgent { id: a.clone() };
    assert_eq!(registry.join(a, *old, &group("g")), Err(unknown));
    assert!(registry.join(a, new, &group("g")).is_ok());
    assert_eq!(registry.leave(a, *old, &group("g")), None);
    assert_eq!(registry.restarting(a, *old), vec![]);
    assert_eq!(registry.restarted(a, *old), None);
    assert_eq!(registry.ended(a, *old), None);
    assert_eq!(registry.lookup(a).unwrap().state, AgentState::Live);
    assert_eq!(text(registry.members(&group("g"))), "b");
}

#[test]
fn g03_envelope_is_routed_by_id_and_an_unknown_id_is_an_error() {
    let (mut registry, who) = registry("a");
    let to =
        |id: &str| Envelope::new(MessageId::from_u128(1), 0, agent(id), MessageType::User, "hello");
    assert_eq!(registry.route(&to("a")), Ok(&'a'));
    assert!(!registry.restarting(&who[0].0, who[0].1).is_empty());
    assert_eq!(registry.route(&to("a")), Ok(&'a'), "mail waits for the next incarnation");
    let error = registry.route(&to("b")).unwrap_err();
    assert_eq!(error, UnknownAgent { id: agent("b") });
    assert_eq!(error.to_string(), "no agent has the id \"b\"");
}

#[test]
fn g04_broadcast_reaches_everybody_but_the_sender_and_one_more() {
    let (mut registry, who) = registry("abcd");
    assert!(!registry.restarting(&who[2].0, who[2].1).is_empty());
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
        assert_eq!(text(registry.broadcast(sender, also_except)), reached);
    }
}

#[test]
fn g05_one_member_is_picked_in_turn_and_turns_stay_fair() {
    let (mut registry, who) = registry("abcd");
    let tag = Tag::capability("translate").unwrap();
    assert_eq!(registry.pick(&tag), None);
    for (id, registration) in &who[..3] {
        assert!(registry.join(id, *registration, &tag).is_ok());
    }
    let picks = |registry: &mut Registry<char>, n: usize| -> String {
        (0..n).map(|_| *registry.pick(&tag).unwrap().handle).collect()
    };
    assert_eq!(picks(&mut registry, 4), "abca");
    // The next in turn leaves, another one joins: nobody is skipped, nobody is asked twice.
    assert!(registry.leave(&who[1].0, who[1].1, &tag).is_some());
    assert!(registry.join(&who[3].0, who[3].1, &tag).is_ok());
    assert_eq!(picks(&mut registry, 4), "cdac");
    // Who was picked last ends: the turn goes on behind it.
    assert!(registry.ended(&who[2].0, who[2].1).is_some());
    assert_eq!(picks(&mut registry, 3), "dad");
}

#[test]
fn g05_pick_prefers_members_that_are_live() {
    let (mut registry, who) = registry("abc");
    let tag = group("g");
    for (id, registration) in &who {
        let restarts = *id == agent("b");
        assert!(!restarts || !registry.restarting(id, *registration).is_empty());
        // The incarnation that is starting joins before it is live.
        assert!(registry.join(id, *registration, &tag).is_ok());
    }
    let picks = |registry: &mut Registry<char>| -> String {
        (0..4).map(|_| *registry.pick(&tag).unwrap().handle).collect()
    };
    assert_eq!(picks(&mut registry), "acac");
    for at in [0, 2] {
        assert!(registry.ended(&who[at].0, who[at].1).is_some());
    }
    assert_eq!(picks(&mut registry), "bbbb");
}

#[test]
fn g05_groups_and_capabilities_do_not_meet_and_end_with_their_agent() {
    let (mut registry, who) = registry("ab");
    let tags = [group("x"), Tag::capability("x").unwrap()];
    assert!(registry.join(&who[0].0, who[0].1, &tags[0]).is_ok());
    assert!(registry.join(&who[1].0, who[1].1, &tags[1]).is_ok());
    assert!(registry.join(&who[1].0, who[1].1, &tags[0]).is_ok());
    assert_eq!(text(registry.members(&tags[0])), "ab");
    assert_eq!(text(registry.members(&tags[1])), "b");
    assert!(registry.tags_of(&who[1].0).eq(&tags));
    let removed = registry.ended(&who[1].0, who[1].1).unwrap();
    let id = agent("b");
    let left = |tag: &Tag| Change::Left { id: agent("b"), tag: tag.clone() };
    assert_eq!(removed.changes, [left(&tags[0]), left(&tags[1]), Change::Ended { id }]);
    assert_eq!(text(registry.members(&tags[0])), "a");
    assert_eq!(text(registry.members(&tags[1])), "");
}

#[test]
fn m13_tags_of_an_incarnation_are_released_before_the_next_one_starts() {
    let (mut registry, who) = registry("a");
    let (a, registration) = &who[0];
    assert!(registry.join(a, *registration, &group("g")).is_ok());
    assert_eq!(registry.restarting(a, *registration).len(), 2);
    assert_eq!((registry.tags_of(a).count(), registry.pick(&group("g"))), (0, None));
}

#[test]
fn g06_two_registries_live_side_by_side() {
    let (mut left, who) = registry("ab");
    let (mut right, _) = registry("a");
    assert!(left.join(&who[0].0, who[0].1, &group("g")).is_ok());
    assert!(left.unregister(&agent("b")).is_some());
    assert!(right.register(&agent("b"), 'B').is_ok());
    assert_eq!((text(left.list()), text(right.list())), ("a".to_owned(), "aB".to_owned()));
    assert_eq!(text(right.members(&group("g"))), "");
}

#[test]
fn limits_of_agents_and_tags_are_held() {
    let mut registry = Registry::with_agents_max(1);
    let a = agent("a");
    let (registration, _) = registry.register(&a, 'a').unwrap();
    let error = registry.register(&agent("b"), 'b').unwrap_err();
    assert_eq!(error, RegisterError::Full { agents_max: 1 });
    assert!(error.is_retryable());
    for n in 0..TAGS_PER_AGENT_MAX {
        let joined = registry.join(&a, registration, &group(&n.to_string()));
        assert!(matches!(joined, Ok(Some(_))));
    }
    let error = registry.join(&a, registration, &group("one more")).unwrap_err();
    assert_eq!(error, JoinError::TooManyTags { id: a.clone() });
    assert_eq!(registry.join(&a, registration, &group("0")), Ok(None), "it has that one");
    assert!(registry.leave(&a, registration, &group("0")).is_some());
    assert!(registry.join(&a, registration, &group("one more")).is_ok());
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
