//! Locks, as the agent of a document gives and takes them.

use std::time::Duration;

use ggml_agent::{Context, Envelope, Reply};
use ggml_agent_core::lease::{Grant, Outcome, Stale, Token};

use super::client::{Client, LockDenied};
use super::effect::Effect;
use super::event::{self, DocEventKind};
use super::{DocMsg, DocumentAgent};
use crate::coordinator::{Holder, Lock, LockError, ReserveRefused};
use crate::section::SectionId;

/// How long before its end the lease of a busy holder is renewed.
const RENEW_AHEAD: Duration = Duration::from_millis(100);

/// See the calls of [`DocumentRef`](super::DocumentRef).
#[derive(Debug)]
pub enum LockMsg {
    #[doc(hidden)]
    Lock { client: Client, lock: Lock, reply: Reply<Result<Vec<Grant<SectionId>>, LockDenied>> },
    #[doc(hidden)]
    Preempt {
        client: Client,
        lock: Lock,
        reply: Reply<Result<Option<Vec<Grant<SectionId>>>, LockError>>,
    },
    #[doc(hidden)]
    ForceRelease { by: Holder, section: SectionId, reply: Reply<Option<Token>> },
    #[doc(hidden)]
    Reserve {
        client: Client,
        section: SectionId,
        lease: Duration,
        reply: Reply<Result<Duration, ReserveRefused>>,
    },
    #[doc(hidden)]
    Release { client: Client, section: SectionId, token: Token, reply: Reply<Result<(), Stale>> },
    #[doc(hidden)]
    Renew {
        client: Client,
        section: SectionId,
        token: Token,
        lease: Duration,
        reply: Reply<Result<Duration, Stale>>,
    },
}

impl From<LockMsg> for DocMsg {
    fn from(message: LockMsg) -> Self {
        Self::Lock(message)
    }
}

impl LockMsg {
    /// Answers at once what nothing can be decided about now; a renewal gets no answer. Giving back always works.
    pub(super) fn turn_away(self) -> Option<Self> {
        match self {
            Self::Preempt { reply, .. } => reply.send(Err(LockError::Unsaved)),
            Self::Lock { reply, .. } => reply.send(Err(LockDenied::Refused(LockError::Unsaved))),
            Self::Renew { .. } => {}
            other => return Some(other),
        }
        None
    }
}

/// Who waits for its turn, and how it is told.
pub(super) enum Waiting {
    Reply(Reply<Result<Vec<Grant<SectionId>>, LockDenied>>),
    Envelope(Envelope),
}

impl DocumentAgent {
    pub(super) fn obey_lock(&mut self, message: LockMsg, ctx: &mut Context<Self>) {
        match message {
            LockMsg::Lock { client, lock, reply } => {
                self.meet(&client, ctx);
                self.lock(&client.holder, lock, Waiting::Reply(reply), ctx);
            }
            LockMsg::Preempt { client, lock, reply } => {
                self.meet(&client, ctx);
                let step = self.coordinator.preempt(&client.holder, lock, Self::now(ctx));
                self.carry_out(step.outs);
                let answer = step.answer.map(|outcome| match outcome {
                    Outcome::Granted(grants) => Some(grants),
                    Outcome::Queued { .. } | Outcome::Denied { .. } => None,
                });
                for grant in answer.iter().flatten().flatten() {
                    self.publish(&client.holder, DocEventKind::granted(grant));
                }
                self.hold(Effect::answer(reply, answer));
            }
            LockMsg::ForceRelease { by, section, reply } => {
                let step = self.coordinator.force_release(section, Self::now(ctx));
                self.carry_out(step.outs);
                if let Some(token) = step.answer {
                    self.publish(&by, DocEventKind::Forced { section, token });
                }
                self.hold(Effect::answer(reply, step.answer));
            }
            LockMsg::Reserve { client, section, lease, reply } => {
                self.meet(&client, ctx);
                let now = Self::now(ctx);
                let step = self.coordinator.reserve(&client.holder, section, lease, now);
                self.carry_out(step.outs);
                self.hold(Effect::answer(reply, step.answer));
            }
            LockMsg::Release { client, section, token, reply } => {
                let answer = self.release(&client.holder, section, token, ctx);
                self.hold(Effect::Release(reply, answer));
            }
            LockMsg::Renew { client, section, token, lease, reply } => {
                let now = Self::now(ctx);
                let step = self.coordinator.renew(&client.holder, section, token, lease, now);
                self.carry_out(step.outs);
                self.hold(Effect::Renew(reply, step.answer));
            }
        }
    }

    pub(super) fn lock(
        &mut self,
        holder: &Holder,
        lock: Lock,
        answer: Waiting,
        ctx: &Context<Self>,
    ) {
        let sections: Vec<SectionId> = lock.sections.iter().copied().collect();
        let step = self.coordinator.lock(holder, lock, Self::now(ctx));
        self.carry_out(step.outs);
        let result = match step.answer {
            Ok(Outcome::Granted(grants)) => Ok(grants),
            Ok(Outcome::Queued { position }) => {
                for section in sections {
                    self.publish(holder, DocEventKind::Queued { section, position });
                }
                self.waiting.insert(holder.clone(), answer);
                return;
            }
            Ok(Outcome::Denied { section, busy }) => {
                let (by, until) = event::parts(&busy);
                self.publish(holder, DocEventKind::Denied { section, by: by.clone(), until });
                Err(LockDenied::Busy { section, holder: by, until })
            }
            Err(error) => Err(LockDenied::Refused(error)),
        };
        self.hold(Effect::Lock { holder: holder.clone(), answer, result });
    }

    pub(super) fn release(
        &mut self,
        holder: &Holder,
        section: SectionId,
        token: Token,
        ctx: &Context<Self>,
    ) -> Result<(), Stale> {
        let step = self.coordinator.release(holder, section, token, Self::now(ctx));
        self.carry_out(step.outs);
        step.answer
    }

    /// Sets the timer to the next lease or wait that ends, or a little before.
    pub(super) fn arm(&mut self, ctx: &mut Context<Self>) {
        let now = Self::now(ctx);
        let ahead = |end: Duration| end.saturating_sub(RENEW_AHEAD);
        let next = self.coordinator.next_deadline();
        let next = next.map(|end| if now < ahead(end) { ahead(end) } else { end });
        if self.due.as_ref().map(|(at, _)| *at) == next {
            return;
        }
        if let Some((_, timer)) = self.due.take() {
            timer.cancel();
        }
        if let Some(at) = next {
            let timer = ctx.send_after(at.saturating_sub(now), DocMsg::Due);
            self.due = Some((at, timer));
        }
    }

    /// Renews the leases that are about to end of holders that are at work: whose handler waits for a slow answer
    /// cannot do it itself (D3).
    fn renew_for_the_busy(&mut self, now: Duration) {
        let soon = now.saturating_add(RENEW_AHEAD);
        let ending =
            self.coordinator.lock_rows().filter_map(|row| Some((*row.section, row.lease?)));
        let ending: Vec<_> = ending
            .filter(|(_, lease)| now < lease.deadline && lease.deadline <= soon)
            .filter(|(_, lease)| self.book.is_busy(&lease.holder))
            .map(|(section, lease)| (section, lease.holder.clone(), lease.token, lease.length))
            .collect();
        for (section, holder, token, length) in ending {
            let step = self.coordinator.renew(&holder, section, token, length, now);
            self.carry_out(step.outs);
        }
    }

    /// Ends the leases and waits that are due, but not those of holders at work.
    pub(super) fn end_what_is_due(&mut self, ctx: &Context<Self>) {
        self.due = None;
        let now = Self::now(ctx);
        self.renew_for_the_busy(now);
        let step = self.coordinator.expire(now);
        self.carry_out(step.outs);
    }
}
