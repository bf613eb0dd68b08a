//! Scheme `v1a`: Ed25519 keys, in text `whsk_` (private) and `whpk_` (public) and base64.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64_URL};
use serde_json::{Value, json};

use super::signed;

const PRIVATE_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";
const SEED_BYTES: usize = 32;
const PUBLIC_BYTES: usize = 32;

/// A text that is no key of this kind. Does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// No [`SigningKey`].
    #[error("a private key is whsk_ and base64 of 64 bytes, an Ed25519 seed and its public key")]
    Private,
    /// No [`PublicKey`].
    #[error("a public key is whpk_ and base64 of 32 bytes")]
    Public,
    /// No JSON Web Key of a [`PublicKey`].
    #[error(
        "not an Ed25519 key: the key needs \"kty\": \"OKP\", \"crv\": \"Ed25519\" and \"x\", base64url of 32 bytes"
    )]
    Jwk,
}

/// A private key. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey(Arc<Ed25519KeyPair>);

impl SigningKey {
    /// A new random key.
    pub fn generate() -> Self {
        let mut seed = [0; SEED_BYTES];
        rand::fill(&mut seed).expect("the operating system gives random bytes");
        Self(Arc::new(Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed")))
    }

    /// Reads `whsk_…`.
    ///
    /// # Errors
    /// [`InvalidKey::Private`], also if the public half is not that of the seed.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let encoded = text.strip_prefix(PRIVATE_PREFIX).ok_or(InvalidKey::Private)?;
        let bytes = BASE64.decode(encoded).map_err(|_| InvalidKey::Private)?;
        let (seed, public) = bytes.split_at_checked(SEED_BYTES).ok_or(InvalidKey::Private)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(|_| InvalidKey::Private)?;
        Ok(Self(Arc::new(pair)))
    }

    /// The text `whsk_…`, for the vault.
    pub fn expose(&self) -> String {
        let seed = self.0.seed().and_then(|seed| seed.as_be_bytes()).expect("the key was made of a seed");
        let bytes = [seed.as_ref(), self.0.public_key().as_ref()].concat();
        format!("{PRIVATE_PREFIX}{}", BASE64.encode(bytes))
    }

    /// Its public half.
    pub fn public_key(&self) -> PublicKey {
        let bytes = self.0.public_key().as_ref().try_into();
        PublicKey(bytes.expect("public keys of Ed25519 have 32 bytes"))
    }

    /// One entry of the header `webhook-signature`, `v1a,…`. The timestamp is in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        format!("v1a,{}", BASE64.encode(self.0.sign(&signed(id, timestamp_s, body))))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// The half of a key that receivers verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; PUBLIC_BYTES]);

impl PublicKey {
    /// Reads `whpk_…`.
    ///
    /// # Errors
    /// [`InvalidKey::Public`]
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let encoded = text.strip_prefix(PUBLIC_PREFIX).ok_or(InvalidKey::Public)?;
        let bytes = BASE64.decode(encoded).map_err(|_| InvalidKey::Public)?;
        bytes.try_into().map(Self).map_err(|_| InvalidKey::Public)
    }

    /// Reads a JSON Web Key (RFC 8037).
    ///
    /// # Errors
    /// [`InvalidKey::Jwk`]
    pub fn from_jwk(jwk: &Value) -> Result<Self, InvalidKey> {
        let text = |name| jwk.get(name).and_then(Value::as_str);
        if (text("kty"), text("crv")) != (Some("OKP"), Some("Ed25519")) {
            return Err(InvalidKey::Jwk);
        }
        let bytes = text("x").and_then(|x| BASE64_URL.decode(x).ok()).ok_or(InvalidKey::Jwk)?;
        bytes.try_into().map(Self).map_err(|_| InvalidKey::Jwk)
    }

    /// As a JSON Web Key (RFC 8037), named by its thumbprint.
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": BASE64_URL.encode(self.0),
            "use": "sig",
            "alg": "EdDSA",
            "kid": self.thumbprint(),
        })
    }

    /// The thumbprint of RFC 7638.
    pub fn thumbprint(&self) -> String {
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, BASE64_URL.encode(self.0));
        BASE64_URL.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
    }

    /// Whether this is the signature of scheme `v1a`, without its name.
    pub fn verifies(&self, id: &str, timestamp_s: i64, body: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(&signed(id, timestamp_s, body), signature).is_ok()
    }
}

/// `whpk_…`
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", BASE64.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: &str =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn known_vector_of_the_specification() {
        let key = SigningKey::parse(PRIVATE).unwrap();
        let signature = key.sign(ID, 1_614_265_330, BODY);
        let expected = "hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
        assert_eq!(signature, format!("v1a,{expected}"));
        let bytes = BASE64.decode(expected).unwrap();
        assert!(key.public_key().verifies(ID, 1_614_265_330, BODY, &bytes));
        assert!(!key.public_key().verifies(ID, 1_614_265_331, BODY, &bytes));
        assert!(!SigningKey::generate().public_key().verifies(ID, 1_614_265_330, BODY, &bytes));
    }

    /// The key of RFC 8037, appendix A, whose thumbprint is in A.3.
    #[test]
    fn known_thumbprint() {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let key = PublicKey::from_jwk(&jwk).unwrap();
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(PublicKey::from_jwk(&key.jwk()), Ok(key));
    }

    #[test]
    fn keys_survive_their_texts_and_private_ones_are_never_shown() {
        let key = SigningKey::generate();
        assert_eq!(SigningKey::parse(&key.expose()).unwrap().public_key(), key.public_key());
        assert_eq!(SigningKey::parse(PRIVATE).unwrap().expose(), PRIVATE);
        let public = key.public_key();
        assert_eq!(PublicKey::parse(&public.to_string()), Ok(public));
        assert!(public.to_string().starts_with("whpk_"));
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }

    #[test]
    fn refuses_what_is_no_key() {
        let other = SigningKey::generate().public_key();
        let mixed = format!("whsk_{}", BASE64.encode([[7; 32], other.0].concat()));
        for text in ["", "whsk_", "whsk_!", &format!("whsk_{}", BASE64.encode([7; 32])), &mixed, &PRIVATE[5..]] {
            assert_eq!(SigningKey::parse(text).map(|_| ()), Err(InvalidKey::Private), "{text}");
        }
        for text in ["", "whpk_", "whpk_!", &format!("whpk_{}", BASE64.encode([7; 31])), PRIVATE] {
            assert_eq!(PublicKey::parse(text), Err(InvalidKey::Public), "{text}");
        }
        for jwk in [json!({}), json!({"kty": "OKP", "crv": "X25519", "x": BASE64_URL.encode([7; 32])})] {
            assert_eq!(PublicKey::from_jwk(&jwk), Err(InvalidKey::Jwk));
        }
    }
}
