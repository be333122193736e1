//! Children by id: a hash table of their keys, which leaves the ids where they are.

use std::hash::{DefaultHasher, Hasher};

/// What a bucket keeps of a key: the reader tells which of the keys with these low bits is meant.
pub(super) type KeyBits = u32;

/// Open addressing with linear probing: 8 bytes a bucket, at most three quarters of them taken. It is
/// never iterated, so its order shows nowhere.
#[derive(Debug)]
pub(super) struct Index {
    /// Zero, or the id's hash (which is never zero) above the low bits of the child's key. A power of
    /// two of them.
    buckets: Vec<u64>,
    len: usize,
    /// Whoever chooses the ids does not know it, and cannot choose such as collide.
    seed: u64,
}

/// The hash of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IdHash(u32);

const BUCKETS_MIN: usize = 8;

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        Self { buckets: Vec::new(), len: 0, seed }
    }

    pub(super) fn hash(&self, id: &str) -> IdHash {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write(id.as_bytes());
        // One bit says that the bucket is taken; 31 are enough for 2^24 children.
        IdHash(high(hasher.finish()) | 1 << 31)
    }

    /// The first result that `look` has for the keys whose ids have this hash.
    pub(super) fn find<R>(
        &self,
        hash: IdHash,
        mut look: impl FnMut(KeyBits) -> Option<R>,
    ) -> Option<R> {
        let mut at = self.home(hash)?;
        while self.buckets[at] != 0 {
            if hash_of(self.buckets[at]) == hash
                && let Some(found) = look(low(self.buckets[at]))
            {
                return Some(found);
            }
            at = self.after(at);
        }
        None
    }

    pub(super) fn insert(&mut self, hash: IdHash, key: KeyBits) {
        if (self.len + 1) * 4 > self.buckets.len() * 3 {
            self.resize((self.buckets.len() * 2).max(BUCKETS_MIN));
        }
        self.place(bucket(hash, key));
        self.len += 1;
    }

    pub(super) fn remove(&mut self, hash: IdHash, key: KeyBits) {
        let Some(mut at) = self.home(hash) else { return };
        while self.buckets[at] != bucket(hash, key) {
            if self.buckets[at] == 0 {
                return;
            }
            at = self.after(at);
        }
        self.len -= 1;
        self.fill_gap(at);
        if self.len < self.buckets.len() / 8 {
            self.resize((self.buckets.len() / 4).max(BUCKETS_MIN));
        }
    }

    /// Empties a bucket, and moves those behind it up that would not be found any more.
    fn fill_gap(&mut self, mut gap: usize) {
        let mask = self.buckets.len() - 1;
        let mut at = self.after(gap);
        while self.buckets[at] != 0 {
            let home = hash_of(self.buckets[at]).0 as usize & mask;
            // Whether the gap lies on the way from its home to where it is, around the end.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                self.buckets[gap] = self.buckets[at];
                gap = at;
            }
            at = self.after(at);
        }
        self.buckets[gap] = 0;
    }

    fn resize(&mut self, n_buckets: usize) {
        for bucket in std::mem::replace(&mut self.buckets, vec![0; n_buckets]) {
            if bucket != 0 {
                self.place(bucket);
            }
        }
    }

    fn place(&mut self, bucket: u64) {
        let mut at = self.home(hash_of(bucket)).expect("invariant: there is room");
        while self.buckets[at] != 0 {
            at = self.after(at);
        }
        self.buckets[at] = bucket;
    }

    /// Where the search for a hash begins.
    fn home(&self, hash: IdHash) -> Option<usize> {
        let mask = self.buckets.len().checked_sub(1)?;
        Some(hash.0 as usize & mask)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.buckets.len() - 1)
    }
}

fn bucket(hash: IdHash, key: KeyBits) -> u64 {
    u64::from(hash.0) << 32 | u64::from(key)
}

fn hash_of(bucket: u64) -> IdHash {
    IdHash(high(bucket))
}

/// The upper half.
fn high(bits: u64) -> u32 {
    low(bits >> 32)
}

/// The lower half.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
pub(super) fn low(bits: u64) -> u32 {
    bits as u32
}
