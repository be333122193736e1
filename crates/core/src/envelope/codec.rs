//! Binary form of an envelope, version 1.
//!
//! ```text
//! byte 0      0xA1: magic 0xA in the high half, version 1 in the low half
//! byte 1      number of the message type, 1 to 13
//! byte 2      flags: 1 from | 2 correlation id | 4 deadline | 8 trace | 16 high priority; the rest is zero
//! 16 bytes    id, most significant byte first
//! varint      timestamp, milliseconds since the Unix epoch
//! text        to: varint length, then 1 to 128 bytes of UTF-8
//! text        from, if flag 1
//! 16 bytes    correlation id, if flag 2
//! varint      deadline, milliseconds since the Unix epoch, if flag 4
//! 16 + 8 + 1  trace id, span id, trace flags, if flag 8
//! varint      payload length, then the payload, then the end of input
//! ```
//! A varint is LEB128 (seven bits per byte, lowest first) in its shortest form, so that one envelope has
//! one encoding: decoding and encoding again gives the same bytes.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod error;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Envelope, MessageType, Priority, TraceContext};
use crate::id::{AgentId, MessageId};
use crate::limits::{AGENT_ID_LEN_MAX, ENVELOPE_HEADER_LEN_MAX, ENVELOPE_LEN_MAX, PAYLOAD_LEN_MAX};

pub use error::{DecodeError, DecodeFault, EncodeError, Field};

/// The version that is written; the only one that is read.
pub const VERSION: u8 = 1;

/// High half of the first byte.
const MAGIC: u8 = 0xA0;

const FLAG_FROM: u8 = 1;
const FLAG_CORRELATION: u8 = 1 << 1;
const FLAG_DEADLINE: u8 = 1 << 2;
const FLAG_TRACE: u8 = 1 << 3;
const FLAG_HIGH: u8 = 1 << 4;
const FLAGS_KNOWN: u8 = FLAG_FROM | FLAG_CORRELATION | FLAG_DEADLINE | FLAG_TRACE | FLAG_HIGH;

impl Envelope {
    /// The binary form, in one allocation.
    ///
    /// # Errors
    /// [`EncodeError::PayloadTooLong`]: send it as a document or a file, by reference.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let mut out = BytesMut::new();
        self.encode_into(&mut out)?;
        Ok(out.freeze())
    }

    /// Appends the binary form to `out`, which is left as it was on an error.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_into(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        let len = self.payload.len();
        if len > PAYLOAD_LEN_MAX {
            return Err(EncodeError::PayloadTooLong { len });
        }
        out.reserve(ENVELOPE_HEADER_LEN_MAX.saturating_add(len));
        out.put_u8(MAGIC | VERSION);
        out.put_u8(self.kind.number());
        out.put_u8(self.flags());
        out.put_slice(&self.id.to_bytes());
        put_varint(out, self.timestamp_ms);
        put_sized(out, self.to.as_str().as_bytes());
        if let Some(from) = &self.from {
            put_sized(out, from.as_str().as_bytes());
        }
        if let Some(id) = self.correlation_id {
            out.put_slice(&id.to_bytes());
        }
        if let Some(deadline_ms) = self.deadline_ms {
            put_varint(out, deadline_ms);
        }
        if let Some(trace) = self.trace {
            out.put_slice(&trace.trace_id());
            out.put_slice(&trace.span_id());
            out.put_u8(trace.flags());
        }
        put_sized(out, &self.payload);
        Ok(())
    }

    /// Reads the binary form; the payload is copied out of `input`.
    ///
    /// # Errors
    /// [`DecodeError`] says what is wrong and at which byte. The sender is at fault.
    pub fn decode(input: &[u8]) -> Result<Self, DecodeError> {
        let (envelope, payload) = decode_header(input)?;
        Ok(Self { payload: Bytes::copy_from_slice(payload), ..envelope })
    }

    /// Reads the binary form; the payload is a slice of `input`, which lives as long as it does.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_bytes(input: &Bytes) -> Result<Self, DecodeError> {
        let (envelope, payload) = decode_header(input)?;
        Ok(Self { payload: input.slice_ref(payload), ..envelope })
    }

    fn flags(&self) -> u8 {
        let bit = |flag, is_set| if is_set { flag } else { 0 };
        bit(FLAG_FROM, self.from.is_some())
            | bit(FLAG_CORRELATION, self.correlation_id.is_some())
            | bit(FLAG_DEADLINE, self.deadline_ms.is_some())
            | bit(FLAG_TRACE, self.trace.is_some())
            | bit(FLAG_HIGH, self.priority == Priority::High)
    }
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.put_u8(low);
            return;
        }
        out.put_u8(low | 0x80);
    }
}

fn put_sized(out: &mut BytesMut, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// Everything but the payload, and the payload as a part of `input`.
fn decode_header(input: &[u8]) -> Result<(Envelope, &[u8]), DecodeError> {
    if input.len() > ENVELOPE_LEN_MAX {
        return Err(DecodeFault::TooLong { len: input.len() }.at(ENVELOPE_LEN_MAX));
    }
    let mut reader = Reader { input, at: 0 };
    reader.version()?;
    let kind = reader.kind()?;
    let flags = reader.flags()?;
    let has = |flag| flags & flag != 0;
    let id = MessageId::from_bytes(reader.array(Field::Id)?);
    let timestamp_ms = reader.varint(Field::Timestamp)?;
    let to = reader.agent(Field::To)?;
    let mut envelope = Envelope::new(id, timestamp_ms, to, kind, Bytes::new());
    if has(FLAG_FROM) {
        envelope.from = Some(reader.agent(Field::From)?);
    }
    if has(FLAG_CORRELATION) {
        envelope.correlation_id = Some(MessageId::from_bytes(reader.array(Field::CorrelationId)?));
    }
    if has(FLAG_DEADLINE) {
        envelope.deadline_ms = Some(reader.varint(Field::Deadline)?);
    }
    if has(FLAG_TRACE) {
        envelope.trace = Some(reader.trace()?);
    }
    if has(FLAG_HIGH) {
        envelope.priority = Priority::High;
    }
    let payload = reader.sized(Field::Payload, PAYLOAD_LEN_MAX)?;
    if reader.at != input.len() {
        let n_extra = input.len().saturating_sub(reader.at);
        return Err(DecodeFault::TrailingBytes { n_extra }.at(reader.at));
    }
    Ok((envelope, payload))
}

/// Reads forward through the input; `at` never passes its end.
struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next `len` bytes. An error is placed where the bytes end that should go on.
    fn take(&mut self, field: Field, len: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let Some(taken) = rest.get(..len) else {
            let n_missing = len.saturating_sub(rest.len());
            return Err(DecodeFault::Truncated { field, n_missing }.at(self.input.len()));
        };
        self.at = self.at.saturating_add(len);
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: Field) -> Result<[u8; N], DecodeError> {
        let bytes = self.take(field, N)?;
        Ok(*bytes.first_chunk().expect("invariant: take gave N bytes"))
    }

    fn byte(&mut self, field: Field) -> Result<u8, DecodeError> {
        let [byte] = self.array(field)?;
        Ok(byte)
    }

    fn version(&mut self) -> Result<(), DecodeError> {
        let at = self.at;
        let byte = self.byte(Field::Version)?;
        if byte & 0xF0 != MAGIC {
            return Err(DecodeFault::NotAnEnvelope { byte }.at(at));
        }
        let version = byte & 0x0F;
        if version != VERSION {
            return Err(DecodeFault::UnsupportedVersion { version }.at(at));
        }
        Ok(())
    }

    fn kind(&mut self) -> Result<MessageType, DecodeError> {
        let at = self.at;
        let number = self.byte(Field::Type)?;
        MessageType::from_number(number)
            .ok_or_else(|| DecodeFault::UnknownMessageType { number }.at(at))
    }

    fn flags(&mut self) -> Result<u8, DecodeError> {
        let at = self.at;
        let flags = self.byte(Field::Flags)?;
        match flags & !FLAGS_KNOWN {
            0 => Ok(flags),
            unknown => Err(DecodeFault::UnknownFlags { unknown }.at(at)),
        }
    }

    fn varint(&mut self, field: Field) -> Result<u64, DecodeError> {
        let start = self.at;
        let mut value: u64 = 0;
        // 64 bits are nine groups of seven and one bit in a tenth byte.
        for shift in (0..64).step_by(7) {
            let byte = self.byte(field)?;
            let group = u64::from(byte & 0x7F);
            if shift == 63 && group > 1 {
                break;
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                let is_padded = byte == 0 && shift != 0;
                let fault = DecodeFault::PaddedVarint { field };
                return if is_padded { Err(fault.at(start)) } else { Ok(value) };
            }
        }
        Err(DecodeFault::VarintTooLarge { field }.at(start))
    }

    /// The bytes behind a length that is checked against `len_max` and the rest of the input.
    fn sized(&mut self, field: Field, len_max: usize) -> Result<&'a [u8], DecodeError> {
        let at = self.at;
        let len = self.varint(field)?;
        let fits = usize::try_from(len).ok().filter(|&len| len <= len_max);
        let Some(len) = fits else {
            return Err(DecodeFault::FieldTooLong { field, len, len_max }.at(at));
        };
        self.take(field, len)
    }

    fn agent(&mut self, field: Field) -> Result<AgentId, DecodeError> {
        let bytes = self.sized(field, AGENT_ID_LEN_MAX)?;
        let start = self.at.saturating_sub(bytes.len());
        let text = std::str::from_utf8(bytes).map_err(|error| {
            DecodeFault::NotUtf8 { field }.at(start.saturating_add(error.valid_up_to()))
        })?;
        text.parse().map_err(|source| DecodeFault::BadAgentId { field, source }.at(start))
    }

    fn trace(&mut self) -> Result<TraceContext, DecodeError> {
        let at = self.at;
        let trace_id = self.array(Field::Trace)?;
        let span_id = self.array(Field::Trace)?;
        let flags = self.byte(Field::Trace)?;
        TraceContext::new(trace_id, span_id, flags)
            .map_err(|source| DecodeFault::BadTrace { source }.at(at))
    }
}
