//! Live co-writing of a document by stock Yjs editors.
//!
//! The document itself (ropes, locks, versions) is somebody else's. This crate keeps a CRDT [`mirror`] of its
//! texts, speaks the Yjs wire [`protocol`], and decides in a [`room`] what every connection is told. All of it is
//! pure: bytes and a time go in, frames and splices come out. Only [`http`] serves sockets.
//!
//! # Example
//! ```
//! use ggml_agent_live::mirror::{Boot, ClientId, Entry, Mirror, Seed, Splice, YrsMirror};
//! let plan = "s1".parse()?;
//! let boot = Boot { epoch: 1, client: ClientId::small(42) };
//! let mut mirror = YrsMirror::open(boot, vec![Seed::new("s1".parse()?, "# Plan\n", Entry::default())])?;
//! mirror.apply(&plan, &[Splice::insert(7, "Soon.\n")])?;
//! assert_eq!(mirror.text(&plan), Some("# Plan\nSoon.\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading order: [`limits`], [`mirror`], [`protocol`], [`room`], [`beside`], [`http`].

pub mod beside;
pub mod http;
pub mod limits;
pub mod mirror;
pub mod protocol;
pub mod room;
mod wire;
