//! JSON Web Key Sets (RFC 7517), from a file or a URL, kept fresh.
//!
//! One task ([`Jwks::keep_fresh`]) loads the set every ten minutes, and early when a token names a key that is not in
//! it, but never more often than every thirty seconds: a flood of made-up key names costs nobody else anything. A load
//! that fails leaves the keys as they were. Only signature keys with a public half are used.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::key::Key;

/// How often the set is loaded when nothing else asks for it.
const REFRESH_EVERY: Duration = Duration::from_secs(600);
/// Least time between two loads.
const REFRESH_FLOOR: Duration = Duration::from_secs(30);
/// How long a load from a URL may take.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest document that is read.
const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// Keys beyond this number are not used.
const MAX_KEYS: usize = 100;

/// Why a key set could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("JSON Web Key Set {}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// It is no URL.
    #[error("JSON Web Key Set: {0} is no URL")]
    Url(String),
    /// The server did not answer as expected.
    #[error(transparent)]
    Http(reqwest::Error),
    /// The server answered with another status than 200.
    #[error("the server of the JSON Web Key Set answered with status {0}")]
    Status(reqwest::StatusCode),
    /// It is too large to be a key set.
    #[error("the JSON Web Key Set is larger than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge,
    /// It is not JSON, or not of this form.
    #[error("the document is no JSON Web Key Set: {0}")]
    Json(serde_json::Error),
    /// None of its keys can verify tokens.
    #[error("the JSON Web Key Set has no public key for signatures that is supported")]
    NoKeys,
}

impl From<reqwest::Error> for LoadError {
    /// Without the URL, which may hold a password.
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

#[derive(Debug)]
enum Location {
    File(PathBuf),
    Url(reqwest::Url, reqwest::Client),
}

/// The keys at one time.
#[derive(Debug, Clone)]
struct Snapshot {
    keys: Arc<[Key]>,
    /// Counts the changes of `keys`.
    generation: u64,
    /// When the last load ended, with or without success.
    loaded_at: Option<Instant>,
}

/// A key set that is kept fresh.
#[derive(Debug)]
pub struct Jwks {
    location: Location,
    snapshot: watch::Sender<Snapshot>,
    wanted: Notify,
    /// Least time between two loads.
    pub(super) floor: Duration,
}

impl Jwks {
    /// Loads the set for the first time. A file that cannot be read is an error; a server that does not answer is not:
    /// the set is empty until it does.
    pub async fn open(location: &str) -> Result<Self, LoadError> {
        let location = if location.starts_with("http://") || location.starts_with("https://") {
            let url = location.parse().map_err(|_| LoadError::Url(location.to_owned()))?;
            Location::Url(url, reqwest::Client::builder().timeout(LOAD_TIMEOUT).build()?)
        } else {
            Location::File(location.into())
        };
        let empty = Snapshot { keys: Arc::new([]), generation: 0, loaded_at: None };
        let jwks = Self { location, snapshot: watch::Sender::new(empty), wanted: Notify::new(), floor: REFRESH_FLOOR };
        match (jwks.refresh().await, &jwks.location) {
            (Ok(()), _) => Ok(jwks),
            (Err(error), Location::File(_)) => Err(error),
            (Err(error), Location::Url(url, _)) => {
                tracing::warn!(host = url.host_str(), %error, "the JSON Web Key Set could not be loaded; tokens are refused until it is");
                Ok(jwks)
            }
        }
    }

    /// The keys as they are now.
    pub(super) fn keys(&self) -> Arc<[Key]> {
        self.snapshot.borrow().keys.clone()
    }

    /// Changes whenever the keys do.
    pub(super) fn generation(&self) -> u64 {
        self.snapshot.borrow().generation
    }

    /// Asks for a load, if one is allowed by now, and waits for its end. Returns whether there was one.
    ///
    /// It needs [`Jwks::keep_fresh`] to run; without it, nothing is loaded and this returns after a while.
    pub(super) async fn refreshed(&self) -> bool {
        let mut changes = self.snapshot.subscribe();
        let allowed = changes.borrow_and_update().loaded_at.is_none_or(|at| at.elapsed() >= self.floor);
        if !allowed {
            return false;
        }
        self.wanted.notify_one();
        matches!(tokio::time::timeout(LOAD_TIMEOUT, changes.changed()).await, Ok(Ok(())))
    }

    /// Keeps the set fresh until it is cancelled. To be run once, by a task of its own.
    pub async fn keep_fresh(&self, cancel: CancellationToken) {
        loop {
            let wait = if self.keys().is_empty() { self.floor } else { REFRESH_EVERY };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            // A wish that was left over from before the last load, or came too soon after it.
            if self.snapshot.borrow().loaded_at.is_some_and(|at| at.elapsed() < self.floor) {
                continue;
            }
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the JSON Web Key Set could not be loaded; the keys stay as they were");
            }
        }
    }

    async fn refresh(&self) -> Result<(), LoadError> {
        let loaded = self.load().await;
        self.snapshot.send_modify(|snapshot| {
            snapshot.loaded_at = Some(Instant::now());
            if let Ok(keys) = &loaded {
                snapshot.keys = keys.clone();
                snapshot.generation += 1;
            }
        });
        loaded.map(|_| ())
    }

    async fn load(&self) -> Result<Arc<[Key]>, LoadError> {
        let document = match &self.location {
            // A small local file every ten minutes is not worth a thread.
            Location::File(path) => {
                std::fs::read(path).map_err(|reason| LoadError::File { path: path.clone(), reason })?
            }
            Location::Url(url, client) => fetch(client, url).await?,
        };
        let keys = parse(&document)?;
        if keys.is_empty() { Err(LoadError::NoKeys) } else { Ok(keys.into()) }
    }
}

async fn fetch(client: &reqwest::Client, url: &reqwest::Url) -> Result<Vec<u8>, LoadError> {
    let mut response = client.get(url.clone()).header(http::header::ACCEPT, "application/json").send().await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(LoadError::Status(response.status()));
    }
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if document.len() + chunk.len() > MAX_DOCUMENT_BYTES {
            return Err(LoadError::TooLarge);
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

/// The usable keys of a set. Others are left out: RFC 7517, section 5, wants unknown ones ignored.
fn parse(document: &[u8]) -> Result<Vec<Key>, LoadError> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(document).map_err(LoadError::Json)?;
    let keys = set.keys.into_iter().filter_map(|value| usable(&serde_json::from_value(value).ok()?));
    Ok(keys.take(MAX_KEYS).collect())
}

fn usable(jwk: &Jwk) -> Option<Key> {
    if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return None;
    }
    let default = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(point) => match point.curve {
            EllipticCurve::P256 => Algorithm::ES256,
            EllipticCurve::P384 => Algorithm::ES384,
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        // Symmetric keys have no business in a set that others may read.
        _ => return None,
    };
    let algorithm = match jwk.common.key_algorithm {
        None => default,
        Some(named) => {
            let named = Algorithm::try_from(named).ok()?;
            let fits = match default {
                Algorithm::RS256 => named.family() == default.family(),
                _ => named == default,
            };
            fits.then_some(named)?
        }
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { kid: jwk.common.key_id.clone(), algorithm, key })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_key_has_one_algorithm_and_others_are_left_out() {
        let point = |crv: &str, alg: Option<&str>| json!({"kty": "EC", "crv": crv, "alg": alg, "x": "AA", "y": "AA"});
        let rsa = |extra: Value| {
            let mut key = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"});
            key.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            key
        };
        let cases = [
            (rsa(json!({})), Some(Algorithm::RS256)),
            (rsa(json!({"alg": "RS512", "use": "sig"})), Some(Algorithm::RS512)),
            (rsa(json!({"alg": "PS256"})), Some(Algorithm::PS256)),
            (rsa(json!({"alg": "HS256"})), None),
            (rsa(json!({"alg": "RSA-OAEP"})), None),
            (rsa(json!({"use": "enc"})), None),
            (point("P-256", None), Some(Algorithm::ES256)),
            (point("P-384", Some("ES384")), Some(Algorithm::ES384)),
            (point("P-256", Some("ES384")), None),
            (point("P-521", None), None),
            (point("secp256k1", None), None),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), Some(Algorithm::EdDSA)),
            (json!({"kty": "OKP", "crv": "X25519", "x": "AA"}), None),
            (json!({"kty": "oct", "k": "AAAA", "alg": "HS256"}), None),
            (json!("nonsense"), None),
        ];
        for (key, expected) in cases {
            let document = json!({"keys": [key]}).to_string();
            let algorithms: Vec<_> = parse(document.as_bytes()).unwrap().iter().map(|key| key.algorithm).collect();
            assert_eq!(algorithms, Vec::from_iter(expected), "{document}");
        }
        assert!(parse(b"[]").is_err());
    }

    #[tokio::test]
    async fn a_file_that_is_no_key_set_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jwks.json");
        assert!(matches!(Jwks::open(path.to_str().unwrap()).await, Err(LoadError::File { .. })));
        std::fs::write(&path, r#"{"keys": []}"#).unwrap();
        assert!(matches!(Jwks::open(path.to_str().unwrap()).await, Err(LoadError::NoKeys)));
    }
}
