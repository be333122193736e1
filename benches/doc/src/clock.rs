//! What a measurement reads: the wall clock, and the CPU clocks of a thread and of the process.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// CPU time that all threads of this process have used.
pub(crate) fn process_cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).expect("invariant: CPU time is not negative")
}

/// Wall and CPU time of one thread's work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

/// What `work` takes on this thread.
pub(crate) fn spent<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    let (wall, cpu) = (Instant::now(), read(ClockId::ThreadCPUTime));
    let done = work();
    let cpu = read(ClockId::ThreadCPUTime).saturating_sub(cpu);
    (done, Spent { wall: wall.elapsed(), cpu })
}

/// Microseconds of each of `n`.
pub(crate) fn us_each(time: Duration, n: usize) -> f64 {
    time.as_secs_f64() * 1e6 / real(n.max(1))
}

/// How many of `n` there are in a second.
pub(crate) fn per_second(n: usize, time: Duration) -> f64 {
    real(n) / time.as_secs_f64().max(1e-9)
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn real(n: usize) -> f64 {
    n as f64
}

/// The middle one; the mean of the two middle ones of an even number.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    let middle = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if n % 2 == 1 {
        middle(n / 2)
    } else {
        (middle((n / 2).saturating_sub(1)) + middle(n / 2)) / 2.0
    }
}

/// The least value that at least `percent` of a hundred are not above.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles_are_those_of_the_textbook() {
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0])), (2.0, 2.5));
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_millis(100));
        assert_eq!(percentile(&sorted, 99), Duration::from_millis(198));
        assert_eq!(percentile(&sorted[..3], 99), Duration::from_millis(3));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
