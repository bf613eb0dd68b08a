//! store

pub mod tables;
