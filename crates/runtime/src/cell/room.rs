//! Memory for many cells at a time.
//!
//! glibc grows the heap of a thread other than the first page by page, with a system call for every
//! eight cells or so. Whoever has taken some 50 KiB in one piece and given it back finds all of them
//! there, still next to the end of the heap, and its own allocator's other users are not touched.

use std::cell::Cell;
use std::hint::black_box;

/// Taken at once. Below 64 KiB glibc keeps what is given back at the end of a heap.
const ROOM: usize = 48 << 10;
/// What a cell needs beside itself: its id, entries of tables.
const BESIDE: usize = 96;

thread_local! {
    // What this thread may have left of it.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// Makes room for a cell of so many bytes, and those after it.
#[inline]
pub(crate) fn make(len: usize) {
    let needed = len + BESIDE;
    match LEFT.get().checked_sub(needed) {
        Some(left) => LEFT.set(left),
        None => refill(needed),
    }
}

#[cold]
fn refill(needed: usize) {
    drop(black_box(Vec::<u8>::with_capacity(ROOM)));
    LEFT.set(ROOM.saturating_sub(needed));
}
