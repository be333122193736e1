//! Whether the write-ahead log is whole, looked at before SQLite does.
//!
//! SQLite takes the first frame whose checksum fails for the end of the log, and forgets what lies
//! behind. That is right for the transaction that a power cut tore, the last one; if another follows it,
//! the frame was flushed once, so it is damaged, and forgetting the rest would lose what was acknowledged.
//!
//! The form is that of SQLite's "WAL-mode File Format", §4: a header of 32 bytes, then frames of 24 bytes
//! and a page, all checksums in one chain.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

const HEADER_LEN: usize = 32;
const FRAME_HEADER_LEN: usize = 24;

/// What is wrong with the log at `path`, if something is. No log is a whole one.
pub(crate) fn damage(path: &Path) -> io::Result<Option<String>> {
    match File::open(path) {
        Ok(file) => scan(&mut BufReader::with_capacity(1 << 16, file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn scan(file: &mut impl Read) -> io::Result<Option<String>> {
    let mut header = [0; HEADER_LEN];
    if !fill(file, &mut header)? || header == [0; HEADER_LEN] {
        return Ok(None); // Never begun: the header is flushed before the first frame.
    }
    let magic = word(&header, 0);
    let page_len = word(&header, 8) as usize;
    let mut sum = Chain { is_big_endian: magic & 1 == 1, words: (0, 0) };
    sum.add(&header[..24]);
    let is_header = magic & !1 == 0x377f_0682
        && sum.words == (word(&header, 24), word(&header, 28))
        && (512..=65_536).contains(&page_len);
    if !is_header {
        return Ok(Some("the header of its write-ahead log is damaged".into()));
    }
    let mut frame = vec![0; FRAME_HEADER_LEN + page_len];
    let (mut number, mut broken, mut commit_behind) = (0_u64, None, false);
    while fill(file, &mut frame)? {
        number += 1;
        // Frames of an earlier round of the log have other salts.
        let is_of_this_round = frame[8..16] == header[16..24];
        if broken.is_none() {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME_HEADER_LEN..]);
            if is_of_this_round && sum.words == (word(&frame, 16), word(&frame, 20)) {
                continue;
            }
            broken = Some(number);
            // If it looks like the end of its transaction, it may have been one.
            commit_behind = word(&frame, 4) != 0;
        } else if is_of_this_round {
            if commit_behind {
                let at = broken.unwrap_or_default();
                return Ok(Some(format!("frame {at} of its write-ahead log is damaged")));
            }
            commit_behind = word(&frame, 4) != 0;
        }
    }
    Ok(None)
}

/// Whether there was so much.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

struct Chain {
    is_big_endian: bool,
    words: (u32, u32),
}

impl Chain {
    fn add(&mut self, bytes: &[u8]) {
        let (mut first, mut second) = self.words;
        for pair in bytes.chunks_exact(8) {
            let (a, b) = (word(pair, 0), word(pair, 4));
            let (a, b) = if self.is_big_endian { (a, b) } else { (a.swap_bytes(), b.swap_bytes()) };
            first = first.wrapping_add(a).wrapping_add(second);
            second = second.wrapping_add(b).wrapping_add(first);
        }
        self.words = (first, second);
    }
}
