//! What a supervisor orders, in the words that machine and model share.

use std::time::Duration;

use ggml_agent_core::ExitReason;
use ggml_agent_core::supervise::{Answer, CallError, CallId, ChildState, Command, Counts, TimerId};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    Added(CallId, u64),
    Start(u64, u64),
    Stop(u64, u64),
    Kill(u64, u64),
    Forget(u64),
    Arm(Timer, Duration),
    Answer(CallId, Reply),
    Ready,
    StartFailed(String),
    Exit(ExitReason),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Timer {
    Kill(u64, u64),
    Backoff(u64, u64),
    Deadline,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    Started(u64, u64),
    Ignored(u64),
    Stopped,
    Deleted,
    List(Vec<(u64, ChildState, u64)>),
    Count(Counts),
    Refused(CallError),
    Other,
}

/// The order in a command; `None` for what the model has no opinion about.
pub(super) fn order(command: &Command) -> Option<Order> {
    Some(match command {
        Command::ChildAdded { call, key } => Order::Added(*call, key.get()),
        Command::StartChild { key, incarnation } => Order::Start(key.get(), *incarnation),
        Command::StopChild { key, incarnation, .. } => Order::Stop(key.get(), *incarnation),
        Command::KillChild { key, incarnation } => Order::Kill(key.get(), *incarnation),
        Command::ForgetChild { key } => Order::Forget(key.get()),
        Command::ArmTimer { timer, after } => Order::Arm(
            match timer {
                TimerId::Kill(key, incarnation) => Timer::Kill(key.get(), *incarnation),
                TimerId::Backoff(key, incarnation) => Timer::Backoff(key.get(), *incarnation),
                TimerId::Deadline => Timer::Deadline,
                TimerId::Health => return None,
            },
            *after,
        ),
        Command::Answer { call, answer } => Order::Answer(*call, reply(answer)),
        Command::Ready => Order::Ready,
        Command::StartFailed { child, .. } => Order::StartFailed(child.to_string()),
        Command::Exit { reason } => Order::Exit(reason.clone()),
        _ => return None,
    })
}

fn reply(answer: &Result<Answer, CallError>) -> Reply {
    match answer {
        Ok(Answer::Started { key, incarnation }) => Reply::Started(key.get(), *incarnation),
        Ok(Answer::Ignored { key }) => Reply::Ignored(key.get()),
        Ok(Answer::Stopped) => Reply::Stopped,
        Ok(Answer::Deleted) => Reply::Deleted,
        Ok(Answer::List(all)) => {
            Reply::List(all.iter().map(|c| (c.key.get(), c.state, c.incarnation)).collect())
        }
        Ok(Answer::Count(counts)) => Reply::Count(*counts),
        Ok(_) => Reply::Other,
        Err(error) => Reply::Refused(error.clone()),
    }
}
