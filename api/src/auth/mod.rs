//! Token → [`Principal`]; rule → predicate.

mod error;
mod jwks;
mod keys;
mod principal;
pub mod rules;
mod token;

pub use error::Error;
pub use jwks::LoadError;
pub use keys::{KeyError, local_secret};
pub use principal::Principal;
pub use token::{Authenticator, NewToken, issue};
