//! Bounds of one document. What is over a bound is refused with a typed error, never cut.

/// Largest document, in bytes of Markdown.
// 16 MiB is about 2.5 million words; text in memory is the current one plus the history below.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Largest section, in bytes.
// An edit parses its section again to see that it leaves its neighbours alone: 256 KiB take about 2 ms.
pub const SECTION_BYTES_MAX: usize = 256 * 1024;

/// Most sections of a document.
pub const SECTIONS_MAX: usize = 10_000;

/// Most subscribers of a document.
// Each is a cursor of about 100 B and one walk per edit: 10,000 x 100 B = 1 MB.
pub const SUBSCRIBERS_MAX: usize = 10_000;

/// Most updates that a subscriber has been sent and has not yet confirmed.
pub const IN_FLIGHT_MAX: u64 = 64;

/// Most updates that a subscriber may be behind before it is told to resynchronise.
pub const LAG_MAX: u64 = 256;

/// Most updates that are remembered.
// Typed text has one per key: 250,000 are what a person writes in a month, and 250,000 x 250 B = 60 MB.
pub const HISTORY_LEN_MAX: usize = 250_000;

/// Most bytes of memory that the history takes; the newest update is kept whatever its size.
// Four times the largest document.
pub const HISTORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest [operation id](crate::OpId), in bytes.
pub const OP_ID_BYTES_MAX: usize = 128;

/// Most named commands that are remembered, so that each is carried out once.
// 10,000 x about 200 B = 2 MB; an agent that gives one a second is safe for hours.
pub const OPS_REMEMBERED_MAX: usize = 10_000;

/// Most commands that are given at once.
pub const BATCH_LEN_MAX: usize = 256;

/// Most commands that are given at once, each to be answered by itself.
// Each may be refused with what is closest to a text: 16 x 15 ms in the largest sections.
pub const EACH_LEN_MAX: usize = 16;

/// Most bytes of text in commands that are given at once.
// Four of the largest sections.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Most versions that places of a text are moved over.
// Who is further behind reads the section again: 1,024 keys are some minutes of typing.
pub const REBASED_MAX: u64 = 1_024;

/// Most bytes of the present text in the refusal of a command.
pub const CURRENT_BYTES_MAX: usize = 2 * 1024;

/// About the most bytes of what has changed since a version, in words, in the refusal of a command.
pub const SINCE_BYTES_MAX: usize = 2 * 1024;

/// Most bytes of text in the answer to a question.
// Four of the largest sections; who wants more asks for one after the other.
pub const QUERY_BYTES_MAX: usize = 1024 * 1024;

/// Longest title in an outline, in bytes.
pub const TITLE_BYTES_MAX: usize = 200;

/// Most agents whose dead incarnations are remembered; of those forgotten only the lease protects.
// 100,000 x about 150 B = 15 MB.
pub const DEAD_MAX: usize = 100_000;

/// Most changes that a durable document has decided and not yet kept; beyond, edits and locks are refused.
// The store is behind by seconds then: 4,096 are some hundred times what one commit takes under load.
pub const UNSAVED_LEN_MAX: usize = 4_096;

/// Most bytes of them. 8 MiB are 32 of the largest edits.
pub const UNSAVED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most answers, notes and events that wait for what was decided before them to be kept.
// 100,000 x about 200 B = 20 MB.
pub const HELD_LEN_MAX: usize = 100_000;

/// Least bytes of entries behind a snapshot before the next one. Below that, reading them takes less than a
/// millisecond.
pub const ENTRIES_BYTES_MIN: usize = 64 * 1024;

/// Entries that are read from a store at once.
pub const ENTRIES_PAGE: usize = 1_024;

/// Most suggestions that wait for an answer in one section.
// Each is moved by each edit of its section: 256 x about 50 ns = 13 us per edit at the worst.
pub const SUGGESTIONS_PER_SECTION_MAX: usize = 256;

/// Most suggestions that wait for an answer in one document.
// 4,096 x about 1 KB = 4 MB.
pub const SUGGESTIONS_MAX: usize = 4_096;

/// Most bytes of all texts and notes of the suggestions of a document.
// A quarter of the largest document.
pub const SUGGESTIONS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest note of a suggestion, in bytes.
pub const NOTE_BYTES_MAX: usize = 4 * 1024;

/// Most places of one suggestion.
pub const SUGGESTION_CHANGES_MAX: usize = 1_024;

/// Most suggestions with an operation id that are answered and still known, so that making one again is not
/// making another.
// 1,024 x about 200 B = 200 KB.
pub const SUGGESTIONS_ANSWERED_MAX: usize = 1_024;

/// Most streams that are open in a document.
// Each is moved by each edit of its section; agents beyond that take turns.
pub const STREAMS_MAX: usize = 1_024;

/// Most of them of one holder.
pub const STREAMS_PER_HOLDER_MAX: usize = 16;

/// Most bytes of a stream that wait: for what closes a fence, or for the next 50 ms. 64 KiB are a quarter of
/// the largest section, and some ten minutes of a model's output.
pub const STREAM_BYTES_MAX: usize = 64 * 1024;

/// Most conflicts that the answer of a revert lists; it counts all.
pub const CONFLICTS_MAX: usize = 100;

/// Longest excerpt in a conflict, in bytes.
pub const EXCERPT_BYTES_MAX: usize = 160;
