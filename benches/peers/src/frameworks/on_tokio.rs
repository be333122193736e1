//! The runtime of all frameworks that run on tokio.

use std::future::Future;

/// Runs the future of `main` as a task on a runtime with so many workers.
pub(super) fn run<T, M>(workers: usize, main: impl FnOnce() -> M) -> T
where
    T: Send + 'static,
    M: Future<Output = T> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .expect("a runtime needs threads");
    let output = {
        let _entered = runtime.enter();
        let main = main();
        runtime.block_on(async { tokio::spawn(main).await.expect("the measurement panicked") })
    };
    runtime.shutdown_background();
    output
}
