//! A key that verifies tokens. It has exactly one algorithm: what the header of a token says can only agree with it.

use jsonwebtoken::{Algorithm, DecodingKey};

use super::Secret;

/// A key and the one algorithm that it verifies.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its name in a key set.
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl Key {
    /// HS256 with a secret.
    pub fn from_secret(secret: &Secret) -> Self {
        let key = DecodingKey::from_secret(secret.expose().as_bytes());
        Self { kid: None, algorithm: Algorithm::HS256, key }
    }

    /// The public key in a PEM. Its type decides the algorithm: RS256, ES256 (ES384 for P-384) or EdDSA.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(pem).map_err(|_| "it is not text")?;
        // The PEM reader would take the bytes of a private key or a certificate for those of a public key.
        if text.contains("PRIVATE KEY-----") {
            return Err("it holds a private key, which belongs only where tokens are made");
        }
        if !text.contains("PUBLIC KEY-----") {
            return Err("it has no \"PUBLIC KEY\" block");
        }
        if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            return Ok(Self { kid: None, algorithm: Algorithm::RS256, key });
        }
        if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            let algorithm = match key.try_get_as_bytes().map(<[u8]>::len) {
                Ok(P256_POINT_BYTES) => Algorithm::ES256,
                Ok(P384_POINT_BYTES) => Algorithm::ES384,
                _ => return Err("its curve is neither P-256 nor P-384"),
            };
            return Ok(Self { kid: None, algorithm, key });
        }
        match DecodingKey::from_ed_pem(pem) {
            Ok(key) => Ok(Self { kid: None, algorithm: Algorithm::EdDSA, key }),
            Err(_) => Err("its type is not known"),
        }
    }
}

/// Length of an uncompressed point: one byte that says so, and two coordinates.
const P256_POINT_BYTES: usize = 1 + 2 * 32;
const P384_POINT_BYTES: usize = 1 + 2 * 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_keys_are_taken_from_a_pem_file() {
        let cases = [
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PUBLIC KEY"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "type"),
            ("", "PUBLIC KEY"),
        ];
        for (pem, reason) in cases {
            let error = Key::from_pem(pem.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{pem}: {error}");
        }
    }
}
