//! The house's tools: they hold the project to what it says about itself.
//!
//! Not here: anything that the product needs at run time. Run them as `cargo xtask promises`,
//! `cargo xtask sabotage`, `cargo xtask tidy` and `cargo xtask instructions`.
//!
//! Reading order: [`source`] (which files there are, and what in them is code), then [`promises`],
//! [`tidy`], [`sabotage`] and [`instructions`].

pub mod error;
pub mod instructions;
pub mod process;
pub mod promises;
pub mod sabotage;
pub mod source;
pub mod tidy;

pub use error::Error;
