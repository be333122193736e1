//! The workloads: what is measured, how often by default, and on how many workers.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Workload {
    /// One spawned task sends to one actor.
    Tell,
    /// A plain thread outside of the runtime sends to one actor.
    TellExt,
    /// 8 spawned tasks send to one actor.
    FanIn,
    /// One task asks one actor, one question after another.
    Ask,
    /// 64 tasks ask one actor, each one question after another.
    AskMany,
    /// One task has 50 questions to one actor in flight.
    Pipeline,
    /// Two actors send a counter to and fro.
    PingPong,
    /// A token goes round 1,000 actors.
    Ring,
    /// One task sends a shared payload to each of 1,000 actors and waits for all.
    Broadcast,
    /// One task sends to 64 actors in turn, whose handlers work for some 2 us.
    FanOut,
    /// 8 tasks send to one actor with a mailbox of 1,024, whose handler works for some 1 us.
    BoundedSlow,
    /// One task sends to one of 1,000 actors by its name.
    NamedSend,
    /// One task starts actors one after another.
    Spawn,
    /// One task starts actors under a supervisor one after another, and awaits each start.
    SpawnSupervised,
    /// Many actors are alive, and each gets one message.
    ManyIdle,
    /// Many supervised actors with heartbeats are alive and do nothing.
    IdleSupervised,
    /// A tree of actors, ten children each, sums up what its leaves send.
    Skynet,
    /// An actor panics; its successor handles the next message.
    Restart,
    /// An envelope is routed by the id of its receiver.
    Envelope,
    /// An actor is told to end while its mailbox is full of messages.
    SystemBehind,
}

impl Workload {
    /// How many operations are measured by default.
    ///
    /// Chosen so that the frameworks take 0.1 to 1 s on two cores; the same for all of them, since
    /// an unbounded mailbox that grows longer costs more per message.
    pub(crate) fn n(self) -> u64 {
        match self {
            Self::Tell | Self::TellExt => 3_000_000,
            Self::FanIn | Self::Envelope => 2_000_000,
            Self::PingPong | Self::Ring | Self::Broadcast => 1_500_000,
            Self::AskMany
            | Self::Pipeline
            | Self::NamedSend
            | Self::ManyIdle
            | Self::IdleSupervised
            | Self::SystemBehind => 1_000_000,
            Self::Ask => 600_000,
            Self::BoundedSlow => 300_000,
            Self::FanOut => 150_000,
            Self::Spawn | Self::SpawnSupervised | Self::Skynet => 100_000,
            Self::Restart => 20_000,
        }
    }

    /// How many in a quick run: it shows that all works and roughly what comes out.
    pub(crate) fn n_quick(self) -> u64 {
        match self {
            Self::ManyIdle | Self::IdleSupervised => self.n() / 10,
            // The size of the tree is part of what is measured.
            Self::Skynet => self.n(),
            _ => self.n() / 4,
        }
    }

    /// The numbers of tokio workers that it is measured with.
    pub(crate) fn workers(self) -> &'static [usize] {
        match self {
            Self::FanOut | Self::Skynet => &[2, 1, 8],
            _ => &[2],
        }
    }

    /// What one operation is.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Tell | Self::TellExt | Self::FanIn | Self::FanOut | Self::BoundedSlow => {
                "message handled"
            }
            Self::Ask | Self::AskMany | Self::Pipeline => "answer",
            Self::PingPong | Self::Ring => "hop",
            Self::Broadcast => "delivery",
            Self::NamedSend => "message by name handled",
            Self::Spawn | Self::SpawnSupervised => "actor started",
            Self::ManyIdle => "actor started, and its message handled",
            Self::IdleSupervised => "child started",
            Self::Skynet => "leaf",
            Self::Restart => "panic, until the next message was handled",
            Self::Envelope => "envelope handled",
            Self::SystemBehind => "request, until the actor has ended",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("invariant: no workload is hidden");
        f.write_str(value.get_name())
    }
}
