//! Signatures of the Standard Webhooks specification: `v1`, HMAC-SHA256 with a secret that both sides know, and `v1a`,
//! Ed25519 with a key of the sender ([`SigningKey`]); both over `id.timestamp.body`.
//!
//! Specification: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
//! Invariant: a secret is never shown, except by [`Secret::expose`], which is for the vault and for its creator. Private
//! keys are for the vault alone.
//!
//! Neighbours: `keys` says which of them a webhook signs with, `tandem verify` checks them.

mod ed25519;

use std::fmt;

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

pub use self::ed25519::{InvalidKey, PublicKey, SigningKey};

const PREFIX: &str = "whsec_";
const NEW_SECRET_BYTES: usize = 32;
/// What the specification asks of a secret's length, so that secrets made elsewhere can be brought along.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The key that a webhook's messages are signed with; in text `whsec_` and base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// A text that is no [`Secret`]. Does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and base64 of 24 to 64 bytes")]
pub struct InvalidSecret;

impl Secret {
    /// A new random secret.
    pub fn generate() -> Self {
        let mut key = vec![0; NEW_SECRET_BYTES];
        rand::fill(&mut key).expect("the operating system gives random bytes");
        Self(key)
    }

    /// Reads `whsec_…`.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let key = BASE64.decode(encoded).map_err(|_| InvalidSecret)?;
        if SECRET_BYTES.contains(&key.len()) { Ok(Self(key)) } else { Err(InvalidSecret) }
    }

    /// The text `whsec_…`.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(&self.0))
    }

    /// One entry of the header `webhook-signature`, `v1,…`. The timestamp is in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.key());
        context.update(prefix(id, timestamp_s).as_bytes());
        context.update(body);
        format!("v1,{}", BASE64.encode(context.sign()))
    }

    /// Whether this is the signature of scheme `v1`, without its name. Takes as long for a wrong one as for a right one.
    pub fn verifies(&self, id: &str, timestamp_s: i64, body: &[u8], signature: &[u8]) -> bool {
        hmac::verify(&self.key(), &signed(id, timestamp_s, body), signature).is_ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

fn prefix(id: &str, timestamp_s: i64) -> String {
    format!("{id}.{timestamp_s}.")
}

/// What is signed.
fn signed(id: &str, timestamp_s: i64, body: &[u8]) -> Vec<u8> {
    let mut message = prefix(id, timestamp_s).into_bytes();
    message.extend_from_slice(body);
    message
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vector_of_the_specification() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_was_signed_verifies_and_nothing_else() {
        let secret = Secret::generate();
        let signature = secret.sign("m", 7, b"body");
        let bytes = BASE64.decode(&signature[3..]).unwrap();
        assert!(secret.verifies("m", 7, b"body", &bytes));
        assert!(!Secret::generate().verifies("m", 7, b"body", &bytes));
        for (id, timestamp, body) in [("n", 7, "body"), ("m", 8, "body"), ("m", 7, "body\n")] {
            assert!(!secret.verifies(id, timestamp, body.as_bytes(), &bytes), "{id} {timestamp} {body:?}");
        }
        assert!(!secret.verifies("m", 7, b"body", &bytes[1..]));
    }

    #[test]
    fn the_reference_library_accepts_what_is_signed_here() {
        let secret = Secret::generate();
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let (id, body) = ("evt_01h455vb4pex5vsknk084sn02q", "{\"type\":\"größer\"}");
        let mut headers = http::HeaderMap::new();
        headers.insert("webhook-id", id.parse().unwrap());
        headers.insert("webhook-timestamp", now.to_string().parse().unwrap());
        headers.insert("webhook-signature", secret.sign(id, now, body.as_bytes()).parse().unwrap());
        let reference = standardwebhooks::Webhook::new(&secret.expose()).unwrap();
        reference.verify(body.as_bytes(), &headers).unwrap();
        reference.verify(b"{\"type\":\"other\"}", &headers).unwrap_err();
    }

    #[test]
    fn secrets_survive_their_text_and_are_never_shown() {
        let secret = Secret::generate();
        assert_eq!(Secret::parse(&secret.expose()), Ok(secret.clone()));
        assert_ne!(Secret::generate(), secret);
        assert!(!format!("{secret:?}").contains(&secret.expose()[6..]));
    }

    #[test]
    fn refuses_what_is_no_secret() {
        let too_short = format!("whsec_{}", BASE64.encode([7; 23]));
        let too_long = format!("whsec_{}", BASE64.encode([7; 65]));
        for text in ["", "whsec_", "whsec_!!!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &too_short, &too_long] {
            assert_eq!(Secret::parse(text), Err(InvalidSecret), "{text}");
        }
    }
}
