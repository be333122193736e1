//! Names that follow from what caused them, so that a handler that runs again uses the same ones.

use crate::id::{AgentId, MessageId};

/// FNV-1a of 128 bits: its constants are part of what is on disk, so it is not left to a library that
/// may choose another hash. (G. Fowler, L. C. Noll, K.-P. Vo; the inputs are nobody's attack: whoever can
/// choose them can send messages as the agent anyway.)
const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// Bits of a message id below its time.
const ENTROPY_BITS: u32 = 80;

/// The id of the message that `agent` sends as its `index`th while it handles `cause`.
#[must_use]
pub fn sent_id(agent: &AgentId, cause: MessageId, index: u32) -> MessageId {
    let bytes = agent.as_str().bytes().chain(cause.to_bytes()).chain(index.to_be_bytes());
    let hash =
        bytes.fold(FNV_OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME));
    // What the last bytes did stands in the low half only: bring both halves together.
    let entropy = (hash ^ (hash >> 48)) & ((1 << ENTROPY_BITS) - 1);
    MessageId::from_u128((u128::from(cause.time_ms()) << ENTROPY_BITS) | entropy)
}

/// The key of an effect that happens once while a message is handled, however often that is tried.
#[must_use]
pub fn once_key(cause: MessageId, name: &str) -> String {
    format!("{}{name}", once_prefix(cause))
}

/// What the keys of all effects of one message begin with.
pub(super) fn once_prefix(cause: MessageId) -> String {
    format!("m/{cause}/")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn q07_an_id_follows_from_agent_cause_and_index_alone() {
        let cause = MessageId::from_u128(7 << 80 | 9);
        let [a, b]: [AgentId; 2] = ["a", "b"].map(|id| id.parse().expect("an id"));
        assert_eq!(sent_id(&a, cause, 0), sent_id(&a, cause, 0));
        assert_eq!(sent_id(&a, cause, 0).time_ms(), 7);
        let other = MessageId::from_u128(7 << 80 | 10);
        let ids = [&a, &b].into_iter().flat_map(|agent| {
            [cause, other]
                .into_iter()
                .flat_map(move |cause| (0..1_000).map(move |index| sent_id(agent, cause, index)))
        });
        assert_eq!(ids.collect::<BTreeSet<_>>().len(), 4_000);
    }

    #[test]
    fn the_form_of_an_id_never_changes() {
        let agent = "writer".parse().expect("an id");
        let id = sent_id(&agent, MessageId::from_u128(1 << 80), 3);
        assert_eq!(id.to_string(), "000000000150N1GXPG390ZSK95");
    }
}
