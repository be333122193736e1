//! The promises of `docs/semantics.md` on the real runtime.

#![expect(missing_docs, reason = "tests")]

mod agents;
mod guard;
mod registry;
mod stage;
mod supervision;
