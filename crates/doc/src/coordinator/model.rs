//! Random commands, given to a coordinator and to the simplest document that keeps the same promises: every
//! answer and everything that can be seen is the same, at every step.

mod reference;

use std::time::Duration;

use ggml_agent_core::lease::{Busy, OnBusy, Outcome, RequestError, Token};
use smallvec::smallvec;

use self::Answer::{Denied, Done, Granted, Queued, Refused};
use self::reference::{Reference, Who};
use super::{Coordinator, Edit, EditError, Holder, Lock, LockError, Splices};
use crate::soup::{Rng, each};
use crate::text::Change;
use crate::{Document, SectionId};

/// What a command is answered, in the words of both.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// Section, token and end of each.
    Granted(Vec<(usize, u64, u64)>),
    Queued(usize),
    Denied(usize, Who),
    Refused(&'static str),
    /// Number in the document, and version of the section.
    Done(u64, u64),
}

const N_SECTIONS: usize = 4;
const N_AGENTS: usize = 4;

fn s(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn sid(n: usize) -> SectionId {
    SectionId::nth(n)
}

fn holder((agent, life): Who) -> Holder {
    Holder::new(format!("a{agent}").parse().unwrap(), life)
}

fn who(holder: &Holder) -> Who {
    (holder.agent().as_str()[1..].parse().unwrap(), holder.incarnation())
}

/// Both documents, and what was done to them.
struct Pair {
    real: Coordinator,
    model: Reference,
    now: u64,
}

impl Pair {
    fn new() -> Self {
        let texts: Vec<String> =
            (0..N_SECTIONS).map(|n| format!("# {n}\n\ntext {n}\n\n")).collect();
        let real = Coordinator::new(&Document::parse(&texts.concat()).unwrap());
        let texts = texts.into_iter().map(|text| (0, text)).collect();
        Self { real, model: Reference::new(texts, N_AGENTS), now: 0 }
    }

    /// Gives both one random command.
    fn step(&mut self, rng: &mut Rng) {
        self.now += [0, 0, 1, 5, 20, 90][rng.below(6)];
        let now = self.now;
        let who = (rng.below(N_AGENTS), 1 + rng.below(2) as u64 + now / 2_000);
        let section = rng.below(N_SECTIONS);
        let (who, token) = match &self.model.held[section] {
            Some(held) if rng.below(3) > 0 => (held.who, held.token - u64::from(rng.below(8) == 0)),
            Some(held) => (who, held.token),
            None => (who, rng.below(9) as u64),
        };
        let lease = [1, 10, 30, 100, 1_000][rng.below(5)];
        let (real, model) = match rng.below(12) {
            0..=3 => {
                let mut wants = vec![section];
                if rng.below(3) == 0 {
                    wants.push((section + 1 + rng.below(N_SECTIONS - 1)) % N_SECTIONS);
                    wants.sort_unstable();
                }
                let until = [None, Some(now), Some(now + 40), Some(u64::MAX)][rng.below(4)];
                let real = self.lock(who, &wants, lease, until);
                (real, self.model.lock((who, now), wants, (lease, until)))
            }
            4 => (self.release(who, section, token), self.model.release(who, section, token, now)),
            5 => {
                let real = self.renew(who, section, token, lease);
                (real, self.model.renew(who, section, token, lease, now))
            }
            6 => {
                drop(self.real.expire(s(now)));
                self.model.expire(now);
                return;
            }
            7 if rng.below(3) == 0 => {
                drop(self.real.drop_holder(&holder(who), s(now)));
                self.model.end_lives_before((who.0, who.1 + 1), now);
                return;
            }
            _ => self.edit(rng, who, section, token),
        };
        assert_eq!(real, model, "at {now}");
    }

    fn lock(&mut self, who: Who, wants: &[usize], lease: u64, until: Option<u64>) -> Answer {
        let on_busy = match until {
            None => OnBusy::Deny,
            Some(u64::MAX) => OnBusy::Queue { until: None },
            Some(until) => OnBusy::Queue { until: Some(s(until)) },
        };
        let sections = wants.iter().map(|n| sid(*n)).collect();
        let lock = Lock { sections, lease: s(lease), on_busy };
        match self.real.lock(&holder(who), lock, s(self.now)).answer {
            Ok(Outcome::Granted(grants)) => {
                let grant = |g: &ggml_agent_core::lease::Grant<SectionId>| {
                    (g.section.index(), g.token.as_u64(), g.deadline.as_secs())
                };
                Granted(grants.iter().map(grant).collect())
            }
            Ok(Outcome::Queued { position }) => Queued(position),
            Ok(Outcome::Denied { section, busy }) => {
                let (Busy::Held { holder: by, .. } | Busy::Promised { to: by }) = &busy;
                Denied(section.index(), self::who(by))
            }
            Err(LockError::Gone(_)) => Refused("gone"),
            Err(LockError::Request(RequestError::AlreadyWaiting { .. })) => {
                Refused("waits already")
            }
            Err(LockError::Request(RequestError::WaitWhileHolding { .. })) => Refused("holds"),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn release(&mut self, who: Who, section: usize, token: u64) -> Answer {
        let token = Token::from_u64(token);
        let step = self.real.release(&holder(who), sid(section), token, s(self.now));
        step.answer.map_or(Refused("stale"), |()| Done(0, 0))
    }

    fn renew(&mut self, who: Who, section: usize, token: u64, lease: u64) -> Answer {
        let (id, given) = (sid(section), Token::from_u64(token));
        let step = self.real.renew(&holder(who), id, given, s(lease), s(self.now));
        step.answer.map_or(Refused("stale"), |end| Granted(vec![(section, token, end.as_secs())]))
    }

    fn edit(&mut self, rng: &mut Rng, who: Who, section: usize, token: u64) -> (Answer, Answer) {
        let token = (rng.below(3) > 0).then_some(token);
        let version = self.model.texts[section].0;
        let base = [None, Some(version), Some(version), Some(version.saturating_sub(1))];
        let base = base[rng.below(4)];
        let len = self.model.texts[section].1.len();
        // Behind the heading, and before the blank line that ends the section.
        let at = 5 + rng.below(len - 6);
        let del = if len > 200 { len - 2 - at } else { rng.below(4).min(len - 2 - at) };
        let insert = rng.pick(&["word", "x", "é", " "]).repeat(1 + rng.below(3));
        let at =
            (5..=at).rev().find(|at| self.model.texts[section].1.is_char_boundary(*at)).unwrap();
        let end =
            (at + del..).find(|end| self.model.texts[section].1.is_char_boundary(*end)).unwrap();
        let change = |text: &mut String| text.replace_range(at..end, &insert);
        let by = holder(who);
        let given = token.map(Token::from_u64);
        let step = if rng.below(2) == 0 {
            let mut text = self.model.texts[section].1.clone();
            change(&mut text);
            let edit = Edit { section: sid(section), token: given, base, text };
            self.real.edit(&by, edit, s(self.now))
        } else {
            let changes = smallvec![Change { at, del: end - at, insert: insert.clone() }];
            let splices = Splices { section: sid(section), token: given, base, changes };
            self.real.splice(&by, splices, s(self.now))
        };
        let real = match step.answer {
            Ok(accepted) => Done(accepted.seq, accepted.version),
            Err(EditError::Gone(_)) => Refused("gone"),
            Err(EditError::Stale(_)) => Refused("stale"),
            Err(EditError::Locked { .. }) => Refused("locked"),
            Err(EditError::Outdated { .. }) => Refused("outdated"),
            Err(EditError::NoTokenAndNoBase) => Refused("no token and no base"),
            Err(other) => panic!("{other:?}"),
        };
        (real, self.model.edit((who, section, self.now), (token, base), change))
    }

    /// Everything that can be seen of both.
    fn compare(&mut self) {
        drop(self.real.expire(s(self.now)));
        self.model.expire(self.now);
        assert_eq!(self.real.seq(), self.model.seq);
        for (n, (version, text)) in self.model.texts.iter().enumerate() {
            let view = self.real.read(sid(n)).unwrap();
            assert_eq!((view.version, &view.text), (*version, &text.as_str().into()));
            let real = self.real.lease(sid(n), s(self.now));
            let real = real.map(|l| (who(&l.holder), l.token.as_u64(), l.deadline.as_secs()));
            let model = self.model.held[n].as_ref().map(|h| (h.who, h.token, h.end));
            assert_eq!(real, model, "section {n} at {}", self.now);
        }
    }
}

#[test]
fn d01_to_d07_a_million_random_commands_are_answered_as_by_the_simplest_document() {
    each(1_000, "d01_to_d07_a_million", |rng| {
        let mut pair = Pair::new();
        for n in 0..1_000 {
            pair.step(rng);
            if n % 8 == 0 {
                pair.compare();
            }
        }
        pair.compare();
    });
}
