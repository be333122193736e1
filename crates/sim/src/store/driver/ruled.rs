//! A driver by the rules of `ggml_agent_core::durable`, which lets commits overtake handlers.

use std::collections::VecDeque;
use std::pin::Pin;

use ggml_agent_core::durable::{Effects, Machine, Rules, Step, sent_id};
use ggml_agent_core::store::{
    Answer, Commit, Found, Open, Opened, Position, Read, StoreError, StoreRef, Stored, Write,
    Written,
};
use ggml_agent_core::{Envelope, Priority};

use super::{Driver, Ending, Turn};
use crate::rng::Rng;
use crate::store::clerk::{Clerk, DELIVERIES_MAX, envelope_of};
use crate::store::poll_now;

/// Several commits under way, and messages handled meanwhile.
#[derive(Debug)]
pub struct Ruled {
    clerk: Clerk,
    store: StoreRef,
    in_hand: Option<Vec<Position>>,
    rng: Rng,
    life: Life,
}

enum Life {
    Opening(Answer<Written>),
    Begun(Box<Begun>),
    Ended(Ending),
}

struct Begun {
    machine: Machine,
    /// Commits under way, eldest first; one without an answer has to be begun.
    commits: VecDeque<(Commit, Option<Answer<Written>>)>,
    /// Set free and not yet sent.
    outbox: VecDeque<Envelope>,
    sending: Option<Answer<Written>>,
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Opening(_) => "Opening",
            Self::Begun(_) => "Begun",
            Self::Ended(_) => "Ended",
        })
    }
}

impl Driver for Ruled {
    type Options = ();

    fn begin(
        clerk: Clerk,
        store: &StoreRef,
        in_hand: Option<Vec<Position>>,
        (): &(),
        seed: u64,
    ) -> Self {
        let life = Life::Opening(open(store, &clerk, in_hand.clone()));
        Self { clerk, store: store.clone(), in_hand, rng: Rng::new(seed), life }
    }

    fn turn(&mut self) -> Turn {
        let turn = match &mut self.life {
            Life::Ended(ending) => return Turn::Ended(ending.clone()),
            Life::Opening(answer) => {
                let heard = poll_now(Pin::as_mut(answer));
                self.opening(heard)
            }
            Life::Begun(begun) => begun.turn(&mut self.clerk, &self.store, &mut self.rng),
        };
        turn.unwrap_or_else(|ending| {
            self.life = Life::Ended(ending.clone());
            Turn::Ended(ending)
        })
    }
}

fn open(store: &StoreRef, clerk: &Clerk, in_hand: Option<Vec<Position>>) -> Answer<Written> {
    let (agent, bounds) = (clerk.id.clone(), clerk.bounds);
    store.write(Write::Open(Open { agent, bounds, in_hand }))
}

fn ending_of(error: StoreError) -> Ending {
    match error {
        StoreError::Fenced { .. } | StoreError::Conflict { .. } => Ending::Fenced,
        other => Ending::Store(other),
    }
}

fn is_for_later(error: &StoreError) -> bool {
    matches!(error, StoreError::NoSpace | StoreError::Unavailable { .. })
}

impl Ruled {
    fn opening(&mut self, heard: Option<Result<Written, StoreError>>) -> Result<Turn, Ending> {
        match heard {
            None => return Ok(Turn::Waits),
            Some(Ok(Written::Opened(opened))) => {
                self.clerk.restore(opened.snapshot.as_ref());
                let begun = Begun::new(&self.clerk, &opened, &mut self.rng);
                self.life = Life::Begun(Box::new(begun));
            }
            Some(Err(error)) if is_for_later(&error) => {
                self.life = Life::Opening(open(&self.store, &self.clerk, self.in_hand.clone()));
            }
            Some(Err(error)) => return Err(ending_of(error)),
            Some(Ok(other)) => {
                unreachable!("invariant: an engine answers what it was asked: {other:?}")
            }
        }
        Ok(Turn::Worked)
    }
}

impl Begun {
    fn new(clerk: &Clerk, opened: &Opened, rng: &mut Rng) -> Self {
        let rules = Rules {
            deliveries_max: DELIVERIES_MAX,
            batch_max: clerk.batch_max,
            in_flight_max: 1 + rng.below(3),
        };
        let (machine, outbox) = Machine::new(clerk.id.clone(), opened, rules);
        Self { machine, commits: VecDeque::new(), outbox: outbox.into(), sending: None }
    }

    fn turn(&mut self, clerk: &mut Clerk, store: &StoreRef, rng: &mut Rng) -> Result<Turn, Ending> {
        if self.hear_commit(store)? || self.hear_sending()? {
            return Ok(Turn::Worked);
        }
        if self.sending.is_none()
            && let Some(envelope) = self.outbox.front()
            && rng.chance(70)
        {
            self.sending = Some(store.write(Write::Append(envelope.clone())));
            return Ok(Turn::Worked);
        }
        if rng.chance(30) {
            self.look_again();
        }
        // Whatever time it is: what is due then fires then, and the rest when there is nothing else to do.
        match self.machine.next(rng.below(6) as u64) {
            Step::Wait { .. } => self.wait(clerk, store),
            step => self.take(step, clerk, store),
        }
    }

    /// Hears of the eldest commit, or begins it once more; false if there is nothing new.
    fn hear_commit(&mut self, store: &StoreRef) -> Result<bool, Ending> {
        let Some((commit, answer)) = self.commits.front_mut() else { return Ok(false) };
        let Some(begun) = answer else {
            *answer = Some(store.write(Write::Commit(Box::new(commit.clone()))));
            return Ok(true);
        };
        match poll_now(Pin::as_mut(begun)) {
            None => Ok(false),
            Some(Ok(Written::Committed(revision))) => {
                self.commits.pop_front();
                self.outbox.extend(self.machine.committed(revision).outbox);
                Ok(true)
            }
            // Those behind it were refused for its sake: each is begun again in its turn.
            Some(Err(error)) if is_for_later(&error) => {
                for (_, answer) in &mut self.commits {
                    *answer = None;
                }
                Ok(true)
            }
            Some(Err(error)) => Err(ending_of(error)),
            Some(Ok(other)) => unreachable!("invariant: a commit is committed, not {other:?}"),
        }
    }

    fn hear_sending(&mut self) -> Result<bool, Ending> {
        let Some(answer) = &mut self.sending else { return Ok(false) };
        let Some(heard) = poll_now(Pin::as_mut(answer)) else { return Ok(false) };
        self.sending = None;
        match heard {
            Ok(_) => {
                if let Some(envelope) = self.outbox.pop_front() {
                    self.machine.sent(envelope.id);
                }
                Ok(true)
            }
            // The first is still the first, and is sent again.
            Err(error) if error.is_retryable() => Ok(true),
            Err(error) => Err(ending_of(error)),
        }
    }

    fn look_again(&mut self) {
        self.machine.arrived(Priority::High);
        self.machine.arrived(Priority::Normal);
    }

    fn take(&mut self, step: Step, clerk: &mut Clerk, store: &StoreRef) -> Result<Turn, Ending> {
        match step {
            Step::Hand(message) => self.hand(&message, clerk)?,
            Step::Fetch { lane, after, limit } => {
                let read = Read::Messages { mailbox: clerk.id.clone(), lane, after, limit };
                match poll_now(Pin::as_mut(&mut store.read(read))) {
                    Some(Ok(Found::Messages(page))) => self.machine.fetched(lane, page),
                    Some(Err(error)) => return Err(ending_of(error)),
                    other => {
                        unreachable!("invariant: a simulated store reads at once: {other:?}")
                    }
                }
            }
            Step::Commit => self.commit(clerk, store),
            Step::Wait { .. } => return Ok(Turn::Waits),
        }
        Ok(Turn::Worked)
    }

    fn hand(&mut self, message: &Stored, clerk: &mut Clerk) -> Result<(), Ending> {
        let Ok(deeds) = clerk.handle(message) else {
            return Err(Ending::Crashed(vec![message.position]));
        };
        let id = |index| sent_id(&clerk.id, message.envelope.id, index);
        let outbox = deeds.draft.map(|draft| envelope_of(id(0), draft.to, &draft.letter));
        let set = deeds.alarm.map(|alarm| alarm.timer(id(1), clerk.id.clone()));
        let effects = Effects {
            is_state_dirty: true,
            outbox: outbox.into_iter().collect(),
            set: set.into_iter().collect(),
            ..Effects::default()
        };
        self.machine.handled(message, effects);
        Ok(())
    }

    fn commit(&mut self, clerk: &Clerk, store: &StoreRef) {
        let snapshot = self.machine.is_state_dirty().then(|| clerk.snapshot());
        let commit = self.machine.commit(snapshot);
        // While an earlier one has to be begun again, this one waits for its turn.
        let in_order = self.commits.iter().all(|(_, answer)| answer.is_some());
        let answer = in_order.then(|| store.write(Write::Commit(Box::new(commit.clone()))));
        self.commits.push_back((commit, answer));
    }

    /// The machine has nothing to do: neither has its driver, if nothing is under way and nothing came.
    fn wait(&mut self, clerk: &mut Clerk, store: &StoreRef) -> Result<Turn, Ending> {
        if !self.commits.is_empty() || self.sending.is_some() {
            return Ok(Turn::Waits);
        }
        if !self.outbox.is_empty() {
            return Ok(Turn::Worked);
        }
        self.look_again();
        for _ in [Priority::High, Priority::Normal] {
            match self.machine.next(u64::MAX) {
                step @ Step::Fetch { .. } => drop(self.take(step, clerk, store)?),
                Step::Wait { .. } => break,
                step => return self.take(step, clerk, store),
            }
        }
        if self.machine.has_news() {
            self.commit(clerk, store);
            return Ok(Turn::Worked);
        }
        match self.machine.next(u64::MAX) {
            Step::Wait { .. } => Ok(Turn::Rests),
            step => self.take(step, clerk, store),
        }
    }
}
