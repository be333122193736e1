//! The mirror and the rooms, against real Yjs replicas and against each other.

mod convergence;
mod enforcement;
mod hostile;
mod node;
mod random;
