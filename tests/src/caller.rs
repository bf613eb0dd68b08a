//! Who is calling, and the tokens that say so.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Map, Value, json};

/// The secret that every test server is started with.
pub const JWT_SECRET: &str = "the secret of the tests, long enough for HS256";

const TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A caller of the API.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The `sub` of the token; `None` for no token at all.
    pub sub: Option<String>,
    /// The roles in the token.
    pub roles: Vec<String>,
    /// Further claims.
    pub claims: Map<String, Value>,
}

impl Caller {
    /// Without a token.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// With a token and no role.
    pub fn user(sub: &str) -> Self {
        Self { sub: Some(sub.to_owned()), ..Self::default() }
    }

    /// Who may do everything.
    pub fn admin() -> Self {
        Self::user("root").role("admin")
    }

    /// One role more.
    #[must_use]
    pub fn role(mut self, role: &str) -> Self {
        self.roles.push(role.to_owned());
        self
    }

    /// One claim more.
    #[must_use]
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims.insert(name.to_owned(), value);
        self
    }

    /// A token, valid for an hour; `None` for an anonymous caller.
    pub fn token(&self) -> Option<String> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
        let expires = (since_1970 + TOKEN_LIFETIME).as_secs();
        let mut claims = self.claims.clone();
        claims.insert("sub".to_owned(), json!(self.sub.as_ref()?));
        claims.insert("roles".to_owned(), json!(self.roles));
        claims.insert("exp".to_owned(), json!(expires));
        Some(sign(&claims, JWT_SECRET))
    }
}

/// A token with exactly these claims, by HS256.
pub fn sign(claims: &Map<String, Value>, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::default(), claims, &key).expect("claims are JSON and the key fits HS256")
}
