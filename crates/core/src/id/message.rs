//! Message ids: 128 bits in the layout of a ULID, and the generator that never repeats one.

use std::fmt;
use std::str::FromStr;

/// Characters of a message id in text form.
pub const MESSAGE_ID_TEXT_LEN: usize = 26;

/// Crockford's base 32: no I, L, O, U, so that none is mistaken for another when read aloud.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Bits of a message id below its time.
const ENTROPY_BITS: u32 = 80;

/// Latest time that 48 bits hold, in milliseconds since the Unix epoch: the year 10889.
const TIME_MS_MAX: u64 = (1 << 48) - 1;

/// The id of one message: 48 bits of milliseconds since the Unix epoch, then 80 bits of entropy.
///
/// Ids sort by the time of their making, as numbers and as text. The text form has 26 characters of
/// Crockford's base 32 (the ULID form), written in upper case and read in either.
///
/// # Example
/// ```
/// use ggml_agent_core::MessageId;
/// let id: MessageId = "01HF7YAT00TE2GZAE62MTBC50Q".parse()?;
/// assert_eq!(id.time_ms(), 1_700_000_000_000);
/// assert_eq!(id.to_string(), "01HF7YAT00TE2GZAE62MTBC50Q");
/// # Ok::<(), ggml_agent_core::ParseMessageIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    // Two words in the order of their weight, not a u128: that would have every envelope lie at
    // multiples of 16 bytes, with holes.
    high: u64,
    low: u64,
}

impl MessageId {
    /// The id with these bits; every value is an id.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low half, on purpose")]
    pub const fn from_u128(bits: u128) -> Self {
        Self { high: (bits >> 64) as u64, low: bits as u64 }
    }

    /// The bits of the id.
    #[must_use]
    pub const fn to_u128(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// The id with these bytes, most significant first.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_u128(u128::from_be_bytes(bytes))
    }

    /// The bytes of the id, most significant first: they sort as the id does.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.to_u128().to_be_bytes()
    }

    /// When it was made by its generator's clock, in milliseconds since the Unix epoch.
    ///
    /// Not the time of the message: a generator whose clock steps back keeps counting from its last id.
    #[must_use]
    pub const fn time_ms(self) -> u64 {
        self.high >> 16
    }
}

impl FromStr for MessageId {
    type Err = ParseMessageIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bits: u128 = 0;
        for (at, c) in text.char_indices() {
            if at >= MESSAGE_ID_TEXT_LEN {
                return Err(ParseMessageIdError::WrongLength { len: text.len() });
            }
            let digit = digit_value(c).ok_or(ParseMessageIdError::BadCharacter { at })?;
            // 26 x 5 = 130 bits: the first character holds only three of them.
            if at == 0 && digit > 7 {
                return Err(ParseMessageIdError::TooLarge);
            }
            bits = (bits << 5) | u128::from(digit);
        }
        if text.len() != MESSAGE_ID_TEXT_LEN {
            return Err(ParseMessageIdError::WrongLength { len: text.len() });
        }
        Ok(Self::from_u128(bits))
    }
}

fn digit_value(c: char) -> Option<u8> {
    let byte = u8::try_from(c).ok()?.to_ascii_uppercase();
    let at = CROCKFORD.iter().position(|&digit| digit == byte)?;
    u8::try_from(at).ok()
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; MESSAGE_ID_TEXT_LEN];
        let mut rest = self.to_u128();
        for slot in text.iter_mut().rev() {
            *slot = CROCKFORD[usize::from(rest.to_le_bytes()[0] & 31)];
            rest >>= 5;
        }
        f.pad(std::str::from_utf8(&text).expect("invariant: the alphabet is ASCII"))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

crate::text::serde_as_text!(MessageId, "a message id of 26 characters");

/// Why a text is not a message id. The caller is at fault: change the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseMessageIdError {
    /// The text does not have 26 characters.
    #[error("message id has {len} bytes, it needs 26")]
    WrongLength {
        /// Its length in bytes.
        len: usize,
    },
    /// A character outside Crockford's base 32.
    #[error("message id has a character that is not Crockford base 32 at byte {at}")]
    BadCharacter {
        /// Offset of its first byte.
        at: usize,
    },
    /// The text stands for more than 128 bits.
    #[error("message id is above 128 bits: byte 0 must be 0 to 7")]
    TooLarge,
}

/// The odd step of splitmix64, which visits every number once.
const SPLITMIX_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// One step of splitmix64 (Steele, Lea and Flood): another number for each number.
pub(super) const fn scrambled(number: u64) -> u64 {
    let z = number.wrapping_add(SPLITMIX_STEP);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Makes message ids, each larger than the one before, from a seed and the times it is told.
///
/// Pure: the same seed and the same times give the same ids. Within one millisecond ids count up by one
/// from a random start, so two generators with different seeds do not meet; give each its own seed.
///
/// # Example
/// ```
/// use ggml_agent_core::MessageIds;
/// let mut ids = MessageIds::new(7);
/// let first = ids.next(1_700_000_000_000);
/// let second = ids.next(1_600_000_000_000); // the wall clock was stepped back
/// assert!(first < second);
/// ```
#[derive(Debug, Clone)]
pub struct MessageIds {
    /// State of xoshiro256++.
    state: [u64; 4],
    last: Option<MessageId>,
}

impl MessageIds {
    /// A generator whose entropy comes from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // The authors of xoshiro ask for a state filled by splitmix64: it is never all zero.
        let mut counter = seed;
        let state = std::array::from_fn(|_| {
            let filled = scrambled(counter);
            counter = counter.wrapping_add(SPLITMIX_STEP);
            filled
        });
        Self { state, last: None }
    }

    /// The next id, strictly larger than every id before it from this generator.
    ///
    /// `now_ms` is the wall clock in milliseconds since the Unix epoch; it may stand still or go back.
    ///
    /// # Panics
    /// After 2^79 ids in the last millisecond of the year 10889.
    pub fn next(&mut self, now_ms: u64) -> MessageId {
        let now_ms = now_ms.min(TIME_MS_MAX);
        let id = match self.last {
            Some(last) if now_ms <= last.time_ms() => {
                // A carry out of the entropy moves the time on, which keeps the order.
                let next = last.to_u128().checked_add(1);
                MessageId::from_u128(next.expect("invariant: fewer than 2^79 ids"))
            }
            Some(_) | None => {
                MessageId::from_u128((u128::from(now_ms) << ENTROPY_BITS) | self.entropy())
            }
        };
        self.last = Some(id);
        id
    }

    /// 79 random bits; the highest of the 80 stays free, so that counting up has room.
    fn entropy(&mut self) -> u128 {
        let high = u128::from(self.random() >> 1); // 63 bits
        let low = u128::from(self.random() >> 48); // 16 bits
        (high << 16) | low
    }

    /// One step of xoshiro256++ (Blackman and Vigna, public domain).
    fn random(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let t = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= t;
        *d = d.rotate_left(45);
        result
    }
}
