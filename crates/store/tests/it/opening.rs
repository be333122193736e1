//! opening.
