//! The id of an agent with its hash, computed once per operation: it picks the shard and the place.

use crate::id::AgentId;

/// An id and its hash, for the calls of one operation.
///
/// The hash is the same in every process, so nothing depends on chance; whoever may choose ids can
/// make them collide, which costs them (and those who share their shard) time, never correctness.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    id: &'a AgentId,
    hash: u64,
}

impl<'a> Key<'a> {
    /// The id.
    #[must_use]
    pub const fn id(self) -> &'a AgentId {
        self.id
    }

    /// Which of `2^bits` registries this id belongs to; `bits` is at most 16.
    #[must_use]
    pub fn shard(self, bits: u32) -> usize {
        // The high bits: a table takes its places from the low ones.
        let [high, next, ..] = self.hash.to_be_bytes();
        usize::from(u16::from_be_bytes([high, next])) >> 16_u32.saturating_sub(bits)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bits, on purpose")]
    pub(super) const fn low_bits(self) -> u32 {
        self.hash as u32
    }

    /// A key that collides with every other one of the same hash.
    #[cfg(test)]
    pub(super) const fn with_hash(id: &'a AgentId, hash: u64) -> Self {
        Self { id, hash }
    }
}

impl<'a> From<&'a AgentId> for Key<'a> {
    fn from(id: &'a AgentId) -> Self {
        Self { id, hash: hash(id.as_str().as_bytes()) }
    }
}

// Digits of pi behind the point, made odd: as good as any number with its bits mixed.
const START: u64 = 0x243F_6A88_85A3_08D3;
const STEP: u64 = 0x1319_8A2E_0370_7345;
const LAST: u64 = 0xA409_3822_299F_31D1;

/// Eight bytes per step by the folded product of wyhash: quick for short names, and high and low
/// bits are equally good.
fn hash(text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    // The length tells a name from one that the padding would make of it.
    let mut state = START ^ text.len() as u64;
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), STEP);
    }
    fold(fold(state ^ padded(text, rest), STEP), LAST)
}

/// The bytes of `rest`, the fewer than eight at the end of `text`, as the low ones of a word.
// By loads that overlap, not by a copy to a buffer: the call would cost more than the rest of a hash.
#[inline]
fn padded(text: &[u8], rest: &[u8]) -> u64 {
    let bits = 8 * rest.len();
    match (rest, text.last_chunk::<8>()) {
        ([], _) => 0,
        // The last word ends with them.
        (_, Some(word)) => u64::from_le_bytes(*word) >> (64 - bits),
        (_, None) => match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                let [first, last] = [*first, *last].map(|part| u64::from(u32::from_le_bytes(part)));
                first | last << (bits - 32)
            }
            // One byte, two, or three.
            _ => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        },
    }
}

#[expect(clippy::cast_possible_truncation, reason = "both halves of the product are used")]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_little_spread_over_shards_and_places() {
        let n_names: u32 = 40_000;
        let mut shards = [0_u32; 16];
        let mut places = [0_u32; 1 << 12];
        for n in 0..n_names {
            let id = format!("worker-{n}").parse().unwrap();
            let key = Key::from(&id);
            shards[key.shard(4)] += 1;
            // The place in a table comes from the high end of the low bits.
            places[(key.low_bits() << 3 >> 20) as usize] += 1;
        }
        let mean = n_names / 16;
        // 5 standard deviations of a binomial: 5 x sqrt(2,500) = 250.
        assert!(shards.iter().all(|n| n.abs_diff(mean) < 250), "{shards:?}");
        // Mean 9.8 per place; a fair hash has more than 35 in one of 4,096 with probability 1e-6.
        let most = places.iter().max().unwrap();
        assert!(*most < 35, "{most} names in one of {} places", places.len());
    }

    #[test]
    fn one_shard_takes_every_key() {
        let id = "a".parse().unwrap();
        assert_eq!(Key::from(&id).shard(0), 0);
    }

    /// The end of a text is read by loads that overlap: as if it were copied to a word of zeros.
    #[test]
    fn what_is_left_of_a_text_is_padded_with_zeros() {
        let text: Vec<u8> = (0..40).map(|n| 0xC3 ^ n).collect();
        for text in (0..=text.len()).map(|len| &text[..len]) {
            let (_, rest) = text.as_chunks::<8>();
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            assert_eq!(padded(text, rest), u64::from_le_bytes(word), "{} bytes", text.len());
        }
    }

    #[test]
    fn hash_is_the_same_in_every_process() {
        let id = "writer".parse().unwrap();
        assert_eq!(Key::from(&id).hash, 740_740_417_996_899_790);
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }
}
