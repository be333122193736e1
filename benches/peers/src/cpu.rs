//! What a measurement reads: the wall clock, the CPU clock of the process, its resident memory; and
//! work of a known amount.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::line::Measured;

/// CPU time that all threads of this process have used.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("invariant: CPU time is not negative")
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u32>().ok());
    let page_len = u32::try_from(rustix::param::page_size()).unwrap_or(4096);
    f64::from(pages.unwrap_or(0)) * f64::from(page_len)
}

/// Measures from its start on.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    started_at: Instant,
    cpu_before: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        let cpu_before = cpu_time();
        Self { started_at: Instant::now(), cpu_before }
    }

    /// The cost of each of `n` operations since the start.
    pub(crate) fn stop(&self, n: u64) -> Measured {
        let wall = self.started_at.elapsed();
        let cpu = cpu_time().saturating_sub(self.cpu_before);
        Measured {
            n,
            wall_ns: per(wall, n),
            cpu_ns: per(cpu, n),
            bytes: None,
            extra: BTreeMap::new(),
        }
    }
}

/// Nanoseconds of each of `n`.
pub(crate) fn per(time: Duration, n: u64) -> f64 {
    time.as_secs_f64() * 1e9 / real(n.max(1))
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn real(n: u64) -> f64 {
    n as f64
}

/// Steps of [`work`] that take about a microsecond at 3 GHz.
// Each step is six operations that wait for one another, a cycle each: 3,000 / 6 = 500.
pub(crate) const STEPS_PER_US: u32 = 500;

/// Works for `steps`: the same amount for everybody, however often the thread is interrupted.
pub(crate) fn work(steps: u32) {
    // Marsaglia's xorshift64: the compiler cannot take two steps at once.
    let mut state = black_box(0x9E37_79B9_7F4A_7C15_u64);
    for _ in 0..steps {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}
