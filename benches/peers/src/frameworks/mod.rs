//! One file per framework: how its users start actors, send and ask.

pub(crate) mod raw;

pub(crate) mod tokio_mpsc;

pub(crate) mod ggml_agent;

mod on_tokio;
