//! Seeded choices: SplitMix64, so that a seed means the same run on every machine.

#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A short text of every width UTF-8 and UTF-16 have: letters, umlauts, combining marks, pairs, joined emoji.
    pub(crate) fn text(&mut self) -> String {
        const PIECES: [&str; 10] =
            ["a", "bc", "ü", "e\u{301}", "漢", "😀", "👩\u{200d}👩\u{200d}👧", "\n", "𝄞", "x y"];
        (0..1 + self.below(3)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }
}
