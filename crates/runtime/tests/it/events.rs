//! The event stream, seen from outside.

use std::fmt;

use ggml_agent::{CustomEvent, EventKind, Events, System, WatchError};

use crate::support::in_time;

/// The number of its publisher, and a count of its own.
#[derive(Debug)]
struct Tick(usize, u64);

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tick {} of {}", self.1, self.0)
    }
}

impl CustomEvent for Tick {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn name(&self) -> &'static str {
        "test.tick"
    }
}

const PUBLISHERS: usize = 4;
const TICKS: u64 = 2_000;

/// Reads until the end; returns how many events it saw and how many it was told to have missed.
async fn read(mut events: Events) -> (u64, u64) {
    let (mut n_seen, mut n_missed) = (0, 0);
    let mut last_seq = None;
    let mut last_ticks = [0; PUBLISHERS];
    loop {
        match events.next().await {
            Ok(event) => {
                n_seen += 1;
                assert_eq!(event.seq, last_seq.map_or(event.seq, |last: u64| last + 1));
                last_seq = Some(event.seq);
                let EventKind::Custom(tick) = event.kind else { continue };
                let tick = tick.as_any().downcast_ref::<Tick>().unwrap();
                assert!(tick.1 > last_ticks[tick.0], "in the order of its publisher");
                last_ticks[tick.0] = tick.1;
            }
            Err(WatchError::Missed(n)) => {
                n_missed += n;
                last_seq = last_seq.map(|last| last + n);
            }
            Err(WatchError::Ended) => return (n_seen, n_missed),
        }
    }
}

/// Publishes from several threads, and ends the system.
fn publish_all(system: System) {
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let system = &system;
            scope.spawn(move || {
                for n in 1..=TICKS {
                    system.publish(Tick(publisher, n));
                }
            });
        }
    });
    drop(system);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_a_thousand_watchers_sees_every_event_or_is_told_how_many_it_missed() {
    let system = System::new();
    let watching: tokio::task::JoinSet<_> = (0..1_000).map(|_| read(system.events())).collect();
    publish_all(system);
    for (n_seen, n_missed) in in_time(watching.join_all()).await {
        assert_eq!(n_seen + n_missed, PUBLISHERS as u64 * TICKS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_go_on_without_gaps_while_nobody_watches_and_when_somebody_comes() {
    let system = System::new();
    for n in 1..=10 {
        system.publish(Tick(0, n));
    }
    let mut events = system.events();
    assert!(events.try_next().unwrap().is_none(), "it watches from now on");
    system.publish(Tick(0, 11));
    assert_eq!(events.try_next().unwrap().unwrap().seq, 11);
    drop(events);
    system.publish(Tick(0, 12));
    let (mut one, mut two) = (system.events(), system.events());
    system.publish(Tick(0, 13));
    assert_eq!(one.next().await.unwrap().seq, 13);
    assert_eq!(two.next().await.unwrap().seq, 13);
    let comers: Vec<_> = (0..20).map(|_| system.events()).chain([one]).collect();
    let comers: tokio::task::JoinSet<_> = comers.into_iter().map(read).collect();
    drop(two);
    publish_all(system);
    let total = PUBLISHERS as u64 * TICKS;
    assert!(
        in_time(comers.join_all()).await.into_iter().all(|(seen, missed)| seen + missed == total)
    );
}
