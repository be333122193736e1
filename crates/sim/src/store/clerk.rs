//! The agent that is made durable in the simulator: it notes each letter, and tells the next one of it.
//!
//! Its state is the list of what it applied, so that a state says by itself what was lost, applied twice or
//! in another order. A letter may be poison: handling it fails; or ask for a timer, which brings another
//! letter.

use std::fmt::Write as _;
use std::str::FromStr;

use bytes::Bytes;
use ggml_agent_core::store::{Bounds, Snapshot, Stored, Timer};
use ggml_agent_core::{AgentId, Envelope, MessageId, MessageType, Priority};

use super::oracle::Letter;

/// How often the delivery of a letter begins before it is a dead one.
pub const DELIVERIES_MAX: u32 = 3;

/// An agent that notes letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clerk {
    /// Its name.
    pub id: AgentId,
    /// Whom it tells of each letter.
    pub next: Option<AgentId>,
    /// Bounds of its mailbox.
    pub bounds: Bounds,
    /// Most letters that one commit covers.
    pub batch_max: usize,
    /// Its state.
    pub applied: Vec<Letter>,
}

/// A message that a clerk sends: it has no id yet, which is its driver's affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// To whom.
    pub to: AgentId,
    /// The letter.
    pub letter: Letter,
}

/// What a clerk does when it handles a letter, beside noting it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deeds {
    /// It tells the next one.
    pub draft: Option<Draft>,
    /// It sets a timer, whose letter comes back to itself.
    pub alarm: Option<Alarm>,
}

/// A timer that a clerk sets: its envelope has no id yet, which is its driver's affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Its key.
    pub key: String,
    /// When it is due: later ones are due later, so their letters come in order.
    pub due_ms: u64,
    /// What it says.
    pub letter: Letter,
}

impl Alarm {
    /// The timer, with an id for its message.
    #[must_use]
    pub fn timer(self, id: MessageId, to: AgentId) -> Timer {
        let envelope = envelope_of(id, to, &self.letter);
        Timer { key: self.key, due_ms: self.due_ms, envelope }
    }
}

/// The handler failed: nothing of this incarnation counts that was not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crashed;

impl Clerk {
    /// One that has noted nothing.
    #[must_use]
    pub fn new(id: AgentId, next: Option<AgentId>, bounds: Bounds, batch_max: usize) -> Self {
        Self { id, next, bounds, batch_max, applied: Vec::new() }
    }

    /// Notes a letter.
    ///
    /// # Errors
    /// [`Crashed`] when it is poison; or weak poison, and delivered for the first time.
    pub fn handle(&mut self, message: &Stored) -> Result<Deeds, Crashed> {
        let letter = letter_of(&message.envelope);
        let kind = Kind::of(&letter);
        if kind == Kind::Poison || (kind == Kind::WeakPoison && message.attempts == 0) {
            return Err(Crashed);
        }
        self.applied.push(letter);
        let alarm = if kind == Kind::Alarm { self.alarms().pop() } else { None };
        Ok(Deeds { draft: self.drafts().pop(), alarm })
    }

    /// The timers that it sets, over all of its state.
    ///
    /// # Panics
    /// Never: what makes a good name makes another one.
    #[must_use]
    pub fn alarms(&self) -> Vec<Alarm> {
        let causes = self.applied.iter().filter(|cause| Kind::of(cause) == Kind::Alarm);
        let alarm = |(cause, number): (&Letter, u64)| Alarm {
            key: format!("alarm {number}"),
            due_ms: number,
            letter: Letter {
                sender: format!("{}-alarm", self.id).parse().expect("invariant: a good name"),
                lane: cause.lane,
                sequence: number,
                says: Kind::harmless(cause.sequence * 1_000 + cause.says),
            },
        };
        causes.zip(1..).map(alarm).collect()
    }

    /// What it sends, over all of its state: one letter for each that it applied.
    #[must_use]
    pub fn drafts(&self) -> Vec<Draft> {
        let Some(next) = &self.next else { return Vec::new() };
        let draft = |(at, cause): (usize, &Letter)| Draft {
            to: next.clone(),
            letter: Letter {
                sender: self.id.clone(),
                lane: cause.lane,
                sequence: at as u64 + 1,
                says: Kind::harmless(cause.sequence * 1_000 + cause.says),
            },
        };
        self.applied.iter().enumerate().map(draft).collect()
    }

    /// Its state, to be kept.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let lines: String = self.applied.iter().map(|letter| line_of(letter) + "\n").collect();
        Snapshot { version: 1, bytes: lines.into() }
    }

    /// Takes up a state that was kept.
    ///
    /// # Panics
    /// When it is not the state of a clerk.
    pub fn restore(&mut self, snapshot: Option<&Snapshot>) {
        let text = snapshot.map_or(&b""[..], |snapshot| &snapshot.bytes);
        let text = std::str::from_utf8(text).expect("invariant: a clerk writes text");
        self.applied = text.lines().map(letter_from).collect();
    }
}

/// What a letter does to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Harmless,
    /// It lets it set a timer.
    Alarm,
    /// It crashes it once.
    WeakPoison,
    /// It crashes it.
    Poison,
}

impl Kind {
    /// That of a letter.
    #[must_use]
    pub fn of(letter: &Letter) -> Self {
        match letter.says % 32 {
            26..=29 => Self::Alarm,
            30 => Self::WeakPoison,
            31 => Self::Poison,
            _ => Self::Harmless,
        }
    }

    /// What a harmless letter says, from any number.
    fn harmless(says: u64) -> u64 {
        says * 32
    }
}

/// The letter in an envelope.
///
/// # Panics
/// When there is none in it.
#[must_use]
pub fn letter_of(envelope: &Envelope) -> Letter {
    letter_from(std::str::from_utf8(&envelope.payload).expect("invariant: letters are text"))
}

/// An envelope with a letter in it.
#[must_use]
pub fn envelope_of(id: MessageId, to: AgentId, letter: &Letter) -> Envelope {
    Envelope::new(id, 0, to, MessageType::User, Bytes::from(line_of(letter)))
        .sent_by(letter.sender.clone())
        .with_priority(letter.lane)
}

fn line_of(letter: &Letter) -> String {
    let lane = match letter.lane {
        Priority::High => 'h',
        Priority::Normal => 'n',
    };
    let mut line = String::with_capacity(24);
    write!(line, "{} {lane} {} {}", letter.sender, letter.sequence, letter.says)
        .expect("invariant: a string takes all");
    line
}

fn letter_from(line: &str) -> Letter {
    fn field<T: FromStr>(text: Option<&str>) -> T {
        let parsed = text.and_then(|text| text.parse().ok());
        parsed.expect("invariant: a letter has four fields")
    }
    let mut fields = line.split(' ');
    let sender = field(fields.next());
    let lane = if fields.next() == Some("h") { Priority::High } else { Priority::Normal };
    Letter { sender, lane, sequence: field(fields.next()), says: field(fields.next()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_what_it_was_after_it_was_kept() {
        let letter = |lane, sequence| Letter {
            sender: "s-1".parse().expect("an id"),
            lane,
            sequence,
            says: sequence * 7,
        };
        let mut clerk = Clerk::new("a".parse().expect("an id"), None, Bounds::DEFAULT, 1);
        clerk.applied = vec![letter(Priority::High, 1), letter(Priority::Normal, 2)];
        let mut other = Clerk { applied: vec![], ..clerk.clone() };
        other.restore(Some(&clerk.snapshot()));
        assert_eq!(other, clerk);
        other.restore(None);
        assert_eq!(other.applied, []);
    }
}
