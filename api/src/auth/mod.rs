//! Token → [`Principal`]; rule → predicate.

mod error;
mod jwks;
mod key;
mod keys;
mod principal;
pub mod rules;
mod secret;
mod settings;
mod token;

pub use error::Error;
pub use jwks::LoadError;
pub use keys::{KeyError, local_secret};
pub use principal::{Principal, RoleNames};
pub use secret::Secret;
pub use settings::{AuthSettings, KeySource, SettingsError};
pub use token::{Authenticator, NewToken, issue};
