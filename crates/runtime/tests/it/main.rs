//! The promises of `docs/semantics.md` on the real runtime.

mod support;

mod agents;
mod crash;
mod envelopes;
mod ledger;
mod scale;
