//! The end of an incarnation: what it held is released in the order of M13, and its owner is told
//! last. Mail that nobody will handle becomes dead letters first; if there is much of it, in several
//! turns, so that whoever the end has woken does not wait for that.

use std::future::Future;

use ggml_agent_core::ExitReason;

use super::handle::CellRef;
use super::header::{Exit, Start, control};
use super::life::Ended;
use super::mailbox::Next;
use super::queue::Nothing;
use super::schedule::Turn;
use super::{Cell, drop_quietly, report_start};
use crate::agent::Agent;
use crate::context::Context;
use crate::dead_letter::{Burial, DeadLetter, Reason};
use crate::observe::EventKind;
use crate::pool::pace;
use crate::root;

/// Letters that one turn buries: some 40 µs, if all of them are kept.
const LETTERS_PER_TURN: usize = 256;

/// An end that is under way.
#[derive(Debug)]
pub(crate) struct Ending {
    exit: Exit,
    started: bool,
    is_ignored: bool,
    /// Why the mail becomes dead letters, and how much there was when the life was over: what comes
    /// later is for the next one.
    mail: Option<(Reason, usize)>,
}

impl<A, Make, F> Cell<A, Make, F>
where
    A: Agent,
    Make: FnMut(Context<A>) -> F + Send + 'static,
    F: Future<Output = Ended> + Send + 'static,
{
    /// Begins the end, and finishes it if that takes no long; true when another turn must go on.
    pub(super) fn finish(&self, this: &CellRef, ended: Ended) -> bool {
        let header = self.header();
        let incarnation = header.incarnation();
        let is_ignored = matches!(ended, Ended::Ignored);
        let (reason, started) = match ended {
            Ended::Ignored => (ExitReason::Normal, false),
            Ended::NotStarted(reason) => (reason, false),
            Ended::By(reason) => {
                let started = header.control() & control::STARTED != 0;
                match reason {
                    ExitReason::Panic(report) if !started => {
                        (ExitReason::StartFailed(report), false)
                    }
                    reason => (reason, started),
                }
            }
        };
        header.end_incarnation();
        let exit = Exit { incarnation, reason };
        let step = header.steps();
        header.unprotect_all();
        let requests =
            header.lower(control::KILL | control::SHUTDOWN | control::STOP | control::DISCARD);
        let hooks = header.with_cold(|cold| {
            cold.last_exit = Some(exit.clone());
            if step & 1 == 1 {
                cold.failed_step = Some((incarnation, step));
            }
            std::mem::take(&mut cold.exit_hooks)
        });
        header.step_ends();
        header.system.pause(this);
        for hook in hooks {
            hook(&exit);
        }
        header.wake_step_watchers();
        let reason = if requests & control::DISCARD != 0 {
            Some(Reason::Stopped)
        } else {
            // No other incarnation follows.
            header.owner.is_none().then_some(Reason::Ended)
        };
        if reason.is_some() && header.owner.is_none() {
            self.body.mailbox.close();
        }
        let mail = reason.map(|reason| (reason, self.body.mailbox.len()));
        let ending = Ending { exit, started, is_ignored, mail };
        if mail.is_some_and(|(_, len)| len > LETTERS_PER_TURN) {
            header.with_cold(|cold| cold.ending = Some(Box::new(ending)));
            header.raise(control::ENDING);
            pace::ask_for_pause();
            return true;
        }
        self.go_on(this, ending).is_some()
    }

    /// A turn of an end that takes several.
    #[cold]
    pub(super) fn turn_of_ending(&self, this: &CellRef, turn: Turn) {
        let header = self.header();
        let ending = header.if_cold(|cold| cold.ending.take()).flatten();
        let mut rest = None;
        if let Some(ending) = ending {
            header.lower(control::ENDING);
            rest = self.go_on(this, *ending);
        }
        let again = rest.is_some();
        if again {
            header.with_cold(|cold| cold.ending = rest.map(Box::new));
            header.raise(control::ENDING);
            pace::ask_for_pause();
        }
        self.end_turn(this, turn, again);
    }

    /// Buries some of the mail, or all that is left and then tells the owner; what is still to be done.
    fn go_on(&self, this: &CellRef, mut ending: Ending) -> Option<Ending> {
        if let Some((reason, left)) = &mut ending.mail {
            let n = (*left).min(LETTERS_PER_TURN);
            *left -= n;
            // Less than expected: a handler that was fenced has taken some.
            if self.bury(*reason, n) == n && *left > 0 {
                return Some(ending);
            }
        }
        let Ending { exit: Exit { incarnation, reason }, started, is_ignored, .. } = ending;
        let header = self.header();
        if is_ignored {
            // No failure and no life: only its owner needs to know (S3).
            report_start(this, incarnation, Start::Ignored);
            return None;
        }
        header.system.emit(|| EventKind::AgentExited {
            agent: header.id.clone(),
            incarnation,
            reason: reason.clone(),
            started,
        });
        match &header.owner {
            Some(owner) => owner.exited(header.key, incarnation, reason),
            None => root::exited(this),
        }
        None
    }

    /// Makes dead letters of all mail.
    pub(super) fn discard_all(&self, reason: Reason) {
        self.bury(reason, usize::MAX);
    }

    /// Makes dead letters of at most `n` messages; how many it made.
    fn bury(&self, reason: Reason, n: usize) -> usize {
        let header = self.header();
        let mut burial = Burial::new(&header.system, reason);
        let mut n_buried = 0;
        while n_buried < n {
            match self.body.mailbox.next(|| true).map(Next::take) {
                Ok(mail) => {
                    n_buried += 1;
                    let n_after = self.body.mailbox.len();
                    burial.add(n_after, || DeadLetter::of(&header.id, &mail.message, reason));
                    drop_quietly(|| drop(mail));
                }
                // A message that is still being written belongs to a sender that will see it
                // accepted; it is a matter of nanoseconds.
                Err(Nothing::Writing) => std::hint::spin_loop(),
                Err(Nothing::Empty | Nothing::Fenced) => break,
            }
        }
        header.note_dead(n_buried);
        n_buried
    }
}
