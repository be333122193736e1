//! When the file is read, when it is written, and when it is left alone: a pure state machine. What happens to
//! the file and to the document goes in, with the time; what is to be done comes out. Holds D23 and D24.

use std::time::Duration;

/// So often must an outside change look the same before it is read: it may be half written.
const ALIKE_MIN: u32 = 1;

/// The same for a file that has become empty: an editor that cuts it off first and writes then is as slow as
/// its disk.
// 4 x 500 ms.
const ALIKE_EMPTY_MIN: u32 = 4;

/// A file that never comes to rest is read as it is.
// 20 x 500 ms.
const RESTLESS_POLLS: u32 = 20;

/// So often must a file be missing before it is written again: an editor that saves by renaming takes it away
/// for a moment.
const MISSING_POLLS: u32 = 2;

/// So many polls after the file was written or read its content is compared once more: a change within one tick
/// of the file system's clock does not show in what is known without reading.
// The second poll is at least one period later, and a tick is 10 ms at most on a disk.
const UNSURE_POLLS: u32 = 2;

/// So long after a failed write the next one is tried.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) len: u64,
    /// Nanoseconds since 1970: when it was written, and when anything about it was changed.
    pub(super) modified: i128,
    pub(super) changed: i128,
    /// Which file of the file system it is.
    pub(super) inode: u64,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event<W> {
    /// The document has a new version.
    Changed,
    /// The time that [`Command::Wait`] named has come.
    Due,
    /// The file was looked at: `None` if there is none.
    Polled(Option<Fingerprint>),
    /// The file was read, and is what it was.
    Same(Fingerprint),
    /// The file was read, and is in the document; with what the document did not take, if `has_conflicts`.
    Taken { is: Fingerprint, has_conflicts: bool },
    /// The file cannot be read, or be a document. Without a fingerprint nothing else is known of it.
    Refused { is: Option<Fingerprint>, why: W },
    /// The document cannot take anything now.
    NotNow,
    /// The file changed while it was read, or is gone.
    Elusive,
    /// What the document did not take is saved.
    Saved,
    /// It could not be saved.
    NotSaved(W),
    /// The file is what the document is: written, unless it was so before.
    Written { is: Option<Fingerprint> },
    /// The file is not what it was when it was seen last, and was not written.
    Outside,
    /// The file could not be written.
    NotWritten(W),
    /// It is the last chance to write.
    Stop,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command<W> {
    /// Come back with [`Event::Due`] at this time, and not at the one named before.
    Wait(Duration),
    /// Read the file, and let the document have it if it is another. Answered by `Same`, `Taken`, `Refused`,
    /// `NotNow` or `Elusive`.
    Read,
    /// Save what the document did not take. Answered by `Saved` or `NotSaved`.
    Save,
    /// Write the document, if the file is what it was or, where that is said, does not exist. Answered by
    /// `Written`, `Outside` or `NotWritten`.
    Write { may_create: bool },
    /// Tell that the file is gone.
    TellMissing,
    /// Tell that the file is left alone, and why.
    TellRefused(W),
    /// Tell that the file, or what was not taken of it, could not be written.
    TellNotWritten(W),
}

/// See the [module](self).
#[expect(
    clippy::struct_excessive_bools,
    reason = "three questions that have nothing to do with each other"
)]
#[derive(Debug)]
pub(super) struct Rule {
    write_after: Duration,
    /// What the file was when its content was known last.
    seen: Option<Fingerprint>,
    /// Polls until its content is compared once more; 0 if that is done.
    unsure: u32,
    /// An outside change that has not been read: what it looks like, for how many polls so, for how many at all.
    suspect: Option<(Fingerprint, u32, u32)>,
    /// What cannot be read is left alone as long as it looks so.
    refused: Option<Option<Fingerprint>>,
    missing: u32,
    /// The document has what the file has not.
    is_behind: bool,
    due: Option<Duration>,
    /// There is something to save before the file is written.
    has_conflicts: bool,
    /// It was told already that nothing can be written.
    is_bad_told: bool,
    /// It is the last chance, and the file may be read so often.
    stopping: Option<u32>,
}

impl Rule {
    /// For a file that is not known, and may not exist.
    pub(super) fn new(write_after: Duration) -> Self {
        Self {
            write_after,
            seen: None,
            unsure: 0,
            suspect: None,
            refused: None,
            missing: 0,
            is_behind: false,
            due: None,
            has_conflicts: false,
            is_bad_told: false,
            stopping: None,
        }
    }

    /// What follows from an event.
    pub(super) fn on<W>(&mut self, event: Event<W>, now: Duration) -> Vec<Command<W>> {
        match event {
            Event::Changed => {
                self.is_behind = true;
                self.wait(now + self.write_after)
            }
            Event::Due => {
                self.due = None;
                self.write()
            }
            Event::Polled(None) => self.missing(),
            Event::Polled(Some(is)) => self.polled(is, now),
            Event::Same(is) => {
                self.know(is);
                // It was old enough for its time to tell.
                self.unsure = 0;
                self.go_on(now)
            }
            Event::Taken { is, has_conflicts } => {
                self.know(is);
                self.is_behind = true;
                self.has_conflicts |= has_conflicts;
                if self.has_conflicts { vec![Command::Save] } else { self.go_on(now) }
            }
            Event::Refused { is, why } => {
                self.suspect = None;
                let was = self.refused.replace(is);
                if was == Some(is) { Vec::new() } else { vec![Command::TellRefused(why)] }
            }
            Event::NotNow => Vec::new(),
            Event::Elusive => {
                self.suspect = None;
                self.unsure = self.unsure.max(1);
                Vec::new()
            }
            Event::Saved => {
                self.has_conflicts = false;
                self.is_bad_told = false;
                self.go_on(now)
            }
            Event::NotSaved(why) => self.failed(why, now),
            Event::Written { is } => {
                self.is_behind = false;
                self.is_bad_told = false;
                if let Some(is) = is {
                    self.know(is);
                }
                Vec::new()
            }
            Event::Outside => {
                // Even if nothing shows at the next poll.
                self.unsure = 1;
                match &mut self.stopping {
                    Some(reads) if *reads > 0 => {
                        *reads -= 1;
                        vec![Command::Read]
                    }
                    _ => Vec::new(),
                }
            }
            Event::NotWritten(why) => self.failed(why, now),
            Event::Stop => {
                self.stopping = Some(2);
                if self.suspect.is_some() { vec![Command::Read] } else { self.write() }
            }
        }
    }

    /// The content of the file, when it looks so, is known.
    fn know(&mut self, is: Fingerprint) {
        self.seen = Some(is);
        self.unsure = UNSURE_POLLS;
        self.suspect = None;
        self.refused = None;
        self.missing = 0;
    }

    fn missing<W>(&mut self) -> Vec<Command<W>> {
        self.suspect = None;
        self.refused = None;
        self.missing = self.missing.saturating_add(1);
        if self.missing != MISSING_POLLS {
            return Vec::new();
        }
        self.is_behind = true;
        let mut commands = vec![Command::TellMissing];
        commands.extend(self.write());
        commands
    }

    fn polled<W>(&mut self, is: Fingerprint, now: Duration) -> Vec<Command<W>> {
        self.missing = 0;
        if self.refused.is_some_and(|refused| refused == Some(is)) {
            return Vec::new();
        }
        if self.seen == Some(is) && self.refused.is_none() {
            self.suspect = None;
            if self.unsure > 0 {
                self.unsure -= 1;
                if self.unsure == 0 {
                    // Until it is read.
                    self.unsure = 1;
                    return vec![Command::Read];
                }
            }
            return self.go_on(now);
        }
        let (alike, polls) = match self.suspect {
            Some((was, alike, polls)) if was == is => (alike + 1, polls + 1),
            Some((_, _, polls)) => (0, polls + 1),
            None => (0, 0),
        };
        self.suspect = Some((is, alike, polls));
        let alike_min = if is.len == 0 { ALIKE_EMPTY_MIN } else { ALIKE_MIN };
        let is_ripe = alike >= alike_min || polls >= RESTLESS_POLLS;
        if is_ripe { vec![Command::Read] } else { Vec::new() }
    }

    /// Nothing keeps the file from being written any more, if anything did.
    fn go_on<W>(&mut self, now: Duration) -> Vec<Command<W>> {
        match (self.stopping, self.is_behind) {
            (Some(_), _) => self.write(),
            (None, true) => self.wait(now + self.write_after),
            (None, false) => Vec::new(),
        }
    }

    fn wait<W>(&mut self, at: Duration) -> Vec<Command<W>> {
        // The first change sets the time, so that a document that changes all the time is written, too.
        if self.due.is_some() || self.stopping.is_some() {
            return Vec::new();
        }
        self.due = Some(at);
        vec![Command::Wait(at)]
    }

    fn write<W>(&mut self) -> Vec<Command<W>> {
        if self.has_conflicts {
            return vec![Command::Save];
        }
        let is_held = self.suspect.is_some() || self.refused.is_some();
        // For a moment it may be on its way from one name to the other.
        let is_away = (1..MISSING_POLLS).contains(&self.missing);
        if !self.is_behind || is_held || is_away {
            return Vec::new();
        }
        vec![Command::Write { may_create: self.seen.is_none() || self.missing > 0 }]
    }

    fn failed<W>(&mut self, why: W, now: Duration) -> Vec<Command<W>> {
        let mut commands = Vec::new();
        if !std::mem::replace(&mut self.is_bad_told, true) {
            commands.push(Command::TellNotWritten(why));
        }
        commands.extend(self.wait(now + AGAIN_AFTER));
        commands
    }
}

#[cfg(test)]
mod tests;
