//! What a record says: in its row, or, when it is large, once for all that say the same.

use bytes::Bytes;
use ggml_agent_core::Envelope;
use ggml_agent_core::store::StoreError;
use rusqlite::{Connection, OptionalExtension};

use crate::error::{Fault, damaged};
use crate::sum::{Hash, Sum};

/// Longest content that stands in the row of its record (256 KiB).
// A section of a document at its longest still does; a copy costs less than the count of its uses.
pub(crate) const INLINE_LEN_MAX: usize = 256 * 1024;

const USES: &str = "SELECT uses, sum FROM blobs WHERE hash = ?1";
const SET_USES: &str = "INSERT OR REPLACE INTO blobs VALUES (?1, ?2, ?3)";
const CONTENT: &str = "SELECT content FROM contents WHERE hash = ?1";

/// The content of a record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    /// The content, or an envelope without its payload.
    pub(crate) inline: Bytes,
    /// Where the content or the payload is, if it is large.
    pub(crate) blob: Option<Hash>,
}

impl Body {
    /// Stores `content`, as far as it is large.
    pub(crate) fn pack(conn: &Connection, content: &Bytes) -> Result<Self, Fault> {
        if content.len() <= INLINE_LEN_MAX {
            return Ok(Self { inline: content.clone(), blob: None });
        }
        Ok(Self { inline: Bytes::new(), blob: Some(keep(conn, content)?) })
    }

    /// Stores the payload of `envelope`, as far as it is large.
    pub(crate) fn pack_envelope(conn: &Connection, envelope: &Envelope) -> Result<Self, Fault> {
        let too_long = |_| StoreError::Malformed {
            agent: envelope.to.clone(),
            why: "the payload of a message is longer than an envelope may be",
        };
        if envelope.payload.len() <= INLINE_LEN_MAX {
            return Ok(Self { inline: envelope.encode().map_err(too_long)?, blob: None });
        }
        if envelope.payload.len() > ggml_agent_core::limits::PAYLOAD_LEN_MAX {
            envelope.encode().map_err(too_long)?;
        }
        let mut bare = envelope.clone();
        let payload = std::mem::take(&mut bare.payload);
        let inline = bare.encode().map_err(too_long)?;
        Ok(Self { inline, blob: Some(keep(conn, &payload)?) })
    }

    pub(crate) fn unpack(self, conn: &Connection) -> Result<Bytes, Fault> {
        match self.blob {
            None => Ok(self.inline),
            Some(hash) => fetch(conn, &hash),
        }
    }

    pub(crate) fn unpack_envelope(&self, conn: &Connection) -> Result<Envelope, Fault> {
        let mut envelope = Envelope::decode_bytes(&self.inline)
            .map_err(|error| damaged("a message", error.to_string()))?;
        if let Some(hash) = &self.blob {
            envelope.payload = fetch(conn, hash)?;
        }
        Ok(envelope)
    }

    /// The id of an envelope, for which its payload is not needed.
    pub(crate) fn id(&self) -> Result<u128, Fault> {
        let envelope = Envelope::decode_bytes(&self.inline);
        envelope
            .map(|envelope| envelope.id.to_u128())
            .map_err(|error| damaged("a message", error.to_string()))
    }

    /// Gives its large content up.
    pub(crate) fn release(&self, conn: &Connection) -> Result<(), Fault> {
        self.blob.as_ref().map_or(Ok(()), |hash| release(conn, hash))
    }

    pub(crate) fn add_to(&self, sum: Sum) -> Sum {
        sum.bytes(&self.inline).hash(self.blob.as_ref())
    }
}

fn keep(conn: &Connection, content: &[u8]) -> Result<Hash, Fault> {
    let hash = Hash::of(content);
    match uses(conn, &hash)? {
        Some(uses) => set_uses(conn, &hash, uses + 1)?,
        None => {
            set_uses(conn, &hash, 1)?;
            conn.prepare_cached("INSERT INTO contents VALUES (?1, ?2)")?
                .execute((&hash, content))?;
        }
    }
    Ok(hash)
}

/// A content, which its own name checks.
pub(crate) fn fetch(conn: &Connection, hash: &Hash) -> Result<Bytes, Fault> {
    let mut select = conn.prepare_cached(CONTENT)?;
    let content: Option<Vec<u8>> = select.query_row([hash], |row| row.get(0)).optional()?;
    match content {
        Some(content) if Hash::of(&content) == *hash => Ok(content.into()),
        Some(_) => Err(damaged("a large content", "it is not the one that was stored")),
        None => Err(damaged("a large content", "it is gone")),
    }
}

pub(crate) fn release(conn: &Connection, hash: &Hash) -> Result<(), Fault> {
    match uses(conn, hash)? {
        None => Err(damaged("a large content", "its count is gone")),
        Some(uses) if uses > 1 => set_uses(conn, hash, uses - 1),
        Some(_) => forget(conn, hash),
    }
}

/// Forgets a content that nobody uses.
pub(crate) fn forget(conn: &Connection, hash: &Hash) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM blobs WHERE hash = ?1")?.execute([hash])?;
    conn.prepare_cached("DELETE FROM contents WHERE hash = ?1")?.execute([hash])?;
    Ok(())
}

pub(crate) fn uses(conn: &Connection, hash: &Hash) -> Result<Option<i64>, Fault> {
    let mut select = conn.prepare_cached(USES)?;
    let row = select.query_row([hash], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
    match row.optional()? {
        Some((uses, found)) if found == sum(hash, uses) => Ok(Some(uses)),
        Some(_) => Err(damaged("a large content", "the checksum of its count is wrong")),
        None => Ok(None),
    }
}

pub(crate) fn set_uses(conn: &Connection, hash: &Hash, uses: i64) -> Result<(), Fault> {
    conn.prepare_cached(SET_USES)?.execute((hash, uses, sum(hash, uses)))?;
    Ok(())
}

fn sum(hash: &Hash, uses: i64) -> i64 {
    Sum::of("blobs").hash(Some(hash)).number(uses).end()
}
