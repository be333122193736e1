//! A store that fails: nothing that was acknowledged is lost, and nothing else is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ggml_agent::core::store::{
    Answer, Found, Level, MemoryStore, Read, Store, StoreError, StoreRef, Write, Written,
};
use ggml_agent::{DurableSendError, Event, EventKind, StoreDelay};

use super::{Around, Order, Process};

/// A store whose disk is full while somebody says so.
struct Full {
    inner: MemoryStore,
    is_full: Arc<AtomicBool>,
}

impl Store for Full {
    fn level(&self) -> Level {
        self.inner.level()
    }

    fn write(&self, write: Write) -> Answer<Written> {
        if self.is_full.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::NoSpace) });
        }
        self.inner.write(write)
    }

    fn read(&self, read: Read) -> Answer<Found> {
        self.inner.read(read)
    }
}

fn is_delay_of(agent: &str, event: &Event) -> bool {
    let EventKind::Custom(custom) = &event.kind else { return false };
    let delay = custom.as_any().downcast_ref::<StoreDelay>();
    delay.is_some_and(|delay| delay.agent.as_str() == agent && delay.error == StoreError::NoSpace)
}

#[tokio::test(start_paused = true)]
async fn q10_a_full_disk_holds_up_and_loses_nothing() {
    let is_full = Arc::new(AtomicBool::new(false));
    let store = StoreRef::new(Full { inner: MemoryStore::new(), is_full: is_full.clone() });
    let around = Around::default();
    let process = Process::start(&store, &["a", "b"], &around).await;
    let addr = process.book("a");
    addr.send(&Order::Note(1)).await.unwrap();
    assert_eq!(process.numbers("a").await, [1]);
    addr.send(&Order::Pass("b".parse().unwrap(), 2)).await.unwrap();
    let mut events = process.system.events();
    is_full.store(true, Ordering::SeqCst);
    let refused = addr.send(&Order::Note(3)).await;
    match &refused {
        Err(error @ DurableSendError::Refused { cause: StoreError::NoSpace, .. }) => {
            assert!(error.is_retryable());
        }
        other => panic!("{other:?}"),
    }
    tokio::time::advance(Duration::from_secs(3)).await;
    // The agent that could not commit goes on by itself, in the same incarnation.
    is_full.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(process.numbers("a").await, [1]);
    process.has("b", &[2]).await;
    assert_eq!(super::summary(&store, "a").await.epoch.0, 1);
    let mut n_delays = 0;
    while let Ok(Some(event)) = events.try_next() {
        n_delays += usize::from(is_delay_of("a", &event));
    }
    assert_eq!(n_delays, 1, "once per bad spell");
}
