//! Bytes to values and back: no allocation, no clock, no I/O.
//!
//! The contract of this floor: a view that was made from bytes never panics,
//! whatever the bytes are; writing never panics on a buffer of the length that
//! the matching `*_length` function gives.

#![warn(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

pub mod advert;
pub mod auth;
pub mod checksum;
pub mod frames;
