//! From the settings to a vault that is the right one for this database.
//!
//! The table `tandem_vault` holds one text that was sealed by whoever came first. Who cannot open it has the wrong key, and
//! is told so at the start instead of failing at the first delivery. The same start seals what the database still holds in
//! plain text or sealed with an older key.

use std::path::PathBuf;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use entity::WebhookId;

use super::{KEY_BYTES, OpenError, Vault};
use crate::auth::{KeyError, Secret, local_secret};
use crate::catalog::datum::now_micros;
use crate::database::{self, Database, Sql};
use crate::store::writer::{self, Writer};
use crate::webhook::keys::{self, Resealed};

/// Where the key of the vault comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The setting: keys in base64 with commas between. The first one seals, all of them open.
    Given(Secret),
    /// A file with one key, made at the first start.
    File(PathBuf),
}

/// Why there is no vault. The texts name the setting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was given is no key.
    #[error(
        "--encryption-key (TANDEM_ENCRYPTION_KEY) must be 32 bytes in base64, or several such with commas between; \
         `openssl rand -base64 32` makes one"
    )]
    NotAKey,
    /// The file holds no key.
    #[error(
        "{}: expected 32 bytes in base64, the key that secrets in the database are encrypted with; put the right file \
         back, or give the key with --encryption-key (TANDEM_ENCRYPTION_KEY)", .0.display()
    )]
    NotAKeyFile(PathBuf),
    /// The file cannot be read or made.
    #[error(
        "the key that secrets in the database are encrypted with (or give --encryption-key, TANDEM_ENCRYPTION_KEY): {0}"
    )]
    File(#[from] KeyError),
    /// The database has a key already, and its file is not there.
    #[error(
        "the secrets in the database are encrypted, and their key is missing: {} is not there. Put the file back, or give \
         the key with --encryption-key (TANDEM_ENCRYPTION_KEY)", .0.display()
    )]
    Missing(PathBuf),
    /// The key is another one.
    #[error(
        "the secrets in the database are encrypted with another key than this server has from {from}: {reason}, and the \
         server has {ids}. Give the right key with --encryption-key (TANDEM_ENCRYPTION_KEY); all servers of one database \
         need the same"
    )]
    Wrong {
        /// Where this server's keys come from.
        from: String,
        /// Why the check cannot be opened.
        reason: OpenError,
        /// The names of this server's keys.
        ids: String,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// The writer failed.
    #[error(transparent)]
    Writer(#[from] writer::Error),
}

impl Error {
    /// Whether a setting is wrong, or a file that the operator looks after.
    pub fn is_setting(&self) -> bool {
        match self {
            Self::NotAKey | Self::NotAKeyFile(_) | Self::File(_) | Self::Missing(_) | Self::Wrong { .. } => true,
            Self::Database(_) | Self::Writer(_) => false,
        }
    }
}

const CHECK: &str = "check";
/// Webhooks read in one statement.
const PAGE: i64 = 500;

/// Opens the vault of this database, and seals what is not sealed with its first key.
///
/// # Errors
/// If there is no key, if it is none, or if it is not that of this database.
pub async fn unlock(source: &Source, database: &Database, writer: &Writer) -> Result<Vault, Error> {
    let known = check(database).await?;
    let vault = open(source, known.is_some())?;
    let sealed = match known {
        Some(sealed) => sealed,
        None => claim(&vault, database, writer).await?,
    };
    vault.open(CHECK, &sealed).map_err(|reason| Error::Wrong {
        from: match source {
            Source::Given(_) => "--encryption-key".to_owned(),
            Source::File(path) => path.display().to_string(),
        },
        reason,
        ids: vault.key_ids(),
    })?;
    if !vault.is_current(&sealed) {
        let mut sql = Sql::text(database.dialect(), "UPDATE tandem_vault SET sealed = ");
        sql.bind(vault.seal(CHECK, CHECK)).push(" WHERE sealed = ").bind(sealed);
        writer.statements(vec![sql]).await?;
    }
    seal_webhooks(&vault, database, writer).await?;
    Ok(vault)
}

fn open(source: &Source, is_claimed: bool) -> Result<Vault, Error> {
    let (keys, wrong) = match source {
        Source::Given(text) => (text.clone(), Error::NotAKey),
        Source::File(path) if is_claimed && !path.exists() => return Err(Error::Missing(path.clone())),
        Source::File(path) => match local_secret(path) {
            Ok(text) => (text, Error::NotAKeyFile(path.clone())),
            Err(KeyError::ShortSecret { .. }) => return Err(Error::NotAKeyFile(path.clone())),
            Err(error) => return Err(error.into()),
        },
    };
    let keys: Option<Vec<_>> = keys.expose().split(',').map(|key| decode(key.trim())).collect();
    keys.and_then(|keys| Vault::new(&keys)).ok_or(wrong)
}

/// Of either alphabet, with or without padding: whatever tool it was made with.
fn decode(text: &str) -> Option<[u8; KEY_BYTES]> {
    let alphabet = if text.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&alphabet, config).decode(text).ok()?.try_into().ok()
}

async fn check(database: &Database) -> Result<Option<String>, Error> {
    let records = database.query(Sql::text(database.dialect(), "SELECT sealed FROM tandem_vault")).await?;
    Ok(records.first().map(|record| record.need_text(0)).transpose()?)
}

/// Makes this key that of the database, unless another server was faster. Gives what is there then.
async fn claim(vault: &Vault, database: &Database, writer: &Writer) -> Result<String, Error> {
    let mut sql = Sql::text(database.dialect(), "INSERT INTO tandem_vault (id, sealed) VALUES (1, ");
    sql.bind(vault.seal(CHECK, CHECK)).push(") ON CONFLICT DO NOTHING");
    writer.statements(vec![sql]).await?;
    let gone = || database::Error::Corrupt("the row of tandem_vault is gone again".to_owned());
    Ok(check(database).await?.ok_or_else(gone)?)
}

/// Seals with the first key what webhooks have of secrets. A webhook whose keys were lost is disabled, and says so.
async fn seal_webhooks(vault: &Vault, database: &Database, writer: &Writer) -> Result<(), Error> {
    let mut after = None;
    loop {
        let mut sql = Sql::text(database.dialect(), "SELECT id, keys, headers FROM tandem_webhook");
        if let Some(WebhookId(id)) = after {
            sql.push(" WHERE id > ").bind(id);
        }
        sql.push(" ORDER BY id LIMIT ").bind(PAGE);
        let records = database.query(sql).await?;
        let mut statements = Vec::new();
        for record in &records {
            let (id, keys, headers) = (WebhookId(record.need_uuid(0)?), record.need_text(1)?, record.need_text(2)?);
            after = Some(id);
            let mut sql = Sql::text(database.dialect(), "UPDATE tandem_webhook SET ");
            match keys::reseal(vault, id, &keys, &headers) {
                Resealed::Unchanged => continue,
                Resealed::Changed { keys, headers } => {
                    sql.push("keys = ").bind(keys).push(", headers = ").bind(headers);
                }
                Resealed::Lost => {
                    tracing::error!(webhook.id = %id, "the secrets of a webhook cannot be decrypted; it is disabled");
                    sql.push("status = 'DISABLED', status_reason = ").bind(keys::LOST);
                    sql.push(", disabled_at = ").bind(now_micros());
                }
            }
            sql.push(" WHERE id = ").bind(id.get()).push(" AND keys = ").bind(keys);
            sql.push(" AND headers = ").bind(headers);
            statements.push(sql);
        }
        if !statements.is_empty() {
            tracing::info!(webhooks = statements.len(), "secrets of webhooks are encrypted");
            writer.statements(statements).await?;
        }
        if (records.len() as i64) < PAGE {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_in_any_form_of_base64() {
        let given = |text: &str| open(&Source::Given(Secret::new(text)), false);
        let plus = "+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=";
        let expected = given(plus).unwrap().key_ids();
        for text in [
            "+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8",
            "-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8=",
            " -_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8 ",
        ] {
            assert_eq!(given(text).unwrap().key_ids(), expected, "{text}");
        }
        assert_eq!(given(&format!("{plus}, {plus}")).unwrap().key_ids(), format!("{expected}, {expected}"));
        for text in ["", "short", &format!("{plus},"), &plus[4..], "secret secret secret secret secret secret"] {
            assert!(matches!(given(text), Err(Error::NotAKey)), "{text}");
        }
    }

    #[test]
    fn a_file_is_made_once_and_never_for_a_database_that_has_a_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("encryption-key");
        let source = Source::File(path.clone());
        assert!(matches!(open(&source, true), Err(Error::Missing(_))));
        assert!(!path.exists());
        let made = open(&source, false).unwrap().key_ids();
        assert_eq!(open(&source, true).unwrap().key_ids(), made);
        std::fs::write(&path, "not a key, however long it is: it must be base64").unwrap();
        assert!(matches!(open(&source, true), Err(Error::NotAKeyFile(_))));
        std::fs::write(&path, "short").unwrap();
        let error = open(&source, true).unwrap_err().to_string();
        assert!(error.contains("TANDEM_ENCRYPTION_KEY") && error.contains("encryption-key:"), "{error}");
    }
}
