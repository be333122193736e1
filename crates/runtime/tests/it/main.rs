//! The promises of `docs/semantics.md` on the real runtime.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests; helpers outside of a test function too"
)]

mod support;

mod agents;
mod crash;
mod durable;
mod endings;
mod envelopes;
mod events;
mod guard;
mod ledger;
mod registry;
mod runs;
mod scale;
mod stage;
mod supervision;
mod trees;
