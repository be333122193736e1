//! Many latencies in little memory: percentiles that are at most 2 % off.

use super::clock;

/// Buckets per doubling.
// A bucket is at most 1/32 of its value wide; its middle is off by at most half of that, 1.6 %.
const PER_DOUBLING: usize = 32;
/// Doublings above the values that have a bucket each.
// 32 x 2^35 ns = 1,100 s: longer than any run.
const DOUBLINGS: usize = 35;

/// Counts by size, and the largest exactly. 9 KiB once it is used.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    n: u64,
    max: u64,
}

/// What is said of a histogram, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl Histogram {
    /// Counts one value.
    pub(super) fn record(&mut self, value: u64) {
        if self.counts.is_empty() {
            self.counts.resize(PER_DOUBLING * (DOUBLINGS + 1), 0);
        }
        let last = self.counts.len() - 1;
        self.counts[bucket(value).min(last)] += 1;
        self.n += 1;
        self.max = self.max.max(value);
    }

    /// Counts the nanoseconds since `before`.
    pub(super) fn record_since(&mut self, before: std::time::Instant) {
        self.record(clock::ns_since(before));
    }

    /// Adds what `other` has.
    pub(super) fn merge(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.counts.clone_from(&other.counts);
        } else {
            self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        }
        self.n += other.n;
        self.max = self.max.max(other.max);
    }

    /// How many values.
    pub(super) fn len(&self) -> u64 {
        self.n
    }

    /// The smallest value that at least this many of 1,000 do not exceed; 0 of none.
    pub(super) fn per_mille(&self, per_mille: u64) -> f64 {
        let rank = (self.n * per_mille).div_ceil(1000).max(1);
        let mut n_seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            n_seen += count;
            if n_seen >= rank {
                return middle(bucket).min(self.max as f64);
            }
        }
        0.0
    }

    pub(super) fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50: self.per_mille(500),
            p90: self.per_mille(900),
            p99: self.per_mille(990),
            p999: self.per_mille(999),
            max: self.max as f64,
        }
    }
}

fn bucket(value: u64) -> usize {
    // The doublings above the values that have a bucket each; then the bits below the leading one.
    let doubling = value.max(1).ilog2().saturating_sub(PER_DOUBLING.ilog2());
    let within = usize::try_from(value >> doubling).unwrap_or(usize::MAX);
    PER_DOUBLING * doubling as usize + within
}

/// The middle of the values of a bucket.
fn middle(bucket: usize) -> f64 {
    if bucket < 2 * PER_DOUBLING {
        return bucket as f64;
    }
    let doubling = bucket / PER_DOUBLING - 1;
    let within = PER_DOUBLING + bucket % PER_DOUBLING;
    (within as f64 + 0.5)
        * f64::from(1_u32 << doubling.min(31))
        * f64::from(1_u32 << doubling.saturating_sub(31))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Rng;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram
    }

    #[test]
    fn small_values_are_exact() {
        let table: &[(&[u64], u64, f64)] = &[
            (&[], 500, 0.0),
            (&[0], 500, 0.0),
            (&[7], 999, 7.0),
            (&[1, 2, 3, 4], 500, 2.0),
            (&[1, 2, 3, 4], 501, 3.0),
            (&[1, 2, 3, 4], 1000, 4.0),
            (&[1, 1, 1, 63], 750, 1.0),
            (&[1, 1, 1, 63], 999, 63.0),
        ];
        for (values, per_mille, expected) in table {
            let found = of(values.iter().copied()).per_mille(*per_mille);
            assert!((found - expected).abs() < 1e-9, "{values:?} {per_mille}: {found}");
        }
    }

    #[test]
    fn large_values_are_at_most_two_percent_off() {
        let mut rng = Rng::new(1);
        for doubling in 0..40 {
            let mut values: Vec<u64> =
                (0..1_001).map(|_| (1 << doubling) + rng.next() % (1 << doubling)).collect();
            let histogram = of(values.iter().copied());
            values.sort_unstable();
            for (per_mille, rank) in [(500, 501), (900, 901), (990, 991), (999, 1_000)] {
                let (found, exact) = (histogram.per_mille(per_mille), values[rank - 1] as f64);
                assert!(
                    (found / exact - 1.0).abs() < 0.02,
                    "{doubling} {per_mille}: {found} {exact}"
                );
            }
            assert_eq!((histogram.len(), histogram.max), (1_001, values[1_000]));
        }
    }

    #[test]
    fn what_is_merged_is_as_if_counted_together() {
        let (one, two) = (of(1..500), of(400..100_000));
        let mut merged = Histogram::default();
        merged.merge(&one);
        merged.merge(&two);
        merged.merge(&Histogram::default());
        let together = of((1..500).chain(400..100_000));
        assert_eq!(merged.percentiles(), together.percentiles());
        assert_eq!((merged.len(), merged.max), (together.len(), 99_999));
    }

    #[test]
    fn a_value_beyond_all_buckets_counts_as_the_largest() {
        let histogram = of([5, u64::MAX]);
        assert_eq!(histogram.len(), 2);
        assert!(histogram.per_mille(1000) > 1e12);
    }
}
