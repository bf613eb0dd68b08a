//! Token → [`Principal`]; rule → predicate.

mod principal;
pub mod rules;

pub use principal::Principal;
