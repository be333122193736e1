//! Every limit, with its arithmetic. A queue, map, body, depth or history without a line here is a bug.
//!
//! Lengths are bytes, unless the name says otherwise. Units stand last in a name.

use std::time::Duration;

// --- Names ---------------------------------------------------------------------------------------

/// Longest agent id, in bytes.
// Under 255, the longest file name of ext4, APFS and NTFS, so an id with an extension and a node's
// name still names a file. 1,000,000 agents x 128 B = 128 MB of names in the worst case.
pub const AGENT_ID_LEN_MAX: usize = 128;

/// Longest name of a group or capability, in bytes.
// As an agent id. 64 tags x 128 B = 8 KiB of names for one agent in the worst case.
pub const TAG_NAME_LEN_MAX: usize = 128;

/// Most groups and capabilities that one agent is in.
// Leaving costs one map operation per tag when an agent ends: 64 x ~200 ns = 13 us.
pub const TAGS_PER_AGENT_MAX: usize = 64;

// --- Envelopes -----------------------------------------------------------------------------------

/// Longest payload of an envelope, in bytes (1 MiB).
// A full default mailbox of the largest: 1,024 x 1 MiB = 1 GiB, the most that one agent can hold up.
// Larger things travel as documents or files, by reference.
pub const PAYLOAD_LEN_MAX: usize = 1024 * 1024;

/// Longest header of an encoded envelope, in bytes.
// version, type, flags: 3 | id, correlation id: 2 x 16 | timestamp, deadline: 2 x 10 (varint of u64)
// | to, from: 2 x (2 + 128) | trace: 16 + 8 + 1 | payload length: 3 = 343.
pub const ENVELOPE_HEADER_LEN_MAX: usize =
    3 + 2 * 16 + 2 * 10 + 2 * (2 + AGENT_ID_LEN_MAX) + (16 + 8 + 1) + 3;

/// Longest encoded envelope, in bytes: longest header and longest payload.
// 343 B + 1 MiB: a reader may refuse a longer frame before it reads it.
pub const ENVELOPE_LEN_MAX: usize = ENVELOPE_HEADER_LEN_MAX + PAYLOAD_LEN_MAX;

// --- Mailboxes, dead letters, events ---------------------------------------------------------------

/// Messages in a mailbox by default, per agent.
// 1,024 x 256 B (a large typed message, inline) = 256 KiB per busy agent; nothing for an idle one.
pub const MAILBOX_CAPACITY_DEFAULT: usize = 1024;

/// Largest capacity that a bounded mailbox may be given.
// 2^20 x 64 B (a small message) = 64 MiB for one agent. Who needs more writes down `unbounded`.
pub const MAILBOX_CAPACITY_MAX: usize = 1 << 20;

/// Dead letters kept for reading, per system; older ones are only counted.
// 1,024 x (343 B header + 1 KiB usual payload) = 1.4 MiB; 1 GiB if every payload is the largest, so
// what is kept of a payload is cut to `DEAD_LETTER_PAYLOAD_LEN_MAX`.
pub const DEAD_LETTERS_KEPT_MAX: usize = 1024;

/// Bytes of payload kept with a dead letter.
// 1,024 letters x 4 KiB = 4 MiB at most.
pub const DEAD_LETTER_PAYLOAD_LEN_MAX: usize = 4 * 1024;

/// Events kept in the ring of a system for readers that fall behind.
// 4,096 x 128 B = 512 KiB; at 10,000 events/s a reader may be 400 ms late before it must resynchronise.
pub const EVENT_RING_LEN: usize = 4096;

/// Watchers of one registry or one document.
// All share one ring, so a change costs the same for each number of them; each watcher holds at most one
// block of it that is not kept any more: 1,024 x 8 KiB = 8 MiB.
pub const WATCHERS_MAX: usize = 1024;

// --- Agents and supervision -----------------------------------------------------------------------

/// Agents registered in one system.
// 2^24 x ~400 B (id, 32 B of the registry, cell) = 6.7 GB: memory ends first, so this only stops a runaway
// loop.
pub const AGENTS_MAX: usize = 1 << 24;

/// Depth of a supervision tree.
// A shutdown walks down one level per turn: 64 levels x 5 s default deadline = 320 s at the very worst.
pub const TREE_DEPTH_MAX: usize = 64;

/// Restarts remembered by one supervisor, the largest `restarts_max`.
// 10,000 x 16 B (a `Duration`) = 160 KB per supervisor that crashes for ever; the default keeps 3.
pub const RESTART_WINDOW_LEN_MAX: usize = 10_000;

// --- Retry ----------------------------------------------------------------------------------------

/// Most attempts of a retried call, the first one included.
// 100 x 10 s (default `max_backoff`) = 17 min. Longer is a job for a durable mailbox.
pub const RETRY_ATTEMPTS_MAX: u32 = 100;

/// Longest wait between two attempts.
// One day: far above any `Retry-After` that is meant, far below the overflow of a timer wheel.
pub const RETRY_BACKOFF_MAX: Duration = Duration::from_secs(24 * 60 * 60);

// --- Documents ------------------------------------------------------------------------------------

/// Longest document, in bytes (16 MiB).
// The largest book-length Markdown files have about 5 MiB. In memory twice (text and index): 32 MiB.
pub const DOCUMENT_LEN_MAX: usize = 16 * 1024 * 1024;

/// Most sections of one document.
// 10,000 x 1.6 KiB mean = 16 MiB, the longest document; the index has 10,000 x ~200 B = 2 MB.
pub const SECTIONS_MAX: usize = 10_000;

/// Longest text of one section, in bytes (256 KiB).
// A quarter of `PAYLOAD_LEN_MAX`: a DOC_EDIT with every byte escaped as `\n` in JSON (x 2), old and new
// text together (x 2), still fits into one envelope.
pub const SECTION_LEN_MAX: usize = 256 * 1024;

/// Most requests that queue for the lock of one section.
// 1,000 x ~150 B = 150 KB; with leases of 30 s the last one waits up to 8 h, so more is a mistake.
pub const LOCK_WAITERS_MAX: usize = 1000;

/// Priority messages that an agent takes in a row while user messages wait (M3).
///
/// 16 of them keep a waiting user message behind by at most 16 handler steps.
pub const PRIORITY_STREAK_MAX: usize = 16;

/// Senders that may wait for room in one mailbox; one more is refused as full at once.
///
/// 65,536 × 32 B = 2 MiB per mailbox that everybody is stuck on.
pub const SEND_WAITERS_MAX: usize = 65_536;

/// HEARTBEATs that wait for one agent's answer; one more is refused as full.
///
/// 1,024 × some 250 B = 256 KiB for an agent whose handler does not come back.
pub const SYSTEM_MAIL_MAX: usize = 1024;

// --- What is durable -----------------------------------------------------------------------------

/// Messages that wait in a durable mailbox by default.
// 100,000 x some 200 B on disk = 20 MB; at 1,000 handled per second, 100 s of work.
pub const DURABLE_MESSAGES_MAX_DEFAULT: u64 = 100_000;

/// Bytes of payload that wait in a durable mailbox by default (256 MiB).
// 256 of the largest envelopes; four such mailboxes make 1 GiB.
pub const DURABLE_BYTES_MAX_DEFAULT: u64 = 256 * 1024 * 1024;

/// Ids by which a durable mailbox knows duplicates: that many of the newest.
// 2^20 x some 60 B on disk = 63 MB for the busiest mailbox; at 10,000 messages per second a sender may
// repeat itself after 104 s, far above the longest deadline of a send and its retries.
pub const DEDUPE_IDS_MAX: usize = 1 << 20;

/// How often the delivery of a durable message begins before it is a dead letter, by default.
// As the attempts of a retry and two more: a message that crashed its agent five times is at fault.
pub const DELIVERIES_MAX_DEFAULT: u32 = 5;

/// Messages that a durable agent reads at once.
// 256 x (343 B + some 200 B) = 139 KB; a read costs tens of microseconds whatever its length, so a page
// makes that less than the handling of its messages.
pub const DURABLE_PAGE_LEN: usize = 256;

/// Messages that a durable agent has sent and that wait for room; it handles no more until there is some.
// 10,000 x (343 B + some 200 B) = 5.4 MB per agent whose receivers are all full.
pub const OUTBOX_LEN_MAX: usize = 10_000;

/// Messages that a durable agent acknowledges in one commit.
// As many as a page has: a crash repeats at most two pages of handling, one under way and one collected.
pub const COMMIT_MESSAGES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_agree_with_each_other() {
        const {
            assert!(ENVELOPE_HEADER_LEN_MAX == 343);
            assert!(ENVELOPE_LEN_MAX == ENVELOPE_HEADER_LEN_MAX + PAYLOAD_LEN_MAX);
            assert!(4 * SECTION_LEN_MAX <= PAYLOAD_LEN_MAX);
            assert!(SECTION_LEN_MAX <= DOCUMENT_LEN_MAX);
            assert!(MAILBOX_CAPACITY_DEFAULT <= MAILBOX_CAPACITY_MAX);
            assert!(DEAD_LETTER_PAYLOAD_LEN_MAX <= PAYLOAD_LEN_MAX);
            // The varint of the longest payload has 3 bytes, of the longest id 2: the header's arithmetic.
            assert!(PAYLOAD_LEN_MAX < 1 << 21);
            assert!(AGENT_ID_LEN_MAX < 1 << 14);
        }
    }
}
