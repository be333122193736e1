//! Each promise S1 to S34 by name, against an obedient world in memory.

mod admin;
mod beyond;
mod intensity;
mod restart;
mod start;
mod stop;
mod strategy;
mod tree;
mod world;
