//! Trace context: which trace, and which span in it, caused a message.

use std::fmt;
use std::str::FromStr;

/// Length of a `traceparent` of version 00: `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const TRACEPARENT_LEN: usize = 55;

/// W3C trace context: the trace, the span that sent the message, and the trace flags.
///
/// Its text form is the `traceparent` header.
///
/// # Example
/// ```
/// use ggml_agent_core::TraceContext;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let trace: TraceContext = text.parse()?;
/// assert!(trace.is_sampled());
/// assert_eq!(trace.to_string(), text);
/// # Ok::<(), ggml_agent_core::envelope::TraceContextError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// A context from its parts. Flags other than 1 (sampled) are kept as they are.
    ///
    /// # Errors
    /// An id that is all zero, which W3C forbids.
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Result<Self, TraceContextError> {
        if trace_id == [0; 16] {
            return Err(TraceContextError::ZeroTraceId);
        }
        if span_id == [0; 8] {
            return Err(TraceContextError::ZeroSpanId);
        }
        Ok(Self { trace_id, span_id, flags })
    }

    /// The id of the whole trace.
    #[must_use]
    pub const fn trace_id(self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the span that caused the message (`parent-id` in the words of W3C).
    #[must_use]
    pub const fn span_id(self) -> [u8; 8] {
        self.span_id
    }

    /// The trace flags.
    #[must_use]
    pub const fn flags(self) -> u8 {
        self.flags
    }

    /// Whether the caller may have recorded the trace (flag 1).
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }
}

impl FromStr for TraceContext {
    type Err = TraceContextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let wrong_length = TraceContextError::WrongLength { len: text.len() };
        let Some(head) = bytes.first_chunk::<TRACEPARENT_LEN>() else { return Err(wrong_length) };
        let [version] = hex::<1>(head, 0)?;
        if version == 0xff {
            return Err(TraceContextError::BadByte { at: 0 });
        }
        for at in [2, 35, 52] {
            if head.get(at) != Some(&b'-') {
                return Err(TraceContextError::BadByte { at });
            }
        }
        // W3C trace context, section 4: a later version may only add fields after another dash.
        match bytes.get(TRACEPARENT_LEN) {
            Some(_) if version == 0 => return Err(wrong_length),
            None | Some(b'-') => {}
            Some(_) => return Err(TraceContextError::BadByte { at: TRACEPARENT_LEN }),
        }
        let [flags] = hex::<1>(head, 53)?;
        Self::new(hex::<16>(head, 3)?, hex::<8>(head, 36)?, flags)
    }
}

/// Reads `N` bytes written as lower-case hexadecimal from `start` on.
fn hex<const N: usize>(
    text: &[u8; TRACEPARENT_LEN],
    start: usize,
) -> Result<[u8; N], TraceContextError> {
    let mut value = [0; N];
    for (at, digit) in text.iter().enumerate().skip(start).take(N.saturating_mul(2)) {
        let nibble = match digit {
            b'0'..=b'9' => digit.wrapping_sub(b'0'),
            b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
            _ => return Err(TraceContextError::BadByte { at }),
        };
        if let Some(byte) = value.get_mut(at.saturating_sub(start) / 2) {
            *byte = (*byte << 4) | nibble;
        }
    }
    Ok(value)
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace_id = u128::from_be_bytes(self.trace_id);
        let span_id = u64::from_be_bytes(self.span_id);
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{:02x}", self.flags)
    }
}

crate::text::serde_as_text!(TraceContext, "a W3C traceparent");

/// Why something is not a trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceContextError {
    /// The trace id is all zero.
    #[error("trace id is all zero")]
    ZeroTraceId,
    /// The span id is all zero.
    #[error("span id is all zero")]
    ZeroSpanId,
    /// The text is no `traceparent` by its length.
    #[error("traceparent has {len} bytes, version 00 needs 55")]
    WrongLength {
        /// Its length in bytes.
        len: usize,
    },
    /// A byte that cannot stand where it stands.
    #[error("traceparent has a wrong character at byte {at}")]
    BadByte {
        /// Its offset.
        at: usize,
    },
}
