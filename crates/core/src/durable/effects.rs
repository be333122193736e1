//! What an agent did while it handled one message.

use crate::envelope::Envelope;
use crate::store::Timer;

/// Effects of one message, which become durable together with its acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// The agent's state is not what it was.
    pub is_state_dirty: bool,
    /// Messages to send, with the ids that [`sent_id`](super::sent_id) gives.
    pub outbox: Vec<Envelope>,
    /// Timers to set.
    pub set: Vec<Timer>,
    /// Timers to forget, by key; before those of `set`.
    pub cancel: Vec<String>,
}
