//! A store that loses what was not synced, and what is held against it: the laws of the seam, and agents
//! that must lose nothing on it.
//!
//! Reading order: [`SimDisk`] (the store and its faults), [`conformance`] (the laws, for every engine),
//! [`oracle`] (what a history of deliveries must be), [`clerk`] and [`driver`] (a durable agent, small),
//! [`schedules`] (all of it together, under power cuts).

mod answer;
pub mod clerk;
pub mod conformance;
mod disk;
pub mod driver;
pub mod oracle;
pub mod schedules;
mod wait;

pub use self::disk::{Cut, Effect, Fault, Fencing, Honesty, Setup, SimDisk, SimStore, Syncs};
pub use self::wait::{block_on, poll_now};
