//! What a framework must be able to do to be measured, and what its actors do.
//!
//! All is generic and resolved at compile time: each framework runs the code that its users would
//! write, with their own types of messages, and nothing is boxed that the framework does not box.

use std::future::Future;

use crate::line::Measured;
use crate::workload::Workload;

/// What an actor does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Go,
    Stop,
}

/// The mailboxes that a workload asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MailboxKind {
    /// What the framework has by default.
    Default,
    Bounded(usize),
    Unbounded,
}

impl MailboxKind {
    pub(crate) fn of(workload: Workload) -> Self {
        match workload {
            Workload::BoundedSlow => Self::Bounded(1024),
            Workload::SystemBehind => Self::Unbounded,
            _ => Self::Default,
        }
    }
}

/// What an actor does, whatever framework it lives in.
pub(crate) trait Role<F: Framework>: Send + Unpin + 'static {
    type Msg: Send + 'static;

    /// Runs before the first message.
    fn started(&mut self) {}

    fn handle(&mut self, msg: Self::Msg) -> impl Future<Output = Flow> + Send;

    /// The answer to a question.
    fn answer(&mut self) -> u64 {
        0
    }
}

/// A framework, as its users use it.
pub(crate) trait Framework: Clone + Send + Sync + Unpin + 'static {
    type Addr<R: Role<Self>>: Clone + Send + Sync + Unpin + 'static;

    /// Why it cannot take part in `workload`, if it cannot.
    fn not_applicable(workload: Workload) -> Option<&'static str>;

    /// Runs `main` as a task on a runtime with so many workers.
    fn run<T, M>(workers: usize, mailbox: MailboxKind, main: impl FnOnce(Self) -> M + Send) -> T
    where
        T: Send + 'static,
        M: Future<Output = T> + Send + 'static;

    /// Spawns a task beside the actors.
    fn job(&self, job: impl Future<Output = ()> + Send + 'static);

    /// Starts an actor, in the way that is usual where its start need not be awaited.
    fn spawn<R: Role<Self>>(
        &self,
        make: impl FnMut() -> R + Send + 'static,
    ) -> impl Future<Output = Self::Addr<R>> + Send;

    /// Sends one way from asynchronous code, waiting for room where mailboxes are bounded.
    fn send<R: Role<Self>>(addr: &Self::Addr<R>, msg: R::Msg) -> impl Future<Output = ()> + Send;

    /// Sends one way from a plain thread, waiting for room where mailboxes are bounded.
    fn send_outside<R: Role<Self>>(&self, addr: &Self::Addr<R>, msg: R::Msg);

    fn ask<R: Role<Self>>(addr: &Self::Addr<R>) -> impl Future<Output = u64> + Send;

    /// The workloads that need more than this; `None` for those that it does not have.
    fn special(self, workload: Workload, n: u64) -> impl Future<Output = Option<Measured>> + Send;
}

/// A framework that restarts actors, or with which users can.
pub(crate) trait Restarts: Framework {
    /// An actor that is replaced after a panic, as its tester knows it.
    type Phoenix<R: Role<Self>>: Send;

    fn phoenix<R: Role<Self>>(
        &self,
        make: impl FnMut() -> R + Send + 'static,
    ) -> impl Future<Output = Self::Phoenix<R>> + Send;

    /// Sends `poison`, which makes the actor panic, and `next`, which its successor shall handle.
    fn crash<R: Role<Self>>(
        phoenix: &mut Self::Phoenix<R>,
        poison: R::Msg,
        next: R::Msg,
    ) -> impl Future<Output = ()> + Send;
}

/// A framework with supervisors whose children come at run time.
pub(crate) trait Supervises: Framework {
    type Supervisor: Send + Sync;

    fn supervisor(&self) -> impl Future<Output = Self::Supervisor> + Send;

    /// Starts a child and awaits its start.
    fn spawn_under<R: Role<Self>>(
        &self,
        supervisor: &Self::Supervisor,
        make: impl FnMut() -> R + Send + 'static,
    ) -> impl Future<Output = Self::Addr<R>> + Send;
}

/// A framework whose actors are found by name, with its own registry or the one that users take.
pub(crate) trait Names: Framework {
    /// A name as senders keep it.
    type Name: Send + Sync + 'static;
    /// Where names are looked up.
    type Directory<R: Role<Self>>: Send + Sync + 'static;

    fn directory<R: Role<Self>>(&self) -> Self::Directory<R>;

    /// Starts an actor of this name.
    fn spawn_named<R: Role<Self>>(
        &self,
        directory: &Self::Directory<R>,
        name: &str,
        make: impl FnMut() -> R + Send + 'static,
    ) -> impl Future<Output = Self::Name> + Send;

    fn send_named<R: Role<Self>>(
        &self,
        directory: &Self::Directory<R>,
        name: &Self::Name,
        msg: R::Msg,
    ) -> impl Future<Output = ()> + Send;
}

/// A framework that can end an actor without handling what is queued.
pub(crate) trait Stops: Framework {
    /// Asks the actor to end after the current message at the latest.
    fn stop<R: Role<Self>>(addr: &Self::Addr<R>);
}
