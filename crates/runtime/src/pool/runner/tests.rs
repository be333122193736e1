use std::time::Duration;

use tokio::runtime::Handle;

use super::*;
use crate::pool::Pool;

#[tokio::test]
async fn a_runner_that_rests_leaves_no_budget() {
    let (pool, mut jobs) = Pool::new(1, &Handle::current());
    let mut runner = Box::pin(jobs.remove(0));
    let left = poll_fn(|cx| {
        assert!(coop::has_budget_remaining());
        assert!(runner.as_mut().poll(cx).is_pending());
        Poll::Ready(coop::has_budget_remaining())
    });
    assert!(!left.await);
    pool.close();
    tokio::time::timeout(Duration::from_secs(5), runner).await.unwrap();
}
