//! A binary of its own, because counting allocations replaces the allocator of the whole program.

use std::time::Duration;

use ggml_agent_core::AgentId;
use ggml_agent_core::supervise::{
    CallId, ChildSpec, Children, Command, Event, Machine, Request, SupervisorSpec,
};

const DYNAMIC: SupervisorSpec =
    SupervisorSpec { children: Children::Dynamic, ..SupervisorSpec::DEFAULT };

fn start(machine: &mut Machine, n: u64, id: AgentId, out: &mut Vec<Command>) {
    let request = Request::Start(ChildSpec::worker(id));
    machine.handle(Event::Call { call: CallId(n), request }, Duration::ZERO, out);
    let started = out.drain(..).find_map(|command| match command {
        Command::StartChild { key, incarnation } => Some(Event::ChildStarted { key, incarnation }),
        _ => None,
    });
    machine.handle(started.expect("it was started"), Duration::ZERO, out);
    out.clear();
}

fn ids(n: u64) -> Vec<AgentId> {
    (0..n).map(|n| format!("agent-{n}").parse().expect("a short name is an id")).collect()
}

#[test]
fn s31_100_000_children_take_less_than_105_bytes_each_beside_their_ids() {
    const N: u64 = 100_000;
    let ids = ids(N);
    let mut out = Vec::with_capacity(16);
    let mut machine = Machine::new(DYNAMIC, Vec::new(), 1).unwrap();
    machine.handle(Event::Start, Duration::ZERO, &mut out);
    out.clear();
    let counted = allocation_counter::measure(|| {
        for (n, id) in (0..).zip(&ids) {
            start(&mut machine, n, id.clone(), &mut out);
        }
    });
    // A child is 64 bytes and a bucket of the index 8; there is room for an eighth more children, and
    // for 5 in 3 buckets more.
    let each = counted.bytes_current / i64::try_from(N).unwrap();
    assert!(each < 105, "{each} bytes each");
    assert!(counted.count_total < 100, "{} allocations", counted.count_total);
}

#[test]
fn s07_10_000_temporary_children_leave_no_memory_behind() {
    let ids = ids(10_000);
    let mut out = Vec::with_capacity(16);
    let mut machine = Machine::new(SupervisorSpec::DEFAULT, Vec::new(), 1).unwrap();
    machine.handle(Event::Start, Duration::ZERO, &mut out);
    start(&mut machine, 0, "stays".parse().unwrap(), &mut out);
    let counted = allocation_counter::measure(|| {
        for (n, id) in (1..).zip(&ids) {
            let request = Request::Start(ChildSpec::worker(id.clone()).temporary());
            machine.handle(Event::Call { call: CallId(n), request }, Duration::ZERO, &mut out);
            out.clear();
            let child = machine.by_id(id.as_str()).unwrap();
            let (key, incarnation, reason) =
                (child.key, child.incarnation, ggml_agent_core::ExitReason::Killed);
            machine.handle(
                Event::ChildExited { key, incarnation, reason },
                Duration::ZERO,
                &mut out,
            );
            out.clear();
        }
    });
    assert_eq!(machine.counts().specs, 1);
    assert!(counted.bytes_current < 1_000, "{} bytes", counted.bytes_current);
    assert!(counted.bytes_max < 2_000, "{} bytes", counted.bytes_max);
}
