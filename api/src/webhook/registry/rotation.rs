//! New secrets for a webhook, and the public keys of all of them.

use std::sync::Arc;

use entity::WebhookId;
use serde_json::{Value, json};

use super::{Created, Error, Registry, Written, not_found, refused};
use crate::auth::Principal;
use crate::catalog::datum::now_micros;
use crate::catalog::type_id;
use crate::database;
use crate::store::writer::Code;
use crate::store::writer::idempotency::Key;
use crate::webhook::keys::{MAX_PREVIOUS, SealedKeys, Signer};
use crate::webhook::row::Webhook;

/// Webhooks whose keys are given in one document.
pub const MAX_KEY_SET_WEBHOOKS: usize = 5000;
/// How often a rotation begins anew when another one was faster.
const TRIES: usize = 5;

/// Why there is no document of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// There are more webhooks than one document holds.
    #[error("there are more than {MAX_KEY_SET_WEBHOOKS} webhooks; ask for the keys of one: ?webhook=<its id>")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
}

impl Registry {
    /// Gives a webhook a new secret and a new `v1a` key. The ones before sign beside them for the time that is set, or not
    /// at all any more if they are revoked.
    ///
    /// # Errors
    /// [`Error::Refused`] with NOT_FOUND, or with TOO_MANY if too many would sign.
    pub async fn rotate(
        &self,
        principal: &Arc<Principal>,
        id: WebhookId,
        is_revoking: bool,
        key: Option<Key>,
    ) -> Result<Created, Error> {
        let rotate = async || self.replace_keys(principal, id, is_revoking, key.clone()).await;
        let written = self.once(key.as_ref(), rotate).await?;
        if written.is_new {
            self.wake.wake_and_wait().await;
            tracing::info!(webhook.id = %id, is_revoking, "the secret of a webhook was rotated");
        }
        self.with_secret(principal, written.snapshot).await
    }

    async fn replace_keys(
        &self,
        principal: &Principal,
        id: WebhookId,
        is_revoking: bool,
        key: Option<Key>,
    ) -> Result<Written, Error> {
        let signer = Signer::generate();
        for _ in 0..TRIES {
            let current = self.get(principal, id).await?.ok_or_else(not_found)?;
            let now = now_micros().max(current.updated_at + 1);
            let overlap = i64::try_from(self.settings.secret_overlap.as_micros()).unwrap_or(i64::MAX);
            let until = (!is_revoking && overlap > 0).then(|| now.saturating_add(overlap));
            let rotated = current.keys.rotated(&signer, &self.vault, id, now, until);
            let keys = rotated.map_err(|_| {
                let message = format!(
                    "{} secrets of this webhook still sign; wait until the time of one is over, or revoke them",
                    MAX_PREVIOUS + 1
                );
                refused(&[], Code::TooMany, &message)
            })?;
            let mut sql = self.sql("UPDATE tandem_webhook SET keys = ");
            sql.bind(keys.to_json()).push(", updated_at = ").bind(now);
            sql.push(" WHERE id = ").bind(id.get()).push(" AND keys = ").bind(current.keys.to_json());
            if let Some(written) = self.write(sql, key.clone()).await? {
                return Ok(written);
            }
        }
        Err(refused(&["id"], Code::VersionConflict, "others are rotating the secret of this webhook, too; try again"))
    }

    /// The JSON Web Key Set of the keys that sign for all webhooks, or for one. There is no secret in it, so it is for
    /// everybody.
    ///
    /// # Errors
    /// [`KeySetError`]
    pub async fn key_set(&self, webhook: Option<WebhookId>) -> Result<Value, KeySetError> {
        let mut sql = self.sql("SELECT id, keys FROM tandem_webhook");
        if let Some(webhook) = webhook {
            sql.push(" WHERE id = ").bind(webhook.get());
        }
        sql.push(" ORDER BY id LIMIT ").bind(MAX_KEY_SET_WEBHOOKS as i64 + 1);
        let records = self.database.query(sql).await?;
        if records.len() > MAX_KEY_SET_WEBHOOKS {
            return Err(KeySetError::TooMany);
        }
        let (now, mut keys) = (now_micros(), Vec::new());
        for record in &records {
            let id = type_id::format(Webhook::PREFIX, record.need_uuid(0)?);
            let corrupt = || database::Error::Corrupt("column keys of tandem_webhook cannot be read".to_owned());
            let sealed = SealedKeys::from_json(&record.need_text(1)?).ok_or_else(corrupt)?;
            keys.extend(sealed.public_keys(now).map(|key| {
                let mut jwk = key.jwk();
                jwk["webhook"] = json!(id);
                jwk
            }));
        }
        Ok(json!({ "keys": keys }))
    }
}
