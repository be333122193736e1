//! Who holds which section: the lock table, on behalf of living holders.

use std::time::Duration;

use ggml_agent_core::lease::{
    Lease, Outcome, Over, PreemptError, Rank, Request, ReserveError, Row, Stale, Token,
};

use super::{Coordinator, Gone, Holder, Kind, Lock, LockError, Step, tell};
use crate::section::SectionId;

/// How long a holder whose lock is taken has to save what it has.
pub const GRACE: Duration = Duration::from_secs(2);

/// All that is known of the lock of one section.
pub type LockRow<'a> = Row<'a, SectionId, Holder>;

impl Coordinator {
    /// Asks for the lock of sections. Holds D1, D4, D5.
    ///
    /// # Errors
    /// In the answer: [`LockError`]; nothing was locked.
    pub fn lock(
        &mut self,
        holder: &Holder,
        lock: Lock,
        now: Duration,
    ) -> Step<Result<Outcome<SectionId, Holder>, LockError>> {
        let mut outs = Vec::new();
        let answer = self.enter(holder, now, &mut outs).map_err(LockError::from).and_then(|()| {
            let request = self.request(holder, lock)?;
            let step = self.locks.request(request, now);
            tell(step.events, &mut outs);
            Ok(step.answer?)
        });
        Step { answer, outs }
    }

    /// Gives the lock of a section back. Holds D2.
    ///
    /// # Errors
    /// In the answer: [`Stale`], when the token is not the current one; nothing was freed.
    pub fn release(
        &mut self,
        holder: &Holder,
        section: SectionId,
        token: Token,
        now: Duration,
    ) -> Step<Result<(), Stale>> {
        let step = self.locks.release(&section, holder, token, now);
        Step::of(step.answer, step.events)
    }

    /// Makes a lease last `lease` from now; answers its new deadline. Holds D3.
    ///
    /// # Errors
    /// In the answer: [`Stale`], when the token is not the current one.
    pub fn renew(
        &mut self,
        holder: &Holder,
        section: SectionId,
        token: Token,
        lease: Duration,
        now: Duration,
    ) -> Step<Result<Duration, Stale>> {
        let step = self.locks.renew(&section, holder, token, lease, now);
        Step::of(step.answer, step.events)
    }

    /// Takes the request of a waiter back; answers whether there was one.
    pub fn cancel(&mut self, holder: &Holder, now: Duration) -> Step<bool> {
        let step = self.locks.cancel(holder, now);
        Step::of(step.answer, step.events)
    }

    /// Ends the leases and waits that are due; call it at [`Self::next_deadline`]. Holds D3.
    pub fn expire(&mut self, now: Duration) -> Step<()> {
        Step::of((), self.locks.expire(now))
    }

    /// When [`Self::expire`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.locks.next_deadline()
    }

    /// From now on no lease ends by time, until [`Self::resume_leases`]: the document cannot keep anything at the
    /// moment. Holds D3.
    pub fn pause_leases(&mut self, now: Duration) -> Step<()> {
        Step::of((), self.locks.pause_leases(now))
    }

    /// The time of leases goes on; each has as much left as when it stopped. Without a pause nothing changes.
    pub fn resume_leases(&mut self, now: Duration) -> Step<()> {
        Step::of((), self.locks.resume_leases(now))
    }

    /// This incarnation, and every one before it, has ended: its locks are free at once, its request
    /// and its subscription are gone, and what still arrives from it is refused. Holds D3 and M13.
    pub fn drop_holder(&mut self, holder: &Holder, now: Duration) -> Step<()> {
        let mut outs = Vec::new();
        self.fence(holder.agent(), holder.incarnation().saturating_add(1), now, &mut outs);
        tell(self.locks.expire(now), &mut outs);
        Step { answer: (), outs }
    }

    /// Takes sections from holders of a lower rank: a person from agents. Each is told, has [`GRACE`] to save
    /// what it has and release, and loses the lock then; the asker is served before all who wait. Holds D1, D4.
    ///
    /// # Errors
    /// In the answer: [`LockError`]; nothing was changed.
    pub fn preempt(
        &mut self,
        holder: &Holder,
        lock: Lock,
        now: Duration,
    ) -> Step<Result<Outcome<SectionId, Holder>, LockError>> {
        let mut outs = Vec::new();
        let answer = self.enter(holder, now, &mut outs).map_err(LockError::from).and_then(|()| {
            let request = self.request(holder, lock)?;
            let step = self.locks.preempt(request, Over::LowerRank, GRACE, now);
            tell(step.events, &mut outs);
            step.answer.map_err(|error| match error {
                PreemptError::RankTooLow { section, holder, .. } => {
                    LockError::NoPrecedence { section, holder }
                }
                PreemptError::Request(error) => error.into(),
                _ => LockError::Unsaved,
            })
        });
        Step { answer, outs }
    }

    /// Takes a lock from whoever holds it, at once: for an operator. Answers the token that is stale now; `None`
    /// if nobody held it. Holds D2.
    pub fn force_release(&mut self, section: SectionId, now: Duration) -> Step<Option<Token>> {
        let step = self.locks.force_release(&section, now);
        Step::of(step.answer, step.events)
    }

    /// Says that `holder` means to work on a section, for `lease`: it is seen by others and stops nobody. Answers
    /// until when.
    ///
    /// # Errors
    /// In the answer: [`ReserveRefused`]; nothing was changed.
    pub fn reserve(
        &mut self,
        holder: &Holder,
        section: SectionId,
        lease: Duration,
        now: Duration,
    ) -> Step<Result<Duration, ReserveRefused>> {
        let mut outs = Vec::new();
        let answer = self.enter(holder, now, &mut outs).map_err(ReserveRefused::from);
        let answer = answer.and_then(|()| {
            if self.sheet.slot(section).is_none() {
                return Err(ReserveRefused::UnknownSection { section });
            }
            let step = self.locks.reserve(&section, holder, lease, now);
            tell(step.events, &mut outs);
            Ok(step.answer?)
        });
        Step { answer, outs }
    }

    /// Takes a reservation back; answers whether there was one.
    pub fn unreserve(&mut self, holder: &Holder, section: SectionId, now: Duration) -> Step<bool> {
        let step = self.locks.unreserve(&section, holder, now);
        Step::of(step.answer, step.events)
    }

    /// Who holds `section` at `now`.
    #[must_use]
    pub fn lease(&self, section: SectionId, now: Duration) -> Option<&Lease<Holder>> {
        self.locks.lease(&section, now)
    }

    /// Every section that somebody holds, waits for or has reserved, in the order of their ids.
    pub fn lock_rows(&self) -> impl Iterator<Item = LockRow<'_>> {
        self.locks.rows()
    }

    fn request(
        &self,
        holder: &Holder,
        lock: Lock,
    ) -> Result<Request<SectionId, Holder>, LockError> {
        let unknown = lock.sections.iter().find(|section| self.sheet.slot(**section).is_none());
        if let Some(section) = unknown {
            return Err(LockError::UnknownSection { section: *section });
        }
        let Lock { sections, lease, on_busy } = lock;
        let rank = if holder.kind() == Kind::Person { Rank::Person } else { Rank::Agent };
        Ok(Request { rank, ..Request::new(holder.clone(), sections, lease, on_busy) })
    }
}

/// Why a reservation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveRefused {
    /// The caller has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// There is no such section.
    #[error("the document has no section {section}; read the list of sections again")]
    UnknownSection {
        /// Which.
        section: SectionId,
    },
    /// It lasts no time, or there are too many.
    #[error(transparent)]
    Refused(#[from] ReserveError<SectionId>),
}
