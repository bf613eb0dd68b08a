//! What webhooks are signed with, how that is kept, and who receivers know this system by.

use std::time::Duration;

use clap::Args;

use super::values::duration;
use super::{Error, Settings};
use crate::auth::{RoleNames, Secret};
use crate::webhook::verification::Sending;
use crate::webhook::{registry, vault};

/// Signatures of webhooks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Webhooks")]
pub struct SigningSettings {
    /// How long a secret still signs after it was rotated, beside the new one
    #[arg(long = "webhook-secret-overlap", env = "TANDEM_WEBHOOK_SECRET_OVERLAP", value_name = "DURATION",
          default_value = "24h", value_parser = duration)]
    pub secret_overlap: Duration,

    /// Key that secrets of webhooks are encrypted with in the database: 32 bytes in base64. Of several, separated by commas,
    /// the first one encrypts, and the others only decrypt [default: a file of the data directory, made at first start;
    /// required with PostgreSQL unless listening on loopback]
    #[arg(long, env = "TANDEM_ENCRYPTION_KEY", value_name = "KEYS")]
    pub encryption_key: Option<Secret>,

    /// URL at which others reach this server, such as `https://tandem.example.com`; receivers that are asked whether they want
    /// events are told its host, and where to confirm it [default: the name localhost, and nowhere]
    #[arg(long, env = "TANDEM_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Sending>,
}

impl Settings {
    /// Where the key comes from that secrets in the database are encrypted with. Without any given: a file of the data
    /// directory, which an SQLite file is in as well, and which is good enough for PostgreSQL on loopback.
    pub fn encryption_source(&self) -> Result<vault::Source, Error> {
        let is_embedded = self.database.url().expose().starts_with("sqlite:");
        match self.signing.encryption_key.clone().filter(|key| !key.expose().is_empty()) {
            Some(key) => Ok(vault::Source::Given(key)),
            None if is_embedded || self.server.is_loopback() => {
                Ok(vault::Source::File(self.database.data.encryption_key_path()))
            }
            None => Err(Error::EncryptionKeyRequired(self.server.listen)),
        }
    }

    /// What is set about the registering of webhooks.
    pub fn registry(&self) -> registry::Settings {
        registry::Settings { secret_overlap: self.signing.secret_overlap, roles: RoleNames::of(&self.auth) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn the_encryption_key_is_required_where_others_share_the_database() {
        let (file, given) = (vault::Source::File("d/encryption-key".into()), vault::Source::Given(Secret::new(KEY)));
        let (everywhere, shared) = ("0.0.0.0:1", "postgres://db/shop");
        let required = Error::EncryptionKeyRequired(everywhere.parse().unwrap());
        let cases: [(&[&str], _); 5] = [
            (&[], Ok(file.clone())),
            (&["--database-url", shared], Ok(file.clone())),
            (&["--listen", everywhere, "--encryption-key", ""], Ok(file)),
            (&["--listen", everywhere, "--database-url", shared], Err(required)),
            (&["--listen", everywhere, "--database-url", shared, "--encryption-key", KEY], Ok(given)),
        ];
        for (flags, expected) in cases {
            let settings = settings(&[&["--data-dir", "d"], flags].concat());
            assert_eq!(settings.encryption_source(), expected, "{flags:?}");
        }
    }

    #[test]
    fn the_public_url_names_the_system() {
        let sending = |url: &str| settings(&["--public-url", url]).signing.public_url.unwrap();
        let named = sending("https://tandem.example.com:8443/base/");
        assert_eq!(named.origin, "tandem.example.com");
        assert_eq!(named.public_url.as_deref(), Some("https://tandem.example.com:8443/base"));
        for wrong in ["", "tandem.example.com", "ftp://tandem.example.com", "https://a@b", "https://a?b", "https://a#b"]
        {
            assert!(wrong.parse::<Sending>().is_err(), "{wrong}");
        }
    }
}
