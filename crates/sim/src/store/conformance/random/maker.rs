//! Makes writes that mean something to what is there, and now and then contradict it.

use bytes::Bytes;
use ggml_agent_core::store::{
    Bounds, Commit, Found, OnFull, Once, Open, Opened, Position, Read, Snapshot, Tables, Timer,
    Write, Written,
};
use ggml_agent_core::{AgentId, Envelope, MessageId, MessageType, Priority};

use crate::rng::Rng;

/// Messages have numbers below this when they may be sent twice.
const REPEATED: usize = 120;

/// The agents there may be.
pub(super) fn agents() -> [AgentId; 3] {
    ["a", "b", "c"].map(|name| name.parse().expect("invariant: a good name"))
}

pub(super) struct Maker {
    /// The last id that was made for a single use.
    single: u128,
}

impl Maker {
    pub(super) fn new() -> Self {
        Self { single: 1 << 64 }
    }

    /// A write that fits what `tables` hold, mostly.
    pub(super) fn write(&mut self, rng: &mut Rng, tables: &Tables) -> Write {
        let agent = rng.pick(&agents());
        match rng.below(100) {
            0..=36 => Write::Append(self.repeated(rng, agent)),
            37..=44 => {
                let n = rng.below(5);
                Write::AppendAll((0..n).map(|_| self.repeated(rng, agent.clone())).collect())
            }
            45..=54 => open(rng, agent),
            55..=88 => match look(tables, &agent) {
                Some(now) => Write::Commit(Box::new(self.commit(rng, tables, agent, now))),
                None => open(rng, agent),
            },
            89..=91 => {
                let epoch = look(tables, &agent).map_or_else(Default::default, |now| now.epoch);
                Write::Close { agent, epoch }
            }
            92..=95 => Write::Resend { number: letter_number(rng, tables) },
            96..=98 => Write::Discard { number: letter_number(rng, tables) },
            _ => Write::Remove { agent },
        }
    }

    fn single(&mut self) -> MessageId {
        self.single += 1;
        MessageId::from_u128(self.single)
    }

    /// A message that may have been sent before.
    fn repeated(&mut self, rng: &mut Rng, to: AgentId) -> Envelope {
        let id = MessageId::from_u128(rng.below(REPEATED) as u128);
        envelope(rng, id, to)
    }

    fn commit(&mut self, rng: &mut Rng, tables: &Tables, agent: AgentId, now: Opened) -> Commit {
        let mut commit = Commit::new(agent.clone(), now.epoch, now.revision, now.applied);
        if rng.chance(4) {
            commit.epoch.0 = commit.epoch.0.wrapping_sub(1);
        }
        if rng.chance(4) {
            commit.expected.0 = commit.expected.0.wrapping_add(1);
        }
        if rng.chance(30) {
            let bytes = text(rng);
            commit.snapshot = Some(Snapshot { version: 1 + (rng.bits() % 3) as u32, bytes });
        }
        commit.journal = (0..rng.below(3)).map(|_| text(rng)).collect();
        self.progress(rng, tables, &mut commit);
        for _ in 0..rng.below(3) {
            let (id, to) = (self.single(), rng.pick(&agents()));
            commit.outbox.push(envelope(rng, id, to));
        }
        commit.sent = now.outbox.iter().map(|sent| sent.id).filter(|_| rng.chance(50)).collect();
        for timer in &now.timers {
            match rng.below(6) {
                0 => commit.fire.push(timer.key.clone()),
                1 => commit.cancel.push(timer.key.clone()),
                2 => commit.set.push(self.timer(rng, timer.key.clone(), agent.clone())),
                _ => {}
            }
        }
        if rng.chance(50) {
            let key = format!("t{}", rng.below(5));
            commit.set.push(self.timer(rng, key, agent));
        }
        if rng.chance(3) {
            commit.fire.push("never set".into());
        }
        if rng.chance(30) {
            let key = format!("k{}", rng.below(5));
            commit.once.push(Once { key, result: text(rng) });
        }
        if rng.chance(20) {
            commit.forget.push(format!("k{}", rng.below(5)));
        }
        commit
    }

    /// Moves the watermarks over some messages of each lane, and lets some of these be dead.
    fn progress(&mut self, rng: &mut Rng, tables: &Tables, commit: &mut Commit) {
        for lane in [Priority::High, Priority::Normal] {
            let (mailbox, after, limit) = (commit.agent.clone(), Position(0), rng.below(5));
            let read = Read::Messages { mailbox, lane, after, limit };
            let Ok(Found::Messages(messages)) = tables.read(&read) else { continue };
            let n = commit.n_applied.unwrap_or_default() + messages.len() as u64;
            commit.n_applied = Some(n);
            for message in messages {
                if rng.chance(20) {
                    commit.begun.push(message.position);
                }
                *commit.applied.of_mut(lane) = message.position;
                if rng.chance(15) {
                    commit.dead.push((message.position, format!("dead {}", rng.below(9))));
                }
            }
        }
        match rng.below(50) {
            0 => commit.applied.normal.0 += 1_000,
            1 => commit.applied.high.0 = commit.applied.high.0.saturating_sub(1),
            2 => commit.dead.push((Position(1 << 40), "not there".into())),
            3 => commit.n_applied = Some(7),
            4 => commit.n_applied = None,
            5 => commit.begun.push(Position(1 + rng.bits() % 9)),
            _ => {}
        }
    }

    fn timer(&mut self, rng: &mut Rng, key: String, agent: AgentId) -> Timer {
        let to = if rng.chance(2) { rng.pick(&agents()) } else { agent };
        let id = self.single();
        Timer { key, due_ms: rng.bits() % 1_000, envelope: envelope(rng, id, to) }
    }
}

fn text(rng: &mut Rng) -> Bytes {
    let len = rng.below(20);
    (0..len).map(|_| rng.bits().to_le_bytes()[0]).collect::<Vec<_>>().into()
}

fn envelope(rng: &mut Rng, id: MessageId, to: AgentId) -> Envelope {
    let lane = if rng.chance(30) { Priority::High } else { Priority::Normal };
    Envelope::new(id, rng.bits() % 1_000, to, MessageType::User, text(rng)).with_priority(lane)
}

fn open(rng: &mut Rng, agent: AgentId) -> Write {
    let on_full = rng.pick(&[OnFull::Refuse, OnFull::DropNewest, OnFull::DropOldest]);
    let bounds = match rng.below(4) {
        0 => Bounds::DEFAULT,
        1 => Bounds { messages_max: 1 + rng.bits() % 6, on_full, ..Bounds::DEFAULT },
        2 => Bounds { bytes_max: 20 + rng.bits() % 60, on_full, ..Bounds::DEFAULT },
        _ => Bounds { messages_max: rng.bits() % 4, bytes_max: rng.bits() % 40, on_full },
    };
    let in_hand = match rng.below(3) {
        0 => None,
        1 => Some(Vec::new()),
        _ => Some((0..3).map(|_| Position(rng.bits() % 60)).collect()),
    };
    Write::Open(Open { agent, bounds, in_hand })
}

/// What `agent` would begin with, by a copy of the tables.
fn look(tables: &Tables, agent: &AgentId) -> Option<Opened> {
    let Ok(Found::Agents(all)) = tables.read(&Read::Agents { after: None, limit: usize::MAX })
    else {
        return None;
    };
    let summary = all.into_iter().find(|summary| summary.agent == *agent)?;
    let (bounds, in_hand) = (Bounds::DEFAULT, Some(Vec::new()));
    let open = Write::Open(Open { agent: agent.clone(), bounds, in_hand });
    match tables.clone().write(open) {
        Ok(Written::Opened(opened)) => Some(Opened { epoch: summary.epoch, ..*opened }),
        _ => None,
    }
}

fn letter_number(rng: &mut Rng, tables: &Tables) -> u64 {
    let read = Read::DeadLetters { after: 0, limit: usize::MAX };
    match tables.read(&read) {
        Ok(Found::DeadLetters(letters)) if !letters.is_empty() && rng.chance(90) => {
            rng.pick(&letters).number
        }
        _ => rng.bits() % 50,
    }
}
