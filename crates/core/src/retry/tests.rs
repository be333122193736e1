//! The promises R1 to R7 of the retry by itself; `guard` tests them with a breaker.

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;
const FAILED: Class = Class::Transient { retry_after: None };

fn retry(options: Options) -> Retry {
    Retry::new(Policy::new(options).unwrap(), MS(0), 7)
}

/// The waits until it gives up, when each attempt fails at once, and the reason.
fn waits(mut retry: Retry, class: Class) -> (Vec<Duration>, Why) {
    let (mut now, mut waits) = (MS(0), Vec::new());
    loop {
        match retry.after_failure(class, now) {
            Verdict::Wait(wait) => {
                now += wait;
                waits.push(wait);
            }
            Verdict::GiveUp(why) => return (waits, why),
        }
    }
}

fn asked(retry_after: Duration) -> Class {
    Class::Transient { retry_after: Some(retry_after) }
}

#[test]
fn r01_waits_double_from_100_ms_up_to_10_s() {
    let (defaults, why) = waits(retry(Options::DEFAULT), FAILED);
    assert_eq!(defaults, [MS(100), MS(200)]);
    assert_eq!(why, Why::Attempts { made: 3 });
    let (many, _) = waits(retry(Options { max_attempts: 11, ..Options::DEFAULT }), FAILED);
    let expected = [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000].map(MS);
    assert_eq!(many, expected);
}

#[test]
fn r01_one_attempt_means_no_retry() {
    let (none, why) = waits(retry(Options { max_attempts: 1, ..Options::DEFAULT }), FAILED);
    assert_eq!((none, why), (vec![], Why::Attempts { made: 1 }));
}

#[test]
fn r02_full_jitter_draws_evenly_between_zero_and_the_backoff() {
    let options = Options { jitter: Jitter::Full, ..Options::DEFAULT };
    let policy = Policy::new(options).unwrap();
    let mut quarters = [0_u32; 4];
    for seed in 0..4_000 {
        let Verdict::Wait(wait) = Retry::new(policy, MS(0), seed).after_failure(FAILED, MS(0))
        else {
            unreachable!("the first of three attempts")
        };
        assert!(wait <= MS(100));
        quarters[usize::try_from(wait.as_nanos() * 4 / 100_000_001).unwrap()] += 1;
    }
    assert!(quarters.iter().all(|n| (850..1_150).contains(n)), "{quarters:?}");
    assert_eq!(
        waits(retry(options), FAILED),
        waits(retry(options), FAILED),
        "a seed repeats itself"
    );
}

#[test]
fn r02_a_retry_after_is_honoured() {
    // (asked for, first wait without jitter)
    for (after, wait) in [(MS(0), MS(100)), (MS(99), MS(100)), (MS(20_000), MS(20_000))] {
        let verdict = retry(Options::DEFAULT).after_failure(asked(after), MS(0));
        assert_eq!(verdict, Verdict::Wait(wait));
        let options = Options { jitter: Jitter::Full, ..Options::DEFAULT };
        let Verdict::Wait(spread) = retry(options).after_failure(asked(after), MS(0)) else {
            unreachable!("the first of three attempts")
        };
        assert!(spread >= after && spread <= after + MS(100), "{spread:?} for {after:?}");
    }
}

#[test]
fn r02_a_retry_after_that_is_too_long_gives_up_at_once() {
    let max = Options::DEFAULT.retry_after_max;
    assert_eq!(retry(Options::DEFAULT).after_failure(asked(max), MS(0)), Verdict::Wait(max));
    for retry_after in [max + MS(1), Duration::MAX] {
        let verdict = retry(Options::DEFAULT).after_failure(asked(retry_after), MS(0));
        assert_eq!(verdict, Verdict::GiveUp(Why::AskedTooLong { retry_after, max }));
    }
}

#[test]
fn r03_no_attempt_number_and_no_multiplier_overflows() {
    let day = Duration::from_secs(86_400);
    for multiplier in [1.0, 1.0 + f64::EPSILON, 2.0, 1e10, 1e308, f64::MAX] {
        for (initial_backoff, max_backoff) in
            [(MS(0), MS(0)), (MS(0), day), (Duration::from_nanos(1), day), (day, day)]
        {
            for jitter in [Jitter::None, Jitter::Full] {
                let options = Options {
                    max_attempts: u32::MAX,
                    initial_backoff,
                    multiplier,
                    max_backoff,
                    jitter,
                    ..Options::DEFAULT
                };
                let policy = Policy::new(options).unwrap();
                for n_before in [0, 1, 2, 63, 64, 1_023, 1_024, u32::MAX - 1, u32::MAX] {
                    let backoff = policy.backoff(n_before);
                    assert!(backoff >= initial_backoff && backoff <= max_backoff, "{options:?}");
                    let counts = Retry { failed: n_before, ..Retry::new(policy, MS(0), 1) };
                    for now in [MS(0), Duration::MAX] {
                        let verdict = counts.clone().after_failure(FAILED, now);
                        let over = n_before >= u32::MAX - 1;
                        assert_eq!(over, matches!(verdict, Verdict::GiveUp(Why::Attempts { .. })));
                    }
                }
            }
        }
    }
}

#[test]
fn r03_options_out_of_range_are_typed_errors() {
    for multiplier in [0.0, 0.99, -2.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let error = Policy::new(Options { multiplier, ..Options::DEFAULT }).unwrap_err();
        assert!(matches!(error, PolicyError::Multiplier { .. }), "{multiplier}: {error}");
        assert!(!error.is_retryable());
    }
    let none = Options { max_attempts: 0, ..Options::DEFAULT };
    assert_eq!(Policy::new(none), Err(PolicyError::MaxAttemptsZero));
    let long = Options { max_backoff: Duration::MAX, ..Options::DEFAULT };
    assert_eq!(Policy::new(long), Err(PolicyError::MaxBackoffTooLong { found: Duration::MAX }));
    let crossed = Options { max_backoff: MS(99), ..Options::DEFAULT };
    assert!(matches!(Policy::new(crossed), Err(PolicyError::InitialAboveMax { .. })));
    assert_eq!(Policy::new(Options::DEFAULT), Ok(Policy::DEFAULT));
}

#[test]
fn r04_only_what_is_transient_is_retried() {
    let (none, why) = waits(retry(Options::DEFAULT), Class::Permanent);
    assert_eq!((none, why), (vec![], Why::Permanent));
    assert!(!why.is_retryable());
    let mut later = retry(Options::DEFAULT);
    assert_eq!(later.after_failure(FAILED, MS(0)), Verdict::Wait(MS(100)));
    assert_eq!(later.after_failure(Class::Permanent, MS(100)), Verdict::GiveUp(Why::Permanent));
}

#[test]
fn r05_the_deadline_bounds_attempts_and_waits_together() {
    // (the first attempt fails at, deadline, verdict): the wait is 100 ms.
    let table = [
        (0, 101, Verdict::Wait(MS(100))),
        (0, 100, Verdict::GiveUp(Why::Deadline { wait: MS(100), left: MS(100) })),
        (50, 151, Verdict::Wait(MS(100))),
        (50, 150, Verdict::GiveUp(Why::Deadline { wait: MS(100), left: MS(100) })),
        (900, 500, Verdict::GiveUp(Why::Deadline { wait: MS(100), left: MS(0) })),
    ];
    for (failed_at, deadline, verdict) in table {
        let options = Options { deadline: Some(MS(deadline)), ..Options::DEFAULT };
        assert_eq!(retry(options).after_failure(FAILED, MS(failed_at)), verdict);
    }
    let options = Options { max_attempts: 100, deadline: Some(MS(5_000)), ..Options::DEFAULT };
    let (waited, why) = waits(retry(options), FAILED);
    assert!(waited.iter().sum::<Duration>() < MS(5_000), "{waited:?}");
    assert!(matches!(why, Why::Deadline { .. }));
    let origin = MS(1 << 40);
    let late = Retry::new(Policy::new(options).unwrap(), origin, 0);
    assert_eq!(late.time_left(origin + MS(4_999)), Some(MS(1)), "any origin of time will do");
    assert_eq!(retry(Options::DEFAULT).time_left(MS(1)), None);
}

#[test]
fn r06_a_wait_is_a_value_that_can_be_dropped_at_any_time() {
    let mut cancelled = retry(Options::DEFAULT);
    let Verdict::Wait(_) = cancelled.after_failure(FAILED, MS(0)) else {
        unreachable!("the first of three attempts")
    };
    // 'static, Send and without a destructor: whoever waits can be cancelled and owes nothing.
    fn owes_nothing<T: Send + Sync + 'static>(_: T) -> bool {
        !std::mem::needs_drop::<T>()
    }
    assert!(owes_nothing(cancelled));
}

#[test]
fn r07_a_refusal_by_the_breaker_waits_for_it_and_uses_up_no_attempt() {
    let refused = Class::BreakerOpen { retry_after: MS(30_000) };
    let mut call = retry(Options::DEFAULT);
    assert_eq!(call.after_failure(refused, MS(0)), Verdict::Wait(MS(30_000)));
    assert_eq!((call.failed(), call.refused()), (0, 1));
    let probing = Class::BreakerOpen { retry_after: MS(0) };
    assert_eq!(call.after_failure(probing, MS(0)), Verdict::Wait(MS(200)), "the backoff grows");
    assert_eq!(call.after_failure(FAILED, MS(0)), Verdict::Wait(MS(400)));
    assert_eq!(call.after_failure(FAILED, MS(0)), Verdict::Wait(MS(800)));
    assert_eq!(call.after_failure(FAILED, MS(0)), Verdict::GiveUp(Why::Attempts { made: 3 }));
    let (many, why) = waits(retry(Options::DEFAULT), refused);
    assert_eq!((many.len(), why), (2, Why::Breaker { refused: 3 }), "but not for ever");
}
