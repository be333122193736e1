//! The promises of documents, on the real runtime.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: helpers outside of test functions unwrap, and jobs end with the test's runtime"
)]

mod support;

mod envelopes;
mod locks;
mod versions;
