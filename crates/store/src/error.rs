//! Why a store cannot be opened, and why an operation in it failed.

use std::io;
use std::path::PathBuf;

use ggml_agent_core::store::StoreError;
use rusqlite::ErrorCode;

/// Why a store was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The path is there, but not as a folder.
    #[error("\"{}\" is not a folder: name the folder of the store", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The folder could not be made.
    #[error("the folder \"{}\" cannot be made: make it, or name another", path.display())]
    CannotCreate {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the store cannot be written.
    #[error("\"{}\" cannot be written: see to its owner and its mode, or name another folder", path.display())]
    CannotWrite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the store cannot be read.
    #[error("\"{}\" cannot be read: see to its owner and its mode", path.display())]
    CannotRead {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody has it open.
    #[error("the store in \"{}\" is open in {}: end that first", path.display(), holder(*pid))]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process that has it, if it says so.
        pid: Option<u32>,
    },
    /// The file system keeps nothing, or cannot promise that it does.
    #[error(
        "\"{}\" lies on {file_system}, where nothing survives a power cut for sure: name a folder on a local \
         disk, or accept it in the options", path.display()
    )]
    Medium {
        /// The folder.
        path: PathBuf,
        /// The kind of file system.
        file_system: String,
    },
    /// The file is something else.
    #[error("\"{}\" is not a store of ggml-agent: {why}; move it away, or name another folder", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// How that shows.
        why: &'static str,
    },
    /// A later version of this program wrote it.
    #[error(
        "\"{}\" has format {found}, and this program knows formats up to {known}: use the program that wrote it",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// The file is damaged as a whole. It was left as it is.
    #[error("\"{}\" is damaged: {why}; keep a copy of the folder, and put a backup in its place", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// SQLite does not do what it was asked to.
    #[error(
        "`PRAGMA {name}` is {found} where {asked} was asked for: durability cannot be promised there"
    )]
    Setting {
        /// The setting.
        name: &'static str,
        /// What was asked for.
        asked: String,
        /// What it is.
        found: String,
    },
    /// SQLite refused.
    #[error("\"{}\" cannot be opened: {why}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What it says.
        why: String,
    },
    /// No thread could be started.
    #[error("the thread of the store cannot be started")]
    Thread(#[source] io::Error),
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

/// Why an operation failed, before it is known what that means for the others of its transaction.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The caller is at fault, and nothing was changed.
    Refused(StoreError),
    /// What is stored is damaged.
    Damaged {
        what: String,
        why: String,
    },
    Sql(rusqlite::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as Sql;
        match error {
            // The tables are strict: a value of the wrong kind is a flipped bit.
            Sql::FromSqlConversionFailure(..)
            | Sql::IntegralValueOutOfRange(..)
            | Sql::InvalidColumnType(..)
            | Sql::Utf8Error(..) => damaged("a record", error.to_string()),
            error => Self::Sql(error),
        }
    }
}

impl Fault {
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Damaged { .. } => true,
            Self::Sql(error) => is_corruption(error),
        }
    }

    /// What is damaged, and what is wrong with it.
    pub(crate) fn into_damage(self) -> (String, String) {
        match self {
            Self::Damaged { what, why } => (what, why),
            Self::Refused(error) => ("a record".into(), error.to_string()),
            Self::Sql(error) => ("a page".into(), error.to_string()),
        }
    }

    /// What the caller gets when everything was rolled back.
    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Damaged { what, why } => StoreError::Quarantined { what, why },
            Self::Sql(error) if is_corruption(&error) => {
                StoreError::Quarantined { what: "a page".into(), why: error.to_string() }
            }
            Self::Sql(error) if code_of(&error) == Some(ErrorCode::DiskFull) => StoreError::NoSpace,
            Self::Sql(error) => StoreError::Unavailable { why: error.to_string() },
        }
    }
}

pub(crate) fn damaged(what: impl Into<String>, why: impl Into<String>) -> Fault {
    Fault::Damaged { what: what.into(), why: why.into() }
}

pub(crate) fn code_of(error: &rusqlite::Error) -> Option<ErrorCode> {
    error.sqlite_error_code()
}

pub(crate) fn is_corruption(error: &rusqlite::Error) -> bool {
    matches!(code_of(error), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether the device failed, after which a connection is not trusted any more.
pub(crate) fn is_device_error(error: &rusqlite::Error) -> bool {
    matches!(code_of(error), Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen))
}
