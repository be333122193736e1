//! What leaves an agent: messages, effects outside, timers.

use std::time::Duration;

use ggml_agent::AgentId;

use super::{Around, Order, Process, memory, summary};

fn id(name: &str) -> AgentId {
    name.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn q07_a_message_of_a_handler_that_failed_is_sent_once_when_it_succeeds() {
    let (store, around) = (memory(), Around::default());
    let process = Process::start(&store, &["a", "b"], &around).await;
    for number in 1..=20 {
        let order = match number % 2 {
            0 => Order::Pass(id("b"), number),
            _ => Order::PassLater(id("b"), number),
        };
        process.book("a").send(&order).await.unwrap();
    }
    assert!(process.numbers("a").await.is_empty());
    process.has("b", &(1..=20).collect::<Vec<_>>()).await;
}

#[tokio::test(start_paused = true)]
async fn q07_what_was_committed_and_not_sent_is_sent_by_the_next_incarnation() {
    let (store, around) = (memory(), Around::default());
    // Nobody has the mailbox of `b` when it is sent to: a process without it ends with it unsent.
    let process = Process::start(&store, &["a", "b"], &around).await;
    process.tree.stop_child(&id("b")).await.unwrap();
    process.book("a").send(&Order::Pass(id("b"), 1)).await.unwrap();
    assert!(process.numbers("a").await.is_empty());
    process.kill().await;
    let process = Process::start(&store, &["a", "b"], &around).await;
    process.has("b", &[1]).await;
}

#[tokio::test(start_paused = true)]
async fn q08_an_effect_outside_happens_once_whatever_happens_to_the_handler() {
    let (store, around) = (memory(), Around::default());
    let process = Process::start(&store, &["a"], &around).await;
    process.book("a").send(&Order::Charge(21)).await.unwrap();
    process.book("a").send(&Order::Charge(22)).await.unwrap();
    assert_eq!(process.numbers("a").await, [42, 44]);
    let effects = around.effects.lock().unwrap().clone();
    assert_eq!(effects.values().copied().collect::<Vec<_>>(), [1, 1], "{effects:?}");
    drop(effects);
    // Their results are for the case that it runs again, which it does not any more.
    assert_eq!(summary(&store, "a").await.once, 0);
}

#[tokio::test(start_paused = true)]
async fn q09_a_timer_fires_once_across_a_restart_and_at_once_if_it_is_late() {
    let (store, around) = (memory(), Around::default());
    let process = Process::start(&store, &["a"], &around).await;
    let addr = process.book("a");
    let remind = |key: &str, delay_ms, number| Order::Remind(key.into(), delay_ms, number);
    for order in [
        remind("soon", 1_000, 1),
        remind("never", 2_000, 2),
        remind("late", 60_000, 3),
        remind("later", 100_000, 0),
        remind("later", 120_000, 4),
        Order::Forget("never".into()),
    ] {
        addr.send(&order).await.unwrap();
    }
    assert!(process.numbers("a").await.is_empty());
    tokio::time::advance(Duration::from_millis(1_500)).await;
    process.has("a", &[1]).await;
    process.kill().await;
    tokio::time::advance(Duration::from_secs(70)).await;
    let process = Process::start(&store, &["a"], &around).await;
    process.has("a", &[1, 3]).await;
    assert_eq!(summary(&store, "a").await.timers, 1);
    tokio::time::advance(Duration::from_secs(60)).await;
    process.has("a", &[1, 3, 4]).await;
    assert_eq!(summary(&store, "a").await.timers, 0);
}
