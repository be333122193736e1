//! One file per framework: how its users start actors, send and ask.

pub(crate) mod ggml_agent;

mod raw;
pub(crate) mod tokio_mpsc;

pub(crate) mod flume;
pub(crate) mod kanal;

pub(crate) mod actix;
pub(crate) mod kameo;
pub(crate) mod ractor;
pub(crate) mod xtra;

pub(crate) mod beam;

mod on_tokio;
