//! The tables of formats 1 and 2, which are the same: in 2 a row of messages may hold a run of them.
//!
//! Every row carries `sum`, the checksum of its key and content. Rows that must not vanish unseen are
//! chained: a message names the one before it in its lane, an agent's name and a dead letter the one
//! before it in order; journal and ids are numbered without a gap; all else is counted. So a lookup that
//! a damaged page leads astray is noticed as well.

/// Version of the format, in the file's `user_version`.
pub(crate) const FORMAT: u32 = 2;

/// The eldest that is read; a file of it gets the newest when it is opened.
pub(crate) const FORMAT_ELDEST: u32 = 1;

/// `ggAg`, in the file's `application_id`.
pub(crate) const APPLICATION: u32 = 0x6767_4167;

/// In the order in which they are created. Columns of numbers hold the bits of a `u64`.
pub(crate) const TABLES: [&str; 14] = [
    // What is true of the whole store: numbers that were given, and the ends of chains.
    "CREATE TABLE heads (only INTEGER PRIMARY KEY, agent_last INTEGER NOT NULL, \
     name_last TEXT NOT NULL, dead_last INTEGER NOT NULL, dead_newest INTEGER NOT NULL, \
     removed_epoch INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT",
    "CREATE TABLE names (name TEXT PRIMARY KEY, prev TEXT NOT NULL, agent INTEGER NOT NULL, \
     sum INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE agents (agent INTEGER PRIMARY KEY, messages_max INTEGER NOT NULL, \
     bytes_max INTEGER NOT NULL, on_full INTEGER NOT NULL, epoch INTEGER NOT NULL, \
     revision INTEGER NOT NULL, is_closed INTEGER NOT NULL, applied_high INTEGER NOT NULL, \
     applied_normal INTEGER NOT NULL, tail INTEGER NOT NULL, high_gone INTEGER NOT NULL, \
     high_last INTEGER NOT NULL, high_count INTEGER NOT NULL, normal_gone INTEGER NOT NULL, \
     normal_last INTEGER NOT NULL, normal_count INTEGER NOT NULL, queued_bytes INTEGER NOT NULL, \
     arrivals INTEGER NOT NULL, chunk_first INTEGER NOT NULL, ids_saved INTEGER NOT NULL, \
     ids_position INTEGER NOT NULL, journal_after INTEGER NOT NULL, \
     journal_last INTEGER NOT NULL, outbox_last INTEGER NOT NULL, outbox_count INTEGER NOT NULL, \
     timers_count INTEGER NOT NULL, once_count INTEGER NOT NULL, has_snapshot INTEGER NOT NULL, \
     sum INTEGER NOT NULL) STRICT",
    // Lane 0 is the user lane, 1 the priority lane. A row is a message or a run of them: see `mail::row`.
    "CREATE TABLE messages (agent INTEGER, lane INTEGER, position INTEGER, prev INTEGER NOT NULL, \
     arrival INTEGER NOT NULL, attempts INTEGER NOT NULL, bytes INTEGER NOT NULL, \
     envelope BLOB NOT NULL, blob BLOB, sum INTEGER NOT NULL, \
     PRIMARY KEY (agent, lane, position)) STRICT, WITHOUT ROWID",
    // Ids that were accepted, some in one row, in the order of their arrival. The newest few are found in
    // the messages that brought them, so that most messages cost one row.
    "CREATE TABLE seen (agent INTEGER, chunk INTEGER, ids BLOB NOT NULL, sum INTEGER NOT NULL, \
     PRIMARY KEY (agent, chunk)) STRICT, WITHOUT ROWID",
    "CREATE TABLE snapshots (agent INTEGER PRIMARY KEY, version INTEGER NOT NULL, \
     content BLOB NOT NULL, blob BLOB, sum INTEGER NOT NULL) STRICT",
    "CREATE TABLE journal (agent INTEGER, number INTEGER, content BLOB NOT NULL, blob BLOB, \
     sum INTEGER NOT NULL, PRIMARY KEY (agent, number)) STRICT, WITHOUT ROWID",
    "CREATE TABLE outbox (agent INTEGER, number INTEGER, envelope BLOB NOT NULL, blob BLOB, \
     sum INTEGER NOT NULL, PRIMARY KEY (agent, number)) STRICT, WITHOUT ROWID",
    "CREATE TABLE timers (agent INTEGER, key TEXT, due INTEGER NOT NULL, envelope BLOB NOT NULL, \
     blob BLOB, sum INTEGER NOT NULL, PRIMARY KEY (agent, key)) STRICT, WITHOUT ROWID",
    "CREATE TABLE once (agent INTEGER, key TEXT, content BLOB NOT NULL, blob BLOB, \
     sum INTEGER NOT NULL, PRIMARY KEY (agent, key)) STRICT, WITHOUT ROWID",
    "CREATE TABLE dead (number INTEGER PRIMARY KEY, prev INTEGER NOT NULL, \
     attempts INTEGER NOT NULL, reason TEXT NOT NULL, envelope BLOB NOT NULL, blob BLOB, \
     sum INTEGER NOT NULL) STRICT",
    // How often a large content is used, by its hash; and the content, in a table of its own, so that
    // counting does not write it again.
    "CREATE TABLE blobs (hash BLOB PRIMARY KEY, uses INTEGER NOT NULL, sum INTEGER NOT NULL) \
     STRICT, WITHOUT ROWID",
    "CREATE TABLE contents (hash BLOB PRIMARY KEY, content BLOB NOT NULL) STRICT, WITHOUT ROWID",
    // Agents that were found damaged. Their records stay as they are.
    "CREATE TABLE quarantine (name TEXT PRIMARY KEY, why TEXT NOT NULL, sum INTEGER NOT NULL) \
     STRICT, WITHOUT ROWID",
];
