//! Seeded worlds that drive the rules of `ggml-agent`, and naive models that judge them.
//!
//! Everything here follows from one seed: the same seed gives the same events, the same orders and
//! the same trace, byte for byte. Reading order: [`rng`], [`supervise`], [`mail`], [`locks`], [`store`].

pub mod locks;
pub mod mail;
pub mod rng;
pub mod store;
pub mod supervise;
