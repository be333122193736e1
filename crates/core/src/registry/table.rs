//! A hash table of handles that know their own ids: 12 bytes per place (with a handle of one word), at most a third of them free.
//!
//! Why not std's map or `hashbrown`: both double, so that after a growth more than half of the places
//! are free (twice as many bytes per agent). Here places are taken in the order of the
//! hashes (linear probing, Robin Hood), so a table grows by a quarter, and by one walk from front to
//! back that looks at no handle. 29 bits of the hash stand beside each handle, and the ids themselves are
//! compared where these agree.

use super::{AgentState, Key, Named};

/// Low bits of a word: what is known of the agent. A word of 0 is a free place.
const OCCUPIED: u32 = 1;
const RESTARTING: u32 = 1 << 1;
const TAGGED: u32 = 1 << 2;
const FLAGS: u32 = OCCUPIED | RESTARTING | TAGGED;
const HASH_BITS: u32 = 29;
/// Smaller tables (64 x 12 B) stay as they are.
const SHRINKS_FROM: usize = 64;

/// The hash of `key` as it stands in the word of a live agent without tags.
fn fresh_word(key: Key<'_>) -> u32 {
    key.low_bits() << FLAGS.count_ones() | OCCUPIED
}

/// Handles by id, each with its state and a mark.
pub(super) struct Table<H> {
    /// Hash and flags of each place, in the order of the hashes, with free places between.
    words: Vec<u32>,
    /// The handle of each place.
    handles: Vec<Option<H>>,
    /// Places that a hash may point to; those behind them take what the last ones have no room for.
    n_homes: usize,
    len: usize,
}

/// A place that is taken; good until the table is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

impl<H: Named> Table<H> {
    pub(super) const fn new() -> Self {
        Self { words: Vec::new(), handles: Vec::new(), n_homes: 0, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn find(&self, key: Key<'_>) -> Option<Place> {
        let sought = fresh_word(key);
        let mut at = home(sought, self.n_homes);
        loop {
            let word = *self.words.get(at)?;
            if word == 0 || word > sought | FLAGS {
                return None;
            }
            if word | FLAGS == sought | FLAGS && self.handle(Place(at)).id() == key.id() {
                return Some(Place(at));
            }
            at += 1;
        }
    }

    pub(super) fn handle(&self, place: Place) -> &H {
        self.handles[place.0].as_ref().expect("invariant: a place that is taken")
    }

    pub(super) fn state(&self, place: Place) -> AgentState {
        state_of(self.words[place.0])
    }

    /// Sets the state, and returns the one before.
    pub(super) fn set_state(&mut self, place: Place, state: AgentState) -> AgentState {
        let before = self.state(place);
        self.flag(place, RESTARTING, state == AgentState::Restarting);
        before
    }

    /// Whether the agent carries tags: then, and only then, its groups know it.
    pub(super) fn is_tagged(&self, place: Place) -> bool {
        self.words[place.0] & TAGGED != 0
    }

    pub(super) fn set_tagged(&mut self, place: Place, is_tagged: bool) {
        self.flag(place, TAGGED, is_tagged);
    }

    fn flag(&mut self, place: Place, flag: u32, is_set: bool) {
        let word = &mut self.words[place.0];
        *word = if is_set { *word | flag } else { *word & !flag };
    }

    /// Adds a live agent without tags whose id is not in the table.
    pub(super) fn insert(&mut self, key: Key<'_>, handle: H) {
        // From five sixths on, those that have to move for a new one become many (18 on average).
        if self.len >= self.n_homes - self.n_homes / 6 {
            self.rebuild(self.n_homes + self.n_homes / 4 + 4);
        }
        let word = fresh_word(key);
        let mut at = home(word, self.n_homes);
        while self.words.get(at).is_some_and(|other| *other != 0 && *other <= word | FLAGS) {
            at += 1;
        }
        let free = self.words[at..].iter().position(|word| *word == 0);
        let free = free.map_or(self.words.len(), |n| at + n);
        if free == self.words.len() {
            self.push(0, None);
        }
        self.words[at..=free].rotate_right(1);
        self.handles[at..=free].rotate_right(1);
        self.words[at] = word;
        self.handles[at] = Some(handle);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, Place(at): Place) -> H {
        // All up to the next that is at home, or a free place, may come one place nearer to theirs.
        let stays = |next: &usize| {
            let word = self.words[*next];
            word == 0 || home(word, self.n_homes) == *next
        };
        let end = (at + 1..self.words.len()).find(stays).unwrap_or(self.words.len());
        self.words[at..end].rotate_left(1);
        self.handles[at..end].rotate_left(1);
        self.words[end - 1] = 0;
        let handle = self.handles[end - 1].take().expect("invariant: a place that is taken");
        self.len -= 1;
        // Memory follows the agents that live; far enough from growth that no sequence of calls
        // makes the table walk each time.
        if self.n_homes > SHRINKS_FROM && self.len < self.n_homes / 4 {
            self.rebuild(self.len + self.len / 2);
        }
        handle
    }

    /// In the order of hashes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&H, AgentState)> {
        let places = self.words.iter().zip(&self.handles);
        places.filter_map(|(word, handle)| Some((handle.as_ref()?, state_of(*word))))
    }

    fn rebuild(&mut self, n_homes: usize) {
        // A few more than homes, so that the last ones rarely have to ask for room.
        let room = n_homes + n_homes.min(8);
        let words = std::mem::replace(&mut self.words, Vec::with_capacity(room));
        let handles = std::mem::replace(&mut self.handles, Vec::with_capacity(room));
        self.n_homes = n_homes;
        for (word, handle) in words.into_iter().zip(handles).filter(|(word, _)| *word != 0) {
            self.fill_up_to(home(word, n_homes));
            self.push(word, handle);
        }
        self.fill_up_to(n_homes);
    }

    fn fill_up_to(&mut self, len: usize) {
        while self.words.len() < len {
            self.push(0, None);
        }
    }

    fn push(&mut self, word: u32, handle: Option<H>) {
        // By little: std would double.
        if self.words.len() == self.words.capacity() {
            self.words.reserve_exact(8);
            self.handles.reserve_exact(8);
        }
        self.words.push(word);
        self.handles.push(handle);
    }

    /// Bytes that the table holds, handles included and what they point to not.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u32>() + self.handles.capacity() * size_of::<Option<H>>()
    }

    /// Panics unless every agent stands where it is looked for.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.words.len(), self.handles.len());
        assert!(self.words.len() >= self.n_homes);
        assert_eq!(self.len, self.words.iter().filter(|word| **word != 0).count());
        let mut before = 0;
        for (at, word) in self.words.iter().enumerate() {
            assert_eq!(*word == 0, self.handles[at].is_none());
            if *word == 0 {
                continue;
            }
            assert!(before <= *word | FLAGS, "hashes are in order");
            before = word & !FLAGS;
            let home = home(*word, self.n_homes);
            assert!(home <= at && self.words[home..at].iter().all(|word| *word != 0));
        }
    }
}

/// Where the search for a word begins. Monotonous: the order of words is the order of homes.
fn home(word: u32, n_homes: usize) -> usize {
    let hash = u64::from(word >> FLAGS.count_ones());
    // Below n_homes, a usize.
    usize::try_from((hash * n_homes as u64) >> HASH_BITS).unwrap_or(usize::MAX)
}

const fn state_of(word: u32) -> AgentState {
    if word & RESTARTING == 0 { AgentState::Live } else { AgentState::Restarting }
}
