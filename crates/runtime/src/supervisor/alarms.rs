//! The timers of a supervisor, on one job: a million children that stop one after the other arm and
//! cancel a million timers, and hardly any of them is ever due.

use std::collections::BTreeMap;
use std::time::Duration;

use ggml_agent_core::supervise::TimerId;
use tokio::time::Instant;

use super::driver::{Msg, SupervisorAgent};
use crate::cell::mailbox::Lane;
use crate::context::{Context, Timer};

/// When a timer is due; those of one moment in the order in which they were armed.
type Due = (Instant, u64);

/// See the module.
#[derive(Default)]
pub(super) struct Alarms {
    due: BTreeMap<Due, TimerId>,
    armed: BTreeMap<TimerId, Due>,
    n_armed: u64,
    /// The job that sends [`Msg::Wake`], and when: never later than the first timer is due, and
    /// earlier where that one was cancelled.
    wake: Option<(Instant, Timer)>,
}

impl Alarms {
    pub(super) fn arm(
        &mut self,
        timer: TimerId,
        after: Duration,
        ctx: &mut Context<SupervisorAgent>,
    ) {
        self.cancel(timer);
        self.n_armed += 1;
        // A time that cannot be told never comes.
        let Some(at) = Instant::now().checked_add(after) else { return };
        self.due.insert((at, self.n_armed), timer);
        self.armed.insert(timer, (at, self.n_armed));
        self.wake_in_time(ctx);
    }

    pub(super) fn cancel(&mut self, timer: TimerId) {
        if let Some(due) = self.armed.remove(&timer) {
            self.due.remove(&due);
        }
    }

    /// The timers that are due; the job has ended.
    pub(super) fn ring(&mut self, ctx: &mut Context<SupervisorAgent>) -> Vec<TimerId> {
        self.wake = None;
        let later = self.due.split_off(&(Instant::now(), u64::MAX));
        let due: Vec<_> = std::mem::replace(&mut self.due, later).into_values().collect();
        for timer in &due {
            self.armed.remove(timer);
        }
        self.wake_in_time(ctx);
        due
    }

    /// Sees to it that the job ends no later than the first timer is due.
    fn wake_in_time(&mut self, ctx: &mut Context<SupervisorAgent>) {
        let Some(((at, _), _)) = self.due.first_key_value() else { return };
        if let Some((wakes_at, job)) = &self.wake {
            if wakes_at <= at {
                return;
            }
            job.cancel();
        }
        let after = at.saturating_duration_since(Instant::now());
        self.wake = Some((*at, ctx.send_on_lane_after(Lane::Priority, after, Msg::Wake)));
    }
}
