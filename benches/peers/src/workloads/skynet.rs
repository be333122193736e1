//! A tree of actors that sums up what its leaves send, after github.com/atemerev/skynet. An actor
//! ends once it has sent its sum.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::roles::Countdown;
use crate::cpu::Stopwatch;
use crate::framework::{Flow, Framework, Role};
use crate::line::Measured;

const N_CHILDREN: u64 = 10;

struct Node<F: Framework> {
    f: F,
    parent: Option<Parent<F>>,
    n_missing: u64,
    sum: u64,
}

enum Parent<F: Framework> {
    Node(F::Addr<Node<F>>),
    Root(Arc<Root>),
}

struct Root {
    sum: AtomicU64,
    done: Arc<Countdown>,
}

enum Msg<F: Framework> {
    /// Boxed, so that the message stays small whatever an address is.
    Start(Box<Start<F>>),
    Sum(u64),
}

struct Start<F: Framework> {
    me: F::Addr<Node<F>>,
    parent: Parent<F>,
    first: u64,
    n_leaves: u64,
}

impl<F: Framework> Node<F> {
    async fn start(&mut self, start: Start<F>) -> Flow {
        let Start { me, parent, first, n_leaves } = start;
        self.parent = Some(parent);
        if n_leaves == 1 {
            return self.report(first).await;
        }
        self.n_missing = N_CHILDREN;
        let n_leaves = n_leaves / N_CHILDREN;
        for i in 0..N_CHILDREN {
            let first = first + i * n_leaves;
            plant(&self.f, Parent::Node(me.clone()), first, n_leaves).await;
        }
        Flow::Go
    }

    async fn report(&mut self, sum: u64) -> Flow {
        match self.parent.take() {
            Some(Parent::Node(parent)) => F::send(&parent, Msg::Sum(sum)).await,
            Some(Parent::Root(root)) => {
                root.sum.store(sum, Ordering::Release);
                root.done.count();
            }
            None => unreachable!("an actor reports once"),
        }
        Flow::Stop
    }
}

impl<F: Framework> Role<F> for Node<F> {
    type Msg = Msg<F>;

    async fn handle(&mut self, msg: Msg<F>) -> Flow {
        match msg {
            Msg::Start(start) => self.start(*start).await,
            Msg::Sum(sum) => {
                self.sum += sum;
                self.n_missing -= 1;
                if self.n_missing == 0 { self.report(self.sum).await } else { Flow::Go }
            }
        }
    }
}

async fn plant<F: Framework>(f: &F, parent: Parent<F>, first: u64, n_leaves: u64) {
    let own = f.clone();
    let make = move || Node { f: own.clone(), parent: None, n_missing: 0, sum: 0 };
    let addr = f.spawn(make).await;
    let start = Start { me: addr.clone(), parent, first, n_leaves };
    F::send(&addr, Msg::Start(Box::new(start))).await;
}

pub(super) async fn skynet<F: Framework>(f: F, n: u64) -> Measured {
    // The largest full tree with at most `n` leaves.
    let n_leaves = N_CHILDREN.pow(n.max(N_CHILDREN).ilog10());
    let done = Countdown::new(1);
    let root = Arc::new(Root { sum: AtomicU64::new(0), done: done.clone() });
    let watch = Stopwatch::start();
    plant(&f, Parent::Root(root.clone()), 0, n_leaves).await;
    done.over().await;
    let measured = watch.stop(n_leaves);
    let sum = root.sum.load(Ordering::Acquire);
    assert_eq!(sum, n_leaves * (n_leaves - 1) / 2, "each leaf is summed up once");
    measured
}
