//! What happens to a lock after it was granted, and what counts as time for it.

use super::*;
use crate::lease::{Kept, RESERVATIONS_MAX, ReserveError};

impl Reference {
    fn may(&self, section: u8, holder: u8, token: Token, now: Duration) -> Result<(), Stale> {
        let Some(l) = self.on(section) else { return Err(Stale::NotHeld { token }) };
        let current = l.lease.token;
        match token.cmp(&current) {
            Ordering::Less => Err(Stale::Superseded { token, current }),
            Ordering::Greater => Err(Stale::NeverGiven { token, current }),
            Ordering::Equal if self.end(l) <= self.clock(now) => unreachable!("it was swept"),
            Ordering::Equal if l.lease.holder != holder => Err(Stale::NotYours { token }),
            Ordering::Equal => Ok(()),
        }
    }

    pub(crate) fn renew(
        &mut self,
        (section, holder, token): (u8, u8, Token),
        lease: Duration,
        now: Duration,
    ) -> Result<Duration, Stale> {
        self.may(section, holder, token, now)?;
        let again = Request::new(holder, [section].into(), lease, OnBusy::Deny);
        Ok(self.take(&again, now)[0].deadline)
    }

    pub(crate) fn release(
        &mut self,
        (section, holder, token): (u8, u8, Token),
        op: Option<Op>,
        now: Duration,
        out: &mut Vec<Ev>,
    ) -> Result<(), Stale> {
        let own = |l: &&Lock| l.lease.holder == holder;
        let mut known = self.on(section).filter(own).map_or(vec![], |l| l.ops.clone());
        known.extend(self.past.iter().filter(|p| (p.0, p.1) == (section, holder)).map(|p| p.2));
        if op.is_some_and(|op| known.contains(&op)) {
            return Ok(());
        }
        self.may(section, holder, token, now)?;
        let l = self.locks.iter_mut().find(|l| l.s == section).unwrap();
        l.ops.extend(op);
        l.ops.drain(..l.ops.len().saturating_sub(OPS_MAX));
        l.lease.depth -= 1;
        if l.lease.depth == 0 {
            self.remove(section);
            out.push(Event::Released { section, holder, token });
        }
        Ok(())
    }

    pub(crate) fn force(&mut self, section: u8, out: &mut Vec<Ev>) -> Option<Token> {
        self.on(section)?;
        let Lease { holder, token, .. } = self.remove(section);
        out.push(Event::Revoked { section, holder, token });
        Some(token)
    }

    pub(crate) fn withdraw(&mut self, holder: u8, out: &mut Vec<Ev>) -> bool {
        let own = self.waits.extract_if(.., |w| w.0.holder == holder);
        let left = own.map(|w| Event::Withdrawn { holder, sections: w.0.sections });
        let before = out.len();
        out.extend(left);
        out.len() > before
    }

    pub(crate) fn lose(&mut self, holder: u8, out: &mut Vec<Ev>) {
        let own = self.locks.iter().filter(|l| l.lease.holder == holder).map(|l| l.s);
        for section in own.collect::<Vec<_>>() {
            let token = self.remove(section).token;
            out.push(Event::Lost { section, holder, token });
        }
        self.end_intents(|_, who, _| who == holder, out);
        self.protected.retain(|who| *who != holder);
    }

    pub(crate) fn resume(&mut self, now: Duration) {
        let pause = now - self.clock(now);
        for l in &mut self.locks {
            l.told += pause;
            l.lease.hold_end += pause;
            l.lease.revoked_at = l.lease.revoked_at.map(|at| at + pause);
        }
        self.intents.iter_mut().for_each(|intent| intent.2 += pause);
        self.paused = None;
    }

    pub(crate) fn unprotect(&mut self, holder: u8, now: Duration) {
        let clock = self.clock(now);
        if self.protected.contains(&holder) {
            for l in self.locks.iter_mut().filter(|l| l.lease.holder == holder) {
                l.told = l.told.max(clock + l.lease.length).min(l.lease.hold_end);
            }
        }
        self.protected.retain(|who| *who != holder);
    }

    pub(crate) fn reserve(
        &mut self,
        section: u8,
        holder: u8,
        lease: Duration,
        now: Duration,
    ) -> Result<Duration, ReserveError<u8>> {
        let clock = self.clock(now);
        let len = self.intents.iter().filter(|i| i.0 == section).count();
        let mut end = clock + lease.min(self.limits.hold_max);
        let old = self.intents.iter().position(|i| (i.0, i.1) == (section, holder));
        match old.map(|at| self.intents.remove(at)) {
            Some(old) => end = end.max(old.2),
            None if len >= RESERVATIONS_MAX => {
                return Err(ReserveError::TooMany { section, len });
            }
            None => {}
        }
        self.intents.push((section, holder, end, end - clock));
        Ok(end + (now - clock))
    }

    pub(crate) fn kept(&self) -> Vec<Kept<u8, u8>> {
        let kept = |l: &Lock| Kept {
            depth: l.lease.depth,
            rank: l.lease.rank,
            hold_max: l.hold_max,
            ops: l.ops.clone(),
            ..Kept::new(l.s, l.lease.holder, l.lease.token, l.lease.length)
        };
        self.locks.iter().map(kept).collect()
    }

    /// The next life: only locks and intents are left, each with its full length to live.
    pub(crate) fn restart(&mut self, now: Duration) {
        (self.waits, self.past, self.protected, self.paused) = Default::default();
        for l in &mut self.locks {
            l.told = now + l.lease.length;
            let hold = l.hold_max.unwrap_or(Duration::MAX).min(self.limits.hold_max);
            l.lease.hold_end = (now + hold).max(l.told);
            (l.lease.since, l.lease.revoked_at) = (now, None);
        }
        self.intents.iter_mut().for_each(|intent| intent.2 = now + intent.3);
    }
}
