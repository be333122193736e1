//! What few envelopes have, behind one pointer, so that all the others are moved and queued without it.

use std::ops::{Deref, DerefMut};

use super::TraceContext;
use crate::id::MessageId;

/// The optional fields of an [`Envelope`](super::Envelope), which is read and written as if they were
/// its own: `envelope.deadline_ms`.
///
/// They take memory of their own as soon as one of them is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extras {
    /// The id of the message that this one answers.
    pub correlation_id: Option<MessageId>,
    /// From when on nobody wants it, by the sender's wall clock: milliseconds since the Unix epoch, UTC.
    pub deadline_ms: Option<u64>,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
}

impl Extras {
    pub(super) const NONE: Self = Self { correlation_id: None, deadline_ms: None, trace: None };
}

/// [`Extras`], or none of them.
#[derive(Clone)]
pub(super) struct Extra(Option<Box<Extras>>);

impl Extra {
    pub(super) const fn none() -> Self {
        Self(None)
    }
}

impl From<Extras> for Extra {
    fn from(extras: Extras) -> Self {
        Self((extras != Extras::NONE).then(|| Box::new(extras)))
    }
}

impl Deref for Extra {
    type Target = Extras;

    #[inline]
    fn deref(&self) -> &Extras {
        self.0.as_deref().unwrap_or(&Extras::NONE)
    }
}

impl DerefMut for Extra {
    fn deref_mut(&mut self) -> &mut Extras {
        self.0.get_or_insert_with(|| Box::new(Extras::NONE))
    }
}

// Memory that holds none of them is as good as no memory.
impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Extra {}
