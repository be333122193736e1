//! The store as its users see it, on a real disk.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    reason = "tests start processes, read their settings, and fail"
)]

mod common;
mod conformance;
mod damage;
#[cfg(target_os = "linux")]
mod disk;
mod golden;
mod kill;
mod opening;
mod operator;
