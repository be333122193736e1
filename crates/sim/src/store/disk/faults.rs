//! What goes wrong, and when.

/// How one write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no space: nothing was changed.
    NoSpace,
    /// The device refuses: nothing was changed.
    Unavailable,
    /// The device fails in the middle: chance decides what of the writes without an answer happened, and
    /// the store is closed.
    Indeterminate,
}

/// A moment to take the power away, by the number of a commit, 1 being the first on this disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It was asked for and has not happened.
    Before(u64),
    /// It has happened, and is not synced.
    After(u64),
    /// It is durable, and nobody was told.
    Synced(u64),
}
