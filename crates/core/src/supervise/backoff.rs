//! How long a child waits before it is started again (S32).

use std::time::Duration;

/// Waits between restarts that grow with each failure in a row. Holds S32.
///
/// The n-th wait in a row (from 0) is `initial * multiplier^n`, at most `max`, of which a random part
/// of up to `jitter` is taken away, so that children that failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Backoff {
    /// The first wait.
    pub initial: Duration,
    /// Growth per failure in a row; 1 or more.
    pub multiplier: f64,
    /// The longest wait.
    pub max: Duration,
    /// The part of a wait that is random: 0 (none) to 1 (anything from nothing to the whole wait).
    pub jitter: f64,
    /// A child that ran for this long begins again at `initial`.
    pub healthy_for: Duration,
}

impl Backoff {
    /// 100 ms, doubling up to 10 s, half of it random, forgotten after 60 s of health.
    pub const DEFAULT: Self = Self {
        initial: Duration::from_millis(100),
        multiplier: 2.0,
        max: Duration::from_secs(10),
        jitter: 0.5,
        healthy_for: Duration::from_secs(60),
    };

    /// Whether multiplier and jitter are in their ranges.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.multiplier.is_finite() && self.multiplier >= 1.0 && (0.0..=1.0).contains(&self.jitter)
    }

    /// The wait after `failures` earlier failures in a row; `random` is in 0 (inclusive) to 1.
    ///
    /// Never more than `max`, whatever the numbers.
    #[must_use]
    pub fn delay(&self, failures: u32, random: f64) -> Duration {
        let power = i32::try_from(failures).unwrap_or(i32::MAX);
        let full = self.initial.as_secs_f64() * self.multiplier.powi(power);
        let full = full.min(self.max.as_secs_f64());
        let wait = full * (1.0 - self.jitter.clamp(0.0, 1.0) * random.clamp(0.0, 1.0));
        // 0 * infinity is not a number, and a wait that cannot be told is the longest one.
        Duration::try_from_secs_f64(wait).map_or(self.max, |wait| wait.min(self.max))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A small random number generator (splitmix64), so that jitter repeats with its seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next_u64(&mut self) -> u64 {
        // Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014), fig. 13.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 (inclusive) to 1 (exclusive).
    pub(crate) fn fraction(&mut self) -> f64 {
        // 32 random bits are exact in an f64 and plenty for jitter.
        let bits = u32::try_from(self.next_u64() >> 32).expect("invariant: 32 bits are left");
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}
