//! What a webhook signs with, and how the database holds it and the other secrets of a webhook: sealed by the vault.
//!
//! A webhook has one [`Signer`], and for some time after a rotation the ones before it as well: all of them sign, so a
//! receiver may change its secret whenever it likes within that time. The time is judged whenever something is signed, so
//! it ends without anybody's doing.
//!
//! Invariants: [`SealedKeys`] and [`SealedHeaders`] hold public parts and sealed ones, nothing else; each sealed text is
//! bound to its webhook.

use std::fmt;

use entity::WebhookId;
use serde_json::{Value, json};

use super::message::CustomHeaders;
use super::signature::{PublicKey, Secret, SigningKey};
use super::vault::{OpenError, Vault};

/// Most signers that still sign beside the present one: every one makes each message's header longer.
pub const MAX_PREVIOUS: usize = 4;
/// What the owner of a webhook is told whose secrets are lost.
pub const LOST: &str = "its secrets were encrypted with a key that the server no longer has: rotate its secret, set its \
                        headers again, and enable it";

/// The two keys that sign together.
#[derive(Debug, Clone)]
pub struct Signer {
    /// For `v1`.
    pub secret: Secret,
    /// For `v1a`.
    pub key: SigningKey,
}

impl Signer {
    /// New random keys.
    pub fn generate() -> Self {
        Self { secret: Secret::generate(), key: SigningKey::generate() }
    }

    fn seal(&self, vault: &Vault, webhook: WebhookId) -> String {
        let plain = json!({"secret": self.secret.expose(), "key": self.key.expose()});
        vault.seal(&purpose(webhook, "signer"), &plain.to_string())
    }

    fn open(vault: &Vault, webhook: WebhookId, sealed: &str) -> Result<Self, OpenError> {
        let plain = vault.open(&purpose(webhook, "signer"), sealed)?;
        let parts: Value = serde_json::from_str(&plain).map_err(|_| OpenError::Changed)?;
        let text = |name| parts.get(name).and_then(Value::as_str).unwrap_or_default();
        Ok(Self {
            secret: Secret::parse(text("secret")).map_err(|_| OpenError::Changed)?,
            key: SigningKey::parse(text("key")).map_err(|_| OpenError::Changed)?,
        })
    }
}

fn purpose(webhook: WebhookId, what: &str) -> String {
    format!("webhook {webhook} {what}")
}

/// The opened signers of a webhook, the present one first.
#[derive(Debug, Clone)]
pub struct SigningKeys(Vec<(Signer, Option<i64>)>);

impl SigningKeys {
    /// The value of the header `webhook-signature`: an entry for each key that signs at this time, in seconds since 1970.
    /// The present secret comes first, for receivers that look at one entry only.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let signers = || self.0.iter().filter(|(_, until)| signs(*until, timestamp_s.saturating_mul(1_000_000)));
        let symmetric = signers().map(|(signer, _)| signer.secret.sign(id, timestamp_s, body));
        let asymmetric = signers().map(|(signer, _)| signer.key.sign(id, timestamp_s, body));
        symmetric.chain(asymmetric).collect::<Vec<_>>().join(" ")
    }

    /// The present one.
    pub fn current(&self) -> &Signer {
        &self.0[0].0
    }
}

/// Whether a signer with this end, in microseconds since 1970, signs at a time.
fn signs(until: Option<i64>, now: i64) -> bool {
    until.is_none_or(|until| now < until)
}

/// The signers of a webhook as its row holds them, the present one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKeys {
    current: SealedKey,
    previous: Vec<SealedKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SealedKey {
    public: PublicKey,
    sealed: String,
    /// Until when it signs, in microseconds since 1970; `None` for the present one.
    until: Option<i64>,
}

/// There are too many rotations whose time is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyKeys;

impl SealedKeys {
    /// Of a webhook that was not rotated yet.
    pub fn new(signer: &Signer, vault: &Vault, webhook: WebhookId) -> Self {
        Self { current: SealedKey::new(signer, vault, webhook), previous: Vec::new() }
    }

    /// With another present signer. The one before signs until a time, in microseconds since 1970; `None`: no more, nor do
    /// those before it.
    ///
    /// # Errors
    /// If too many would sign.
    pub fn rotated(
        &self,
        signer: &Signer,
        vault: &Vault,
        webhook: WebhookId,
        now: i64,
        until: Option<i64>,
    ) -> Result<Self, TooManyKeys> {
        let mut previous = Vec::new();
        if let Some(until) = until {
            previous.push(SealedKey { until: Some(until), ..self.current.clone() });
            previous.extend(self.previous.iter().cloned());
        }
        previous.retain(|key| signs(key.until, now));
        if previous.len() > MAX_PREVIOUS {
            return Err(TooManyKeys);
        }
        Ok(Self { current: SealedKey::new(signer, vault, webhook), previous })
    }

    /// The public half of the present signer's `v1a` key.
    pub fn public_key(&self) -> PublicKey {
        self.current.public
    }

    /// The public keys of all that sign at a time, in microseconds since 1970.
    pub fn public_keys(&self, now: i64) -> impl Iterator<Item = PublicKey> {
        let previous = self.previous.iter().filter(move |key| signs(key.until, now));
        std::iter::once(&self.current).chain(previous).map(|key| key.public)
    }

    /// Until when the last one of the signers before the present one signs.
    pub fn previous_until(&self) -> Option<i64> {
        self.previous.iter().filter_map(|key| key.until).max()
    }

    /// All signers.
    ///
    /// # Errors
    /// If the present one cannot be opened. One before it that cannot is left out.
    pub fn open(&self, vault: &Vault, webhook: WebhookId) -> Result<SigningKeys, OpenError> {
        let mut signers = vec![(Signer::open(vault, webhook, &self.current.sealed)?, None)];
        for key in &self.previous {
            match Signer::open(vault, webhook, &key.sealed) {
                Ok(signer) => signers.push((signer, key.until)),
                Err(error) => tracing::error!(webhook.id = %webhook, %error, "an older secret cannot be decrypted"),
            }
        }
        Ok(SigningKeys(signers))
    }

    /// The form of the database.
    pub fn to_json(&self) -> String {
        let key =
            |key: &SealedKey| json!({"publicKey": key.public.to_string(), "sealed": key.sealed, "until": key.until});
        std::iter::once(&self.current).chain(&self.previous).map(key).collect::<Value>().to_string()
    }

    /// Reads [`SealedKeys::to_json`]; `None` if it is none.
    pub fn from_json(text: &str) -> Option<Self> {
        let mut keys = Vec::new();
        for key in serde_json::from_str::<Vec<Value>>(text).ok()? {
            keys.push(SealedKey {
                public: PublicKey::parse(key.get("publicKey")?.as_str()?).ok()?,
                sealed: key.get("sealed")?.as_str()?.to_owned(),
                until: key.get("until")?.as_i64(),
            });
        }
        if keys.is_empty() {
            return None;
        }
        let current = keys.remove(0);
        Some(Self { current, previous: keys })
    }
}

impl SealedKey {
    fn new(signer: &Signer, vault: &Vault, webhook: WebhookId) -> Self {
        Self { public: signer.key.public_key(), sealed: signer.seal(vault, webhook), until: None }
    }
}

/// The headers of a webhook as its row holds them: the names, and the values sealed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SealedHeaders(Vec<(String, String)>);

impl SealedHeaders {
    /// Seals the values.
    pub fn new(headers: &CustomHeaders, vault: &Vault, webhook: WebhookId) -> Self {
        let seal = |(name, value): (&str, &str)| (name.to_owned(), vault.seal(&purpose(webhook, "header"), value));
        Self(headers.iter().map(seal).collect())
    }

    /// The names, in the order they were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The headers with their values.
    ///
    /// # Errors
    /// If a value cannot be opened.
    pub fn open(&self, vault: &Vault, webhook: WebhookId) -> Result<CustomHeaders, OpenError> {
        let mut headers = CustomHeaders::default();
        for (name, sealed) in &self.0 {
            let value = vault.open(&purpose(webhook, "header"), sealed)?;
            headers.add(name, &value).map_err(|_| OpenError::Changed)?;
        }
        Ok(headers)
    }

    /// The form of the database: an array of `{"name", "sealed"}`.
    pub fn to_json(&self) -> String {
        self.0.iter().map(|(name, sealed)| json!({"name": name, "sealed": sealed})).collect::<Value>().to_string()
    }

    /// Reads [`SealedHeaders::to_json`]; `None` if it is none.
    pub fn from_json(text: &str) -> Option<Self> {
        let text_of = |header: &Value, name| Some(header.get(name)?.as_str()?.to_owned());
        let header = |header: &Value| Some((text_of(header, "name")?, text_of(header, "sealed")?));
        serde_json::from_str::<Vec<Value>>(text).ok()?.iter().map(header).collect::<Option<_>>().map(Self)
    }
}

impl fmt::Debug for SealedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// What has to be written for a row to be sealed with the first key of the vault.
#[derive(Debug, PartialEq, Eq)]
pub enum Resealed {
    /// It is already.
    Unchanged,
    /// These.
    Changed {
        /// Column `keys`.
        keys: String,
        /// Column `headers`.
        headers: String,
    },
    /// It cannot be opened.
    Lost,
}

/// Reads the columns of a row in every form that they have had: the secret as plain text, headers with plain values, and
/// sealed with an older key.
pub fn reseal(vault: &Vault, webhook: WebhookId, keys: &str, headers: &str) -> Resealed {
    match (reseal_keys(vault, webhook, keys), reseal_headers(vault, webhook, headers)) {
        (Ok(None), Ok(None)) => Resealed::Unchanged,
        (Ok(new_keys), Ok(new_headers)) => Resealed::Changed {
            keys: new_keys.unwrap_or_else(|| keys.to_owned()),
            headers: new_headers.unwrap_or_else(|| headers.to_owned()),
        },
        (Err(_), _) | (_, Err(_)) => Resealed::Lost,
    }
}

fn reseal_keys(vault: &Vault, webhook: WebhookId, text: &str) -> Result<Option<String>, OpenError> {
    if let Ok(secret) = Secret::parse(text) {
        let signer = Signer { secret, key: SigningKey::generate() };
        return Ok(Some(SealedKeys::new(&signer, vault, webhook).to_json()));
    }
    let mut keys = SealedKeys::from_json(text).ok_or(OpenError::Changed)?;
    let mut is_changed = false;
    for key in std::iter::once(&mut keys.current).chain(&mut keys.previous) {
        let signer = Signer::open(vault, webhook, &key.sealed)?;
        if !vault.is_current(&key.sealed) {
            key.sealed = signer.seal(vault, webhook);
            is_changed = true;
        }
    }
    Ok(is_changed.then(|| keys.to_json()))
}

fn reseal_headers(vault: &Vault, webhook: WebhookId, text: &str) -> Result<Option<String>, OpenError> {
    let mut headers: Vec<Value> = serde_json::from_str(text).map_err(|_| OpenError::Changed)?;
    let mut is_changed = false;
    for header in headers.iter_mut().filter_map(Value::as_object_mut) {
        let plain = match (header.remove("value"), header.get("sealed").and_then(Value::as_str)) {
            (Some(Value::String(plain)), _) => plain,
            (_, Some(sealed)) => {
                let plain = vault.open(&purpose(webhook, "header"), sealed)?;
                if vault.is_current(sealed) {
                    continue;
                }
                plain
            }
            (_, None) => return Err(OpenError::Changed),
        };
        header.insert("sealed".to_owned(), vault.seal(&purpose(webhook, "header"), &plain).into());
        is_changed = true;
    }
    Ok(is_changed.then(|| Value::from(headers).to_string()))
}

#[cfg(test)]
mod tests;
