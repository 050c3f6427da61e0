//! From text to a configuration; pure, files come in through a trait.

pub mod model;
