//! Token → [`Principal`].
//!
//! A token is a JWT whose algorithm is that of the configured key. It must have `exp` and a `sub` that is not empty: a
//! token that never ends cannot be taken back, and one without a subject would be a nobody with rights. `nbf` is checked
//! if it is there; `iss` and `aud` are required and checked if they are configured. A token that is present but bad is
//! an error, never an anonymous caller.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{EncodingKey, Header, Validation, decode, decode_header, encode};
use quick_cache::{Weighter, sync::Cache};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::jwks::Jwks;
use super::key::Key;
use super::keys::{self, KeyError, local_secret};
use super::{AuthSettings, KeySource, Secret};
use super::{Error, Principal};

/// How far the clocks of the issuer and of this machine may be apart.
const LEEWAY_SECONDS: u64 = 5;
/// Larger tokens are refused before anything is computed.
const MAX_TOKEN_BYTES: usize = 16 << 10;
/// Memory for principals whose tokens were verified.
const CACHE_BYTES: u64 = 8 << 20;

/// Verifies tokens. Principals of good tokens are cached until the token ends or the keys change.
#[derive(Debug)]
pub struct Authenticator {
    keys: Keys,
    /// Without algorithms; each key adds its own.
    validation: Validation,
    roles_claim: String,
    admin_role: String,
    anonymous: Arc<Principal>,
    verified: Cache<Box<str>, Verified, TokenWeight>,
}

#[derive(Debug)]
enum Keys {
    Fixed(Box<Key>),
    Set(Jwks),
}

#[derive(Debug, Clone)]
struct Verified {
    principal: Arc<Principal>,
    /// The generation of the key set that verified it.
    generation: u64,
}

#[derive(Debug, Clone)]
struct TokenWeight;

impl Weighter<Box<str>, Verified> for TokenWeight {
    fn weight(&self, token: &Box<str>, _: &Verified) -> u64 {
        // The claims are the token's payload again, as a tree of small allocations.
        512 + 4 * token.len() as u64
    }
}

impl Authenticator {
    /// Loads the keys. The secret file of [`KeySource::Local`] is made if it is not there.
    pub async fn open(settings: &AuthSettings, source: &KeySource) -> Result<Self, KeyError> {
        let keys = match source {
            KeySource::Secret(secret) => Keys::Fixed(Box::new(Key::from_secret(secret))),
            KeySource::Local(path) => Keys::Fixed(Box::new(Key::from_secret(&local_secret(path)?))),
            KeySource::PublicKey(path) => Keys::Fixed(Box::new(keys::public_key(path)?)),
            KeySource::Jwks(location) => Keys::Set(Jwks::open(location).await?),
        };
        Ok(Self {
            keys,
            validation: validation(settings),
            roles_claim: settings.jwt_roles_claim.clone(),
            admin_role: settings.admin_role.clone(),
            anonymous: Arc::new(Principal::anonymous()),
            verified: Cache::with_weighter(1024, CACHE_BYTES, TokenWeight),
        })
    }

    /// Keeps a key set fresh until it is cancelled; other keys need nothing. To be run once, by a task of its own.
    pub async fn keep_keys_fresh(&self, cancel: CancellationToken) {
        match &self.keys {
            Keys::Fixed(_) => {}
            Keys::Set(jwks) => jwks.keep_fresh(cancel).await,
        }
    }

    /// Whether any token can be verified: false while a key set could not be loaded yet.
    pub fn has_keys(&self) -> bool {
        match &self.keys {
            Keys::Fixed(_) => true,
            Keys::Set(jwks) => !jwks.keys().is_empty(),
        }
    }

    /// The caller of a request with these headers. Without an `Authorization` header: anonymous.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Error> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(self.anonymous.clone()),
            (Some(value), None) => self.authenticate_value(value.to_str().map_err(|_| Error::Malformed)?).await,
            (Some(_), Some(_)) => Err(Error::NotBearer),
        }
    }

    /// The caller who sent this value of an `Authorization` header, or of `authorization` in `connection_init`.
    pub async fn authenticate_value(&self, value: &str) -> Result<Arc<Principal>, Error> {
        match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => self.verify(token.trim()).await,
            _ => Err(Error::NotBearer),
        }
    }

    /// The caller without a token.
    pub fn anonymous(&self) -> Arc<Principal> {
        self.anonymous.clone()
    }

    async fn verify(&self, token: &str) -> Result<Arc<Principal>, Error> {
        let generation = match &self.keys {
            Keys::Fixed(_) => 0,
            Keys::Set(jwks) => jwks.generation(),
        };
        if let Some(known) = self.verified.get(token)
            && known.generation == generation
        {
            let over = known.principal.expires_at.and_then(|end| SystemTime::now().duration_since(end).ok());
            let ended = over.is_some_and(|over| over > Duration::from_secs(LEEWAY_SECONDS));
            return if ended { Err(Error::Expired) } else { Ok(known.principal) };
        }
        let principal = Arc::new(self.principal(self.claims(token).await?)?);
        self.verified.insert(token.into(), Verified { principal: principal.clone(), generation });
        Ok(principal)
    }

    async fn claims(&self, token: &str) -> Result<Map<String, Value>, Error> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Error::Malformed);
        }
        let header = decode_header(token).map_err(|_| Error::Malformed)?;
        // RFC 7515, section 4.1.11: extensions that are critical and not understood make a token invalid.
        if header.crit.is_some() {
            return Err(Error::Malformed);
        }
        let jwks = match &self.keys {
            Keys::Fixed(key) => return self.decode(token, key),
            Keys::Set(jwks) => jwks,
        };
        match self.decode_with_set(token, &header, &jwks.keys()) {
            Err(Error::UnknownKey) if jwks.refreshed().await => self.decode_with_set(token, &header, &jwks.keys()),
            decided => decided,
        }
    }

    fn decode_with_set(&self, token: &str, header: &Header, keys: &[Key]) -> Result<Map<String, Value>, Error> {
        let named = |key: &&Key| header.kid.is_none() || key.kid == header.kid;
        let mut outcome = Err(Error::UnknownKey);
        for key in keys.iter().filter(named) {
            outcome = self.decode(token, key);
            // Without a name, or with a name that several keys share, the right key is the one that verifies.
            if !matches!(outcome, Err(Error::BadSignature | Error::WrongAlgorithm)) {
                break;
            }
        }
        outcome
    }

    fn decode(&self, token: &str, key: &Key) -> Result<Map<String, Value>, Error> {
        let mut validation = self.validation.clone();
        validation.algorithms = vec![key.algorithm];
        let decoded = decode::<Map<String, Value>>(token, &key.key, &validation);
        decoded.map(|data| data.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Error::BadSignature,
            ErrorKind::InvalidAlgorithm => Error::WrongAlgorithm,
            ErrorKind::ExpiredSignature => Error::Expired,
            ErrorKind::ImmatureSignature => Error::NotYetValid,
            ErrorKind::InvalidIssuer => Error::WrongIssuer,
            ErrorKind::InvalidAudience => Error::WrongAudience,
            ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => {
                let known = ["exp", "nbf", "sub", "iss", "aud"].into_iter().find(|known| known == name);
                known.map_or(Error::Malformed, Error::MissingClaim)
            }
            _ => Error::Malformed,
        })
    }

    fn principal(&self, claims: Map<String, Value>) -> Result<Principal, Error> {
        let sub = match claims.get("sub") {
            // PostgreSQL holds no U+0000: every write of such a caller would fail.
            Some(Value::String(sub)) if !sub.is_empty() && !sub.contains('\0') => sub.clone(),
            _ => return Err(Error::MissingClaim("sub")),
        };
        let roles = roles(&claims, &self.roles_claim);
        let exp_seconds = claims.get("exp").and_then(|exp| exp.as_u64().or_else(|| Some(exp.as_f64()?.round() as u64)));
        Ok(Principal {
            sub: Some(sub),
            is_admin: roles.contains(&self.admin_role),
            roles,
            expires_at: exp_seconds.and_then(|exp| UNIX_EPOCH.checked_add(Duration::from_secs(exp))),
            claims,
        })
    }
}

fn validation(settings: &AuthSettings) -> Validation {
    let mut validation = Validation { leeway: LEEWAY_SECONDS, validate_nbf: true, ..Validation::default() };
    let mut required = vec!["exp", "sub"];
    let issuers: Vec<_> = settings.jwt_issuer.iter().filter(|issuer| !issuer.is_empty()).collect();
    if !issuers.is_empty() {
        validation.set_issuer(&issuers);
        required.push("iss");
    }
    let audiences: Vec<_> = settings.jwt_audience.iter().filter(|audience| !audience.is_empty()).collect();
    validation.validate_aud = !audiences.is_empty();
    if validation.validate_aud {
        validation.set_audience(&audiences);
        required.push("aud");
    }
    validation.set_required_spec_claims(&required);
    validation
}

/// The roles in the claim of this name, or at this path of nested claims: a list of strings, or one string with spaces.
fn roles(claims: &Map<String, Value>, path: &str) -> Vec<String> {
    // Some issuers put dots into the name of a claim, such as a URL.
    let claim = claims.get(path).or_else(|| {
        let mut names = path.split('.');
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    });
    match claim {
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// What a new token says.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// Whose it is.
    pub sub: String,
    /// Put where `--jwt-roles-claim` says.
    pub roles: Vec<String>,
    /// Other claims.
    pub claims: Map<String, Value>,
    /// How long it is valid.
    pub ttl: Duration,
}

/// Makes a token that a server with this secret and these settings accepts.
pub fn issue(
    secret: &Secret,
    settings: &AuthSettings,
    token: &NewToken,
) -> Result<String, jsonwebtoken::errors::Error> {
    let now_seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), token.sub.clone().into());
    claims.insert("iat".to_owned(), now_seconds.into());
    claims.insert("exp".to_owned(), now_seconds.saturating_add(token.ttl.as_secs()).into());
    for (name, accepted) in [("iss", &settings.jwt_issuer), ("aud", &settings.jwt_audience)] {
        if let Some(first) = accepted.first().filter(|first| !first.is_empty()) {
            claims.insert(name.to_owned(), first.clone().into());
        }
    }
    claims.extend(token.claims.clone());
    if !token.roles.is_empty() {
        put_roles(&mut claims, &settings.jwt_roles_claim, &token.roles);
    }
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.expose().as_bytes()))
}

/// Puts roles where [`roles`] finds them.
pub(super) fn put_roles(claims: &mut Map<String, Value>, path: &str, roles: &[String]) {
    match path.split_once('.') {
        None => {
            claims.insert(path.to_owned(), roles.into());
        }
        Some((first, rest)) => {
            let inner = claims.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            put_roles(inner.as_object_mut().expect("it was made an object"), rest, roles);
        }
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
