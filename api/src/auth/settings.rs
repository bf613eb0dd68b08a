//! The settings of tokens.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Secret;

/// What the settings of tokens must fulfil together, and do not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// More than one source of keys.
    #[error(
        "give one of --jwt-secret (TANDEM_JWT_SECRET), --jwt-public-key (TANDEM_JWT_PUBLIC_KEY) and --jwks \
         (TANDEM_JWKS), not several"
    )]
    SeveralKeys,
    /// RFC 7518, section 3.2: the key has at least the size of the hash.
    #[error("--jwt-secret (TANDEM_JWT_SECRET) has {0} bytes; at least 32 are needed")]
    ShortSecret(usize),
}

/// Tokens.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct AuthSettings {
    /// Secret of tokens signed with HS256, at least 32 bytes
    #[arg(long, env = "TANDEM_JWT_SECRET", value_name = "SECRET")]
    pub jwt_secret: Option<Secret>,

    /// PEM file with the public key of tokens signed with RS256, ES256 or EdDSA
    #[arg(long, env = "TANDEM_JWT_PUBLIC_KEY", value_name = "FILE")]
    pub jwt_public_key: Option<PathBuf>,

    /// File or http(s) URL of a JSON Web Key Set with the public keys of tokens
    #[arg(long, env = "TANDEM_JWKS", value_name = "FILE-OR-URL")]
    pub jwks: Option<String>,

    /// Issuers that are accepted, separated by commas [default: any]
    #[arg(long, env = "TANDEM_JWT_ISSUER", value_name = "ISSUER", value_delimiter = ',')]
    pub jwt_issuer: Vec<String>,

    /// Audiences that are accepted, separated by commas [default: any]
    #[arg(long, env = "TANDEM_JWT_AUDIENCE", value_name = "AUDIENCE", value_delimiter = ',')]
    pub jwt_audience: Vec<String>,

    /// Claim that holds the roles: a list, or a string with spaces; dots go into nested claims
    #[arg(long, env = "TANDEM_JWT_ROLES_CLAIM", value_name = "CLAIM", default_value = "roles")]
    pub jwt_roles_claim: String,

    /// Role that may do everything
    #[arg(long, env = "TANDEM_ADMIN_ROLE", value_name = "ROLE", default_value = "admin")]
    pub admin_role: String,
}

impl AuthSettings {
    /// The given source of keys, `None` if there is none. An empty variable counts as not given.
    pub fn key_source(&self) -> Result<Option<KeySource>, SettingsError> {
        let secret = self.jwt_secret.clone().filter(|secret| !secret.expose().is_empty());
        let jwks = self.jwks.clone().filter(|location| !location.is_empty());
        match (secret, self.jwt_public_key.clone(), jwks) {
            (None, None, None) => Ok(None),
            (Some(secret), None, None) => match secret.expose().len() {
                short if short < 32 => Err(SettingsError::ShortSecret(short)),
                _ => Ok(Some(KeySource::Secret(secret))),
            },
            (None, Some(path), None) => Ok(Some(KeySource::PublicKey(path))),
            (None, None, Some(location)) => Ok(Some(KeySource::Jwks(location))),
            _ => Err(SettingsError::SeveralKeys),
        }
    }
}

/// Where the keys of tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// HS256 with this secret.
    Secret(Secret),
    /// HS256 with the secret in this file, which is made if it is not there.
    Local(PathBuf),
    /// A PEM file.
    PublicKey(PathBuf),
    /// File or URL of a JSON Web Key Set.
    Jwks(String),
}

impl KeySource {
    /// The file of the secret, if it is this server's own.
    pub fn local_path(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Secret(_) | Self::PublicKey(_) | Self::Jwks(_) => None,
        }
    }
}
