//! Every limit of live editing, with its arithmetic. Lengths are bytes, unless the name says otherwise.

use std::time::Duration;

// --- What is mirrored ----------------------------------------------------------------------------

/// Longest text of one section (256 KiB).
// yrs has no index by position: an edit walks the section, some 1 us per KiB, so 0.3 ms at the most.
pub const SECTION_LEN_MAX: usize = 256 * 1024;

/// Longest text of all sections together (16 MiB).
// Three copies (rope, mirror's text, CRDT) and the CRDT's overhead: below 100 MB for the largest document.
pub const DOCUMENT_LEN_MAX: usize = 16 * 1024 * 1024;

/// Most sections of a document.
// 10,000 x ~1 KiB (root, observer, outline entry) = 10 MB.
pub const SECTIONS_MAX: usize = 10_000;

/// Longest name of a section.
// A number or a short word: it is repeated in every browser's first item of a section.
pub const SECTION_ID_LEN_MAX: usize = 64;

/// Most splices that one transaction applies one by one; more are joined to a single one.
// Each walks the section: 64 x 0.3 ms = 20 ms for the longest section, 64 x 2 us for a usual one.
pub const SPLICES_PER_EDIT_MAX: usize = 64;

/// How long a room that everybody has left is kept.
// Who lost the network for some minutes goes on as if nothing had happened; longer, and the memory counts.
pub const UNLOAD_AFTER: Duration = Duration::from_secs(10 * 60);

/// How often the size of a CRDT state is looked at.
// A look encodes the state, 10 ms per MB; a new epoch makes every editor open the document again.
pub const COMPACT_EVERY: Duration = Duration::from_secs(60 * 60);

/// Smallest CRDT state that is ever worth a new epoch (64 KiB).
// Below, the reopening of every editor costs more than the memory.
pub const COMPACT_STATE_LEN_MIN: usize = 64 * 1024;

/// A CRDT state longer than this many times its text is worth a new epoch.
// Frequently rewritten text grows to about 6 times its length: 8 is beyond what ordinary work makes.
pub const COMPACT_RATIO: usize = 8;

/// A CRDT state longer than this is worth a new epoch, whatever the text (8 MiB).
// A joiner loads it in some 0.3 s; beyond, joining is felt.
pub const COMPACT_STATE_LEN_MAX: usize = 8 * 1024 * 1024;

// --- What comes in -------------------------------------------------------------------------------

/// Longest frame taken from a connection (1 MiB).
// A paste of the longest section is 256 KiB; the offline work of a day fits.
pub const FRAME_LEN_MAX: usize = 1024 * 1024;

/// Largest clock of a client, exclusive.
// yrs counts in 32 bits; half of them leaves sums of two lengths without overflow.
pub const CLOCK_MAX: u64 = 1 << 31;

/// Largest client id of Yjs, exclusive: the integers that JavaScript has.
pub const CLIENT_ID_MAX: u64 = 1 << 53;

/// Longest presence of one client (4 KiB).
// A name, a colour and a cursor are 300 bytes.
pub const PRESENCE_LEN_MAX: usize = 4 * 1024;

/// Largest presence clock taken from a client, exclusive.
// Clocks go out one larger, also after the client left, and JavaScript ends at 2^53: beyond, every reader fails.
// A client counts one per move: 2^48 is 9,000 years of 1,000 moves a second.
pub const PRESENCE_CLOCK_MAX: u64 = 1 << 48;

/// Most clients in one presence frame from a connection.
// A stock editor echoes all that it was told: 1,000 people x ~300 B is within the frame anyway.
pub const PRESENCE_ENTRIES_MAX: usize = 1_024;

/// Longest facts in the server's own presence entry (64 KiB).
// 1,000 locks x 64 B, sent to all when a lock changes hands.
pub const FACTS_LEN_MAX: usize = 64 * 1024;

/// Clients whose last presence clock is remembered after they left.
// 4,096 x 48 B = 200 KiB. Forgetting costs a returning person 30 s of invisibility, nothing else.
pub const CLOCKS_REMEMBERED_MAX: usize = 4_096;

/// Connections of one room.
// 1,000 x (1 MiB outbox in the worst case) = 1 GiB; a usual outbox is a few shared frames.
pub const CONNECTIONS_MAX: usize = 1_000;

// --- What goes out -------------------------------------------------------------------------------

/// Frames waiting for one connection.
// At 25 ticks/s: 10 s of a stalled reader.
pub const OUTBOX_FRAMES_MAX: usize = 256;

/// Bytes waiting for one connection, of more than one frame (1 MiB).
pub const OUTBOX_LEN_MAX: usize = 1024 * 1024;

/// Frames on their way to one socket.
// What waits for the socket's task, which writes all that is there at once; more waits in the room, where it is
// merged.
pub const LINK_FRAMES_MAX: usize = 16;

/// Longest text that a notice gives back (16 KiB).
// Some pages: what a person would not like to type again.
pub const NOTICE_TEXT_LEN_MAX: usize = 16 * 1024;

/// How long document updates are collected before they go out as one frame.
// Between 30 and 50 ms: below perception, and 20 streaming agents cost what one costs.
pub const UPDATE_TICK: Duration = Duration::from_millis(40);

/// Updates collected for a tick, in bytes; more go out at once (256 KiB).
// A quarter of an outbox, so that one tick never makes a reader fall behind by itself.
pub const COLLECTED_LEN_MAX: usize = OUTBOX_LEN_MAX / 4;

/// How long presence is collected before it goes out as one frame.
// A cursor five times a second looks alive; 1,000 people renewing cost 5 frames/s each, not 67.
pub const PRESENCE_TICK: Duration = Duration::from_millis(200);

/// How often the server renews its own presence.
// Stock editors hang up after 30 s without a message: two may be lost.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// How soon a connection is asked again for what it has and the mirror lacks, and told again that it may not write.
// Its whole state may be the answer: at most one MiB per second and connection.
pub const RESYNC_AFTER: Duration = Duration::from_secs(1);

/// The longest that [`RESYNC_AFTER`] grows to while asking is in vain.
// An editor that itself lacks what the mirror lacks cannot answer better the next time.
pub const RESYNC_AFTER_MAX: Duration = Duration::from_secs(64);

// --- The edge: HTTP and sockets ------------------------------------------------------------------

/// Longest body of a request (1 MiB).
// A section of 256 KiB as JSON, every character escaped as six, is 1.5 MiB: nobody writes that; twice the text fits.
pub const BODY_LEN_MAX: usize = 1024 * 1024;

/// Longest head of a request (16 KiB).
// A browser's head with its cookies of all ports of one host is some 4 KiB.
pub const HEAD_LEN_MAX: usize = 16 * 1024;

/// How long the head of a request may take, and how long a connection waits for the next one.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a request may take as a whole.
// Calls to the document's agent end after 5 s, a diff of two sections takes 0.1 s.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// Connections at a time; further ones wait in the kernel's queue.
// As many sockets as a room takes, and some requests: 1,024 x (16 KiB head + 2 buffers of a socket) = 150 MB.
pub const HTTP_CONNECTIONS_MAX: usize = 1_024;

/// Longest time that one write to a socket may take.
// Stock editors hang up after 30 s themselves.
pub const WRITE_TIME_MAX: Duration = Duration::from_secs(30);

/// How often a silent peer is asked whether it is there; it is given up after three times without a word.
pub const PING_EVERY: Duration = Duration::from_secs(20);

/// Frames of one socket that may be on their way to the document before the next is read.
// 1,000 sockets x 16 are more than a mailbox holds, but one socket alone never fills it.
pub const BURST_FRAMES_MAX: usize = 16;

/// How long what is under way may take when the server ends.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// One-time links that wait to be opened; the oldest is forgotten.
// 64 people can be invited before the first one comes.
pub const LINKS_MAX: usize = 64;

/// Longest name of a person, in characters; with its sign it must also fit an agent's id.
pub const PERSON_CHARS_MAX: usize = 64;

/// Longest lease that a person is given at once.
// The longest that anybody holds a lock, however often it is renewed.
pub const LEASE_MAX: Duration = Duration::from_secs(5 * 60);

/// Most entries of the log in one answer.
// 500 x ~200 B = 100 KB.
pub const LOG_ENTRIES_MAX: usize = 500;
