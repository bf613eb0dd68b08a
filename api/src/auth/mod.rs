//! Token → [`Principal`]; rule → predicate.

mod principal;

pub use principal::Principal;
