//! The house's tools: they hold the project to what it says about itself.
//!
//! Not here: anything that the product needs at run time. Run them as `cargo xtask promises`,
//! `cargo xtask sabotage` and `cargo xtask tidy`.
//!
//! Reading order: [`source`] (which files there are, and what in them is code), then [`promises`],
//! [`tidy`] and [`sabotage`].

pub mod error;
pub mod process;
pub mod promises;
pub mod sabotage;
pub mod source;
pub mod tidy;

pub use error::Error;
