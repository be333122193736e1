//! The checksum that every stored record carries.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// The name of a large content: its BLAKE3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hash(pub(crate) [u8; 32]);

impl Hash {
    pub(crate) fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }
}

impl ToSql for Hash {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

impl FromSql for Hash {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        bytes.try_into().map(Self).map_err(|_| FromSqlError::InvalidBlobSize {
            expected_size: 32,
            blob_size: bytes.len(),
        })
    }
}

/// A CRC-32 over the table, the key and the content of a record: so neither a changed record nor one
/// that turns up in the place of another passes.
#[derive(Debug, Clone)]
pub(crate) struct Sum(crc32fast::Hasher);

impl Sum {
    pub(crate) fn of(table: &str) -> Self {
        Self(crc32fast::Hasher::new()).bytes(table.as_bytes())
    }

    pub(crate) fn number(mut self, number: i64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub(crate) fn numbers<const N: usize>(mut self, numbers: &[i64; N]) -> Self {
        // In one piece, which is quicker than eight bytes at a time.
        let bytes = numbers.map(i64::to_le_bytes);
        self.0.update(bytes.as_flattened());
        self
    }

    /// The length goes in as well, so that no byte can move from one field to the next.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn hash(self, hash: Option<&Hash>) -> Self {
        self.bytes(hash.map_or(&[], |hash| &hash.0[..]))
    }

    pub(crate) fn end(self) -> i64 {
        self.0.finalize().into()
    }
}
