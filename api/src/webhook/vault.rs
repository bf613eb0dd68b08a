//! Encryption at rest: what the database holds of secrets can be read only with a key that is not in the database.
//!
//! AES-256-GCM with a random nonce. Invariants: a sealed text opens only for the use that it was sealed for, so texts
//! cannot be moved between rows; plain text never reaches the database; no error holds any of it.
//!
//! - [`mod@unlock`]: where the key comes from, whether it is that of this database, and the sealing of what is not sealed yet
//!
//! Neighbours: `keys` seals the keys of webhooks and the values of their headers.

mod unlock;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64_URL};

pub use self::unlock::{Error, Source, unlock};

/// Length of a key.
pub const KEY_BYTES: usize = 32;
const PREFIX: &str = "sealed";
const ID_LENGTH: usize = 8;

/// The keys of a database. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<[Key]>);

struct Key {
    /// Tells keys apart, and says nothing about them.
    id: String,
    key: RandomizedNonceKey,
}

/// Why a sealed text cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was sealed with a key that is not here.
    #[error("it was encrypted with another key ({0})")]
    AnotherKey(String),
    /// It was changed, or sealed for another use.
    #[error("it was changed after it was encrypted, or it belongs elsewhere")]
    Changed,
}

impl Vault {
    /// A vault that seals with the first key and opens with any; `None` without keys.
    pub fn new(keys: &[[u8; KEY_BYTES]]) -> Option<Self> {
        if keys.is_empty() { None } else { Some(Self(keys.iter().map(Key::new).collect())) }
    }

    /// Seals a text for one use, such as `webhook 0190… key`.
    pub fn seal(&self, purpose: &str, plain: &str) -> String {
        let Key { id, key } = &self.0[0];
        let mut bytes = plain.as_bytes().to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut bytes);
        let nonce = nonce.expect("the operating system gives random bytes, and the text is short");
        let sealed = [nonce.as_ref().as_slice(), &bytes].concat();
        format!("{PREFIX}:{id}:{}", BASE64.encode(sealed))
    }

    /// The text that was sealed for this use.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(&self, purpose: &str, sealed: &str) -> Result<String, OpenError> {
        let (id, encoded) = parts(sealed).ok_or(OpenError::Changed)?;
        let Some(Key { key, .. }) = self.0.iter().find(|key| key.id == id) else {
            return Err(OpenError::AnotherKey(id.to_owned()));
        };
        let mut bytes = BASE64.decode(encoded).map_err(|_| OpenError::Changed)?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(OpenError::Changed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Changed)?;
        let plain = key.open_in_place(nonce, Aad::from(purpose.as_bytes()), text).map_err(|_| OpenError::Changed)?;
        String::from_utf8(plain.to_vec()).map_err(|_| OpenError::Changed)
    }

    /// Whether the text was sealed with the key that seals now, and not with an older one.
    pub fn is_current(&self, sealed: &str) -> bool {
        parts(sealed).is_some_and(|(id, _)| id == self.0[0].id)
    }

    /// The names of its keys, which say nothing about them.
    pub fn key_ids(&self) -> String {
        self.0.iter().map(|key| key.id.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.key_ids())
    }
}

impl Key {
    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let hash = digest::digest(&digest::SHA256, &[b"tandem key id".as_slice(), bytes].concat());
        let id = BASE64_URL.encode(hash)[..ID_LENGTH].to_owned();
        Self {
            id,
            key: RandomizedNonceKey::new(&AES_256_GCM, bytes).expect("the key has the length that AES-256 asks for"),
        }
    }
}

/// The name of the key and what it sealed, of `sealed:<name>:<base64>`.
fn parts(sealed: &str) -> Option<(&str, &str)> {
    sealed.strip_prefix(PREFIX)?.strip_prefix(':')?.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_use_alone() {
        let vault = Vault::new(&[[7; 32]]).unwrap();
        let sealed = vault.seal("webhook a", "whsec_abc");
        assert!(!sealed.contains("abc") && sealed != vault.seal("webhook a", "whsec_abc"));
        assert_eq!(vault.open("webhook a", &sealed).as_deref(), Ok("whsec_abc"));
        assert_eq!(vault.open("webhook b", &sealed), Err(OpenError::Changed));
        for changed in ["", "whsec_abc", "sealed:", &sealed[..sealed.len() - 4], &sealed.replace("sealed:", "sealed::")]
        {
            assert!(vault.open("webhook a", changed).is_err(), "{changed}");
        }
        let mut bytes = BASE64.decode(parts(&sealed).unwrap().1).unwrap();
        for i in 0..bytes.len() {
            bytes[i] ^= 1;
            let changed = format!("sealed:{}:{}", vault.key_ids(), BASE64.encode(&bytes));
            assert_eq!(vault.open("webhook a", &changed), Err(OpenError::Changed), "byte {i}");
            bytes[i] ^= 1;
        }
    }

    #[test]
    fn older_keys_open_and_the_first_seals() {
        let (old, new) = (Vault::new(&[[1; 32]]).unwrap(), Vault::new(&[[2; 32]]).unwrap());
        let both = Vault::new(&[[2; 32], [1; 32]]).unwrap();
        let sealed = old.seal("use", "text");
        assert_eq!(both.open("use", &sealed).as_deref(), Ok("text"));
        assert_eq!((old.is_current(&sealed), both.is_current(&sealed)), (true, false));
        assert_eq!(new.open("use", &sealed), Err(OpenError::AnotherKey(old.key_ids())));
        assert_eq!(new.open("use", &both.seal("use", "text")).as_deref(), Ok("text"));
        assert!(Vault::new(&[]).is_none());
    }
}
