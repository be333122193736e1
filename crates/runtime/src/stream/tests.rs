use std::sync::atomic::AtomicUsize;
use std::task::Wake;
use std::thread;
use std::time::Duration;

use super::*;

/// A source whose items are their own numbers.
fn publish(source: &Source<u64>) {
    if !source.pass() {
        source.push(|number| number);
        source.wake();
    }
}

fn watch(source: &Source<u64>) -> Watcher<u64> {
    let (watcher, relay) = source.watch();
    assert!(relay.is_none());
    watcher
}

/// Counts how often it is woken.
#[derive(Default)]
struct Alarm(AtomicUsize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Alarm {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn poll(watcher: &mut Watcher<u64>, alarm: &Arc<Alarm>) -> Poll<Result<u64, WatchError>> {
    watcher.poll_next(&Context::from_waker(&alarm.clone().into()))
}

#[test]
fn a_watcher_gets_what_comes_after_it_in_order() {
    let source = Source::new();
    publish(&source);
    let mut early = watch(&source);
    publish(&source);
    let mut late = watch(&source);
    for _ in 0..200 {
        publish(&source);
    }
    for (watcher, first) in [(&mut early, 2), (&mut late, 3)] {
        for number in first..=202 {
            assert_eq!(watcher.try_next(), Ok(Some(number)));
        }
        assert_eq!(watcher.try_next(), Ok(None));
    }
    drop((early, late));
    assert!(!source.is_watched());
    publish(&source);
    let mut again = watch(&source);
    publish(&source);
    assert_eq!(again.try_next(), Ok(Some(204)), "those that nobody saw are numbered all the same");
}

#[test]
fn nothing_is_made_or_kept_without_a_watcher() {
    let source = Source::new();
    assert!(source.pass());
    let watcher = watch(&source);
    assert!(!source.pass());
    // The last watcher leaves between the question and the push.
    drop(watcher);
    source.push(|_| unreachable!("nobody watches"));
    assert_eq!(source.shared.ring().blocks.len(), 0);
    let mut watcher = watch(&source);
    publish(&source);
    assert_eq!(watcher.try_next(), Ok(Some(3)));
}

#[test]
fn a_slow_watcher_is_told_how_many_it_missed_and_goes_on_with_the_oldest_kept() {
    let source = Source::new();
    let mut slow = watch(&source);
    let mut within = watch(&source);
    publish(&source);
    assert_eq!(within.try_next(), Ok(Some(1)));
    let n_items = 3 * EVENT_RING_LEN as u64;
    for _ in 1..n_items {
        publish(&source);
    }
    let Err(WatchError::Missed(n_missed)) = slow.try_next() else { panic!("it missed nothing") };
    assert!(n_items - n_missed >= EVENT_RING_LEN as u64, "the ring is kept");
    assert!(n_items - n_missed <= (EVENT_RING_LEN + BLOCK_LEN) as u64, "and not much more");
    for number in n_missed + 1..=n_items {
        assert_eq!(slow.try_next(), Ok(Some(number)));
    }
    assert_eq!(slow.try_next(), Ok(None));
    // What it had in its hands it may read to the end.
    for number in 2..=BLOCK_LEN as u64 {
        assert_eq!(within.try_next(), Ok(Some(number)));
    }
    assert_eq!(within.try_next(), Err(WatchError::Missed(n_missed - BLOCK_LEN as u64)));
    assert_eq!(within.try_next(), Ok(Some(n_missed + 1)));
}

#[test]
fn the_end_of_the_source_is_the_end_of_the_stream_after_what_was_in_it() {
    let source = Source::new();
    let (mut reader, mut sleeper) = (watch(&source), watch(&source));
    publish(&source);
    let alarm = Arc::new(Alarm::default());
    assert_eq!(poll(&mut sleeper, &alarm), Poll::Ready(Ok(1)));
    assert_eq!(poll(&mut sleeper, &alarm), Poll::Pending);
    drop(source);
    assert_eq!(alarm.count(), 1);
    assert_eq!(poll(&mut sleeper, &alarm), Poll::Ready(Err(WatchError::Ended)));
    assert_eq!(reader.try_next(), Ok(Some(1)));
    assert_eq!(reader.try_next(), Err(WatchError::Ended));
}

#[test]
fn who_was_woken_is_not_woken_again_before_it_has_looked() {
    let source = Source::new();
    let mut watcher = watch(&source);
    let alarm = Arc::new(Alarm::default());
    for round in 1..=3 {
        assert_eq!(poll(&mut watcher, &alarm), Poll::Pending);
        for _ in 0..5 {
            publish(&source);
        }
        assert_eq!(alarm.count(), round);
        for _ in 0..5 {
            assert!(poll(&mut watcher, &alarm).is_ready());
        }
    }
}

#[test]
fn many_watchers_are_woken_by_the_relay_and_not_by_who_publishes() {
    let source = Source::new();
    let mut relays = Vec::new();
    let mut watchers: Vec<_> = (0..50)
        .map(|_| {
            let (watcher, relay) = source.watch();
            relays.extend(relay);
            (watcher, Arc::new(Alarm::default()))
        })
        .collect();
    assert_eq!(relays.len(), 1);
    let mut relay = Box::pin(relays.remove(0));
    let relay_alarm = Arc::new(Alarm::default());
    let waker = relay_alarm.clone().into();
    let mut run_relay = move || relay.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(run_relay().is_pending());
    for round in 1..=3 {
        for (watcher, alarm) in &mut watchers {
            assert_eq!(poll(watcher, alarm), Poll::Pending);
        }
        for _ in 0..10 {
            publish(&source);
        }
        assert!(watchers.iter().all(|(_, alarm)| alarm.count() == round - 1));
        assert_eq!(relay_alarm.count(), round, "one call per batch");
        assert!(run_relay().is_pending());
        for (watcher, alarm) in &mut watchers {
            assert_eq!(alarm.count(), round);
            for _ in 0..10 {
                assert!(poll(watcher, alarm).is_ready());
            }
        }
    }
    for (watcher, alarm) in &mut watchers {
        assert_eq!(poll(watcher, alarm), Poll::Pending);
    }
    drop(source);
    assert!(watchers.iter().all(|(_, alarm)| alarm.count() == 4));
    assert!(run_relay().is_ready(), "its work is done");
}

#[test]
fn a_watcher_that_has_left_leaves_nothing_behind() {
    let source = Source::new();
    let alarm = Arc::new(Alarm::default());
    for _ in 0..10 {
        let mut watcher = watch(&source);
        publish(&source);
        assert!(poll(&mut watcher, &alarm).is_ready());
        assert!(poll(&mut watcher, &alarm).is_pending());
    }
    assert_eq!(Arc::strong_count(&alarm), 1);
    assert_eq!(source.shared.ring().blocks.len(), 0);
}

#[test]
fn numbers_have_no_gaps_while_watchers_come_and_go() {
    const PUBLISHERS: usize = 4;
    const ITEMS: u64 = 30_000;
    let source = Source::new();
    let n_publishing = AtomicUsize::new(PUBLISHERS);
    thread::scope(|scope| {
        for _ in 0..PUBLISHERS {
            scope.spawn(|| {
                for _ in 0..ITEMS {
                    publish(&source);
                }
                n_publishing.fetch_sub(1, Ordering::Release);
            });
        }
        for patience in [1, 10, 1_000] {
            let (source, n_publishing) = (&source, &n_publishing);
            scope.spawn(move || {
                while n_publishing.load(Ordering::Acquire) != 0 {
                    let mut watcher = watch(source);
                    let mut expected = watcher.next;
                    for _ in 0..patience {
                        match watcher.try_next() {
                            Ok(Some(number)) => {
                                assert_eq!(number, expected);
                                expected += 1;
                            }
                            Ok(None) => thread::yield_now(),
                            Err(WatchError::Missed(n)) => expected += n,
                            Err(WatchError::Ended) => panic!("the source is there"),
                        }
                    }
                }
            });
        }
    });
    let mut last = watch(&source);
    publish(&source);
    assert_eq!(last.try_next(), Ok(Some(PUBLISHERS as u64 * ITEMS + 1)));
}

/// Nobody sleeps on while there is something for it, whoever wakes it.
async fn each_of(n_watchers: usize) {
    const ITEMS: u64 = 20_000;
    let source = Source::new();
    let mut jobs = tokio::task::JoinSet::new();
    for n in 0..n_watchers {
        let (mut watcher, relay) = source.watch();
        if let Some(relay) = relay {
            jobs.spawn(async {
                relay.await;
                None
            });
        }
        jobs.spawn(async move {
            let (mut n_seen, mut n_missed, mut last) = (0, 0, 0);
            loop {
                match watcher.next().await {
                    Ok(number) => {
                        assert_eq!(number, last + 1);
                        last = number;
                        n_seen += 1;
                    }
                    Err(WatchError::Missed(n)) => {
                        last += n;
                        n_missed += n;
                    }
                    Err(WatchError::Ended) => return Some((n_seen, n_missed)),
                }
                // Some are slow.
                if n % 7 == 0 && n_seen % 100 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    for number in 0..ITEMS {
        publish(&source);
        if number % 500 == 0 {
            tokio::task::yield_now().await;
        }
    }
    drop(source);
    let all_done = tokio::time::timeout(Duration::from_secs(60), jobs.join_all()).await;
    let results = all_done.expect("somebody sleeps on");
    let results: Vec<(u64, u64)> = results.into_iter().flatten().collect();
    assert_eq!(results.len(), n_watchers);
    assert!(results.iter().all(|(n_seen, n_missed)| n_seen + n_missed == ITEMS));
    assert!(results.iter().any(|(n_seen, _)| *n_seen > 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_a_thousand_watchers_sees_every_item_or_is_told() {
    each_of(1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_three_watchers_sees_every_item_or_is_told() {
    each_of(3).await;
}

#[tokio::test]
async fn each_of_many_watchers_on_one_thread_sees_every_item_or_is_told() {
    each_of(100).await;
}
