//! S: supervision.

mod admin;
mod beyond;
mod end;
mod many;
mod restart;
mod start;
mod strategy;
mod tree;
