//! The promises of documents, on the real runtime.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests: helpers outside of test functions unwrap and say how to repeat, and jobs end with the test's runtime"
)]

mod support;

mod commands;
mod durable;
mod envelopes;
mod file;
mod locks;
mod markdown_files;
mod past;
mod versions;
