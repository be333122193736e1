//! Made traces, for where the published ones cannot be had: of the same size and shape, and from a seed.
//!
//! What is published of the traces (josephg/editing-traces and automerge/automerge-perf) and matched exactly:
//!
//! | trace | edits | inserted | removed | left |
//! |---|---|---|---|---|
//! | automerge-paper | 259,778, each of one character | 182,315 | 77,463 | 104,852 |
//! | seph-blog1 | 137,993, of several lengths, one paste of 4 KiB that is undone | | | 56,769 |
//! | rustcode | 40,173, with edits at several cursors | | | |
//!
//! Of automerge-paper 102,049 cursor movements are published, too: single key presses, of which a walk has many,
//! so they bound the jumps from above only. How long the runs of typing are is not said. They are chosen so that what
//! engines keep of a made paper is as large as what they keep of the real one (live heap of diamond-types, loro and
//! yrs: 1.8, 2.4 and 2.2 MiB measured of the real one, 1.7, 2.3 and 1.9 MiB of a made one): that is the number of
//! runs, on which their time depends.

use clap::ValueEnum;

use super::{Edit, Trace};

/// Which published trace a made one is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// automerge-paper: prose, character by character.
    Paper,
    /// seph-blog1: prose with pastes and undone pastes.
    Blog,
    /// rustcode: short insertions at many places, lines moved and replaced.
    Code,
}

/// The numbers of a shape. Probabilities are of 1,000.
struct Numbers {
    name: &'static str,
    n_edits: usize,
    left: usize,
    /// Mean characters of a run of typing, and of backspaces.
    typed: usize,
    erased: usize,
    /// How often an edit is a paste or a cut of many characters, and how many at most.
    block: usize,
    block_max: usize,
    /// Characters of a paste at half time that is undone at once.
    undone: usize,
    /// How often a run begins far away, rather than near the last one.
    far: usize,
}

impl Shape {
    fn numbers(self) -> Numbers {
        match self {
            Self::Paper => Numbers {
                name: "paper",
                n_edits: 259_778,
                left: 104_852,
                typed: 24,
                erased: 9,
                block: 0,
                block_max: 0,
                undone: 0,
                far: 20,
            },
            Self::Blog => Numbers {
                name: "blog",
                n_edits: 137_993,
                left: 56_769,
                typed: 24,
                erased: 9,
                block: 12,
                block_max: 200,
                undone: 4_096,
                far: 20,
            },
            Self::Code => Numbers {
                name: "code",
                n_edits: 40_173,
                // Not published where we looked: chosen, as much as 40,173 edits of this kind may leave.
                left: 65_000,
                typed: 8,
                erased: 4,
                block: 60,
                block_max: 120,
                undone: 0,
                far: 120,
            },
        }
    }
}

impl Trace {
    /// A trace like `shape`; the same for the same seed.
    pub(crate) fn make(shape: Shape, seed: u64) -> Self {
        let numbers = shape.numbers();
        let mut writer = Writer {
            rng: Rng(seed),
            words: Words::default(),
            len: 0,
            cursor: 0,
            has_undone: false,
            edits: Vec::with_capacity(numbers.n_edits),
        };
        while writer.edits.len() < numbers.n_edits {
            writer.run(&numbers);
        }
        Self { name: numbers.name.to_owned(), is_made: true, edits: writer.edits }
    }
}

struct Writer {
    rng: Rng,
    words: Words,
    len: usize,
    cursor: usize,
    has_undone: bool,
    edits: Vec<Edit>,
}

impl Writer {
    /// One run: goes somewhere, and types or erases there.
    fn run(&mut self, numbers: &Numbers) {
        self.go(numbers);
        let n_left = numbers.n_edits - self.edits.len();
        if numbers.undone > 0 && !self.has_undone && n_left < numbers.n_edits / 2 {
            self.has_undone = true;
            let (at, insert) = (self.cursor, self.words.take(numbers.undone, &mut self.rng));
            self.push(at, 0, insert);
            return self.push(at, numbers.undone, String::new());
        }
        // The last ones settle the account: see below.
        if n_left > 100 && self.rng.of_1000(numbers.block) {
            return self.block(numbers);
        }
        let is_typing = self.is_to_grow(numbers);
        let mean = if is_typing { numbers.typed } else { numbers.erased };
        for _ in 0..self.rng.geometric(mean) {
            let n_left = numbers.n_edits - self.edits.len();
            if n_left == 0 {
                return;
            }
            // The last edits settle the account, so that what is left is what is published.
            let debt = numbers.left.abs_diff(self.len);
            let is_typing = if debt >= n_left { self.len < numbers.left } else { is_typing };
            let n = if debt > n_left { debt.div_ceil(n_left) } else { 1 };
            if n_left == 1 && debt == 0 {
                // An odd one out: a letter for another.
                let at = self.cursor.min(self.len - 1);
                let insert = self.words.take(1, &mut self.rng);
                self.push(at, 1, insert);
            } else if is_typing {
                let insert = self.words.take(n, &mut self.rng);
                self.push(self.cursor, 0, insert);
            } else if self.cursor == 0 {
                return;
            } else {
                let n = n.min(self.cursor);
                self.push(self.cursor - n, n, String::new());
            }
        }
    }

    /// Whether the next run types: more often the further the text is behind where it should be by now.
    fn is_to_grow(&mut self, numbers: &Numbers) -> bool {
        let due = numbers.left * self.edits.len() / numbers.n_edits;
        // A run of typing is longer: with half of the runs the text grows.
        self.rng.of_1000(if self.len <= due { 620 } else { 380 })
    }

    fn go(&mut self, numbers: &Numbers) {
        let to = if self.rng.of_1000(numbers.far) {
            self.rng.below(self.len + 1)
        } else if self.rng.of_1000(700) {
            // Goes on where it is: a typing error, a second thought.
            self.cursor
        } else if self.rng.of_1000(300) {
            self.len
        } else {
            let step = self.rng.geometric(60);
            if self.rng.of_1000(500) {
                self.cursor.saturating_sub(step)
            } else {
                self.cursor + step
            }
        };
        self.cursor = to.min(self.len);
    }

    /// A paste, a cut, or a replaced selection.
    fn block(&mut self, numbers: &Numbers) {
        let n = 2 + self.rng.below(numbers.block_max);
        if self.rng.of_1000(500) {
            let insert = self.words.take(n, &mut self.rng);
            self.push(self.cursor, 0, insert);
        } else {
            let del = n.min(self.len - self.cursor);
            let insert = self.words.take(self.rng.below(12), &mut self.rng);
            if del + insert.len() > 0 {
                self.push(self.cursor, del, insert);
            }
        }
    }

    fn push(&mut self, at: usize, del: usize, insert: String) {
        self.len = self.len - del + insert.len();
        self.cursor = at + insert.len();
        self.edits.push(Edit { at, del, insert });
    }
}

/// Prose without end, as the next characters of it.
#[derive(Default)]
struct Words {
    rest: &'static str,
    n_words: usize,
}

const WORDS: &[&str] = &[
    "the ",
    "of ",
    "and ",
    "a ",
    "to ",
    "in ",
    "document ",
    "section ",
    "replica ",
    "merge ",
    "is ",
    "that ",
    "editor ",
    "when ",
    "character ",
    "operation ",
    "concurrent ",
    "we ",
    "which ",
    "history ",
    "agent ",
    "lock ",
];

impl Words {
    fn take(&mut self, n: usize, rng: &mut Rng) -> String {
        let mut text = String::with_capacity(n);
        while text.len() < n {
            if self.rest.is_empty() {
                self.n_words += 1;
                self.rest = match self.n_words {
                    n if n % 90 == 0 => ".\n\n",
                    n if n % 12 == 0 => ". ",
                    _ => WORDS[rng.below(WORDS.len())],
                };
            }
            let (now, later) = self.rest.split_at(self.rest.len().min(n - text.len()));
            text.push_str(now);
            self.rest = later;
        }
        text
    }
}

/// `splitmix64` (Steele, Lea, Flood 2014).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % n).unwrap_or(0)
    }

    fn of_1000(&mut self, chance: usize) -> bool {
        self.below(1_000) < chance
    }

    /// 1, 2, 3, ... with this mean.
    fn geometric(&mut self, mean: usize) -> usize {
        let mut n = 1;
        while self.below(mean.max(1)) > 0 {
            n += 1;
        }
        n
    }
}
