//! Who sends letters, and sends them again under the same ids until they are accepted.

use std::collections::VecDeque;
use std::pin::Pin;

use ggml_agent_core::store::{Accepted, Answer, StoreRef, Write, Written};
use ggml_agent_core::{AgentId, MessageId, Priority};

use crate::rng::Rng;
use crate::store::clerk::envelope_of;
use crate::store::oracle::{Heard, Letter, Sent};
use crate::store::poll_now;

/// A client outside: it survives all power cuts, and its answers do not.
pub(super) struct Sender {
    letters: Vec<Sent>,
    /// The next letter to send.
    next: usize,
    /// Letters on their way, by their index, in order.
    flying: VecDeque<(usize, Answer<Written>)>,
    flying_max: usize,
}

impl Sender {
    pub(super) fn new(
        name: &AgentId,
        to: &AgentId,
        n_letters: usize,
        flying_max: usize,
        rng: &mut Rng,
    ) -> Self {
        let letters = (1..=n_letters as u64).map(|sequence| {
            let lane = if rng.chance(30) { Priority::High } else { Priority::Normal };
            let says = rng.bits() % 1_024;
            let id = MessageId::from_u128(u128::from(rng.bits()) << 64);
            let letter = Letter { sender: name.clone(), lane, sequence, says };
            Sent { to: to.clone(), letter, id: Some(id), heard: Heard::Nothing }
        });
        let letters = letters.collect();
        Self { letters, next: 0, flying: VecDeque::new(), flying_max }
    }

    pub(super) fn letters(&self) -> &[Sent] {
        &self.letters
    }

    pub(super) fn is_done(&self) -> bool {
        self.next == self.letters.len() && self.flying.is_empty()
    }

    /// Hears an answer, or else sends a letter.
    pub(super) fn turn(&mut self, store: &StoreRef) {
        if let Some((at, answer)) = self.flying.front_mut()
            && let Some(heard) = poll_now(Pin::as_mut(answer))
        {
            let at = *at;
            match heard {
                Ok(Written::Accepted(accepted)) => {
                    let position = match accepted {
                        Accepted::At(position) => Some(position),
                        Accepted::Duplicate | Accepted::Dropped => None,
                    };
                    self.letters[at].heard = Heard::Accepted(position);
                    self.flying.pop_front();
                }
                Ok(other) => unreachable!("invariant: an append is accepted, not {other:?}"),
                // All that follow it are sent again too: else they would overtake it.
                Err(_) => self.rewind(),
            }
            return;
        }
        if self.flying.len() < self.flying_max
            && let Some(Sent { to, letter, id: Some(id), .. }) = self.letters.get(self.next)
        {
            let envelope = envelope_of(*id, to.clone(), letter);
            self.flying.push_back((self.next, store.write(Write::Append(envelope))));
            self.next += 1;
        }
    }

    /// Nothing more is heard of what is on its way: it is sent again.
    pub(super) fn rewind(&mut self) {
        if let Some(&(at, _)) = self.flying.front() {
            self.next = at;
        }
        self.flying.clear();
    }
}
