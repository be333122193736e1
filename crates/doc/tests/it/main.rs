//! The promises of documents, on the real runtime.

mod support;

mod envelopes;
mod locks;
mod versions;
