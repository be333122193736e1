//! The workloads, each written once for all frameworks.

pub(crate) mod asks;
pub(crate) mod broadcast;
pub(crate) mod names;
pub(crate) mod one_way;
pub(crate) mod restart;
pub(crate) mod roles;
pub(crate) mod skynet;
pub(crate) mod spawning;
pub(crate) mod stopping;
pub(crate) mod tokens;

use crate::framework::Framework;
use crate::line::Measured;
use crate::workload::Workload;

/// Does `workload` once; `None` when the framework has no such thing.
pub(crate) async fn measure<F: Framework>(f: F, workload: Workload, n: u64) -> Option<Measured> {
    Some(match workload {
        Workload::Tell => one_way::tell(f, n).await,
        Workload::TellExt => one_way::tell_ext(f, n).await,
        Workload::FanIn => one_way::fan_in(f, n, 0).await,
        Workload::FanOut => one_way::fan_out(f, n).await,
        Workload::BoundedSlow => one_way::fan_in(f, n, crate::cpu::STEPS_PER_US).await,
        Workload::Ask => asks::ask(f, n).await,
        Workload::AskMany => asks::ask_many(f, n).await,
        Workload::Pipeline => asks::pipeline(f, n).await,
        Workload::PingPong => tokens::ping_pong(f, n).await,
        Workload::Ring => tokens::ring(f, n).await,
        Workload::Broadcast => broadcast::broadcast(f, n).await,
        Workload::Spawn => spawning::spawn(f, n).await,
        Workload::ManyIdle => spawning::many_idle(f, n).await,
        Workload::Skynet => skynet::skynet(f, n).await,
        Workload::NamedSend
        | Workload::SpawnSupervised
        | Workload::IdleSupervised
        | Workload::Restart
        | Workload::Envelope
        | Workload::SystemBehind => return f.special(workload, n).await,
    })
}
