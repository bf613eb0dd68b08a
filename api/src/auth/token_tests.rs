//! Every algorithm, and every way in which a token can be bad.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn settings() -> AuthSettings {
    AuthSettings {
        jwt_secret: None,
        jwt_public_key: None,
        jwks: None,
        jwt_issuer: Vec::new(),
        jwt_audience: Vec::new(),
        jwt_roles_claim: "roles".to_owned(),
        admin_role: "admin".to_owned(),
    }
}

fn claims(extra: Value) -> Value {
    let mut claims = json!({"sub": "ada", "exp": now() + 60});
    claims.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    claims
}

async fn open(settings: &AuthSettings, source: &KeySource) -> Authenticator {
    Authenticator::open(settings, source).await.unwrap()
}

async fn with_secret(settings: &AuthSettings) -> Authenticator {
    open(settings, &KeySource::Secret(Secret::new(SECRET))).await
}

/// A pair of keys of a public-key algorithm.
struct Pair {
    algorithm: Algorithm,
    private: EncodingKey,
    public_der: Vec<u8>,
}

impl Pair {
    fn generate(algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        let (private, public): (EncodingKey, Vec<u8>) = match algorithm {
            Algorithm::RS256 => {
                let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
                let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
                let key = EncodingKey::from_rsa_pem(pem("PRIVATE KEY", pkcs8.as_ref()).as_bytes()).unwrap();
                (key, spki(pair.public_key()))
            }
            Algorithm::ES256 => {
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
                (EncodingKey::from_ec_der(pkcs8.as_ref()), spki(pair.public_key()))
            }
            Algorithm::EdDSA => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
                (EncodingKey::from_ed_der(pkcs8.as_ref()), spki(pair.public_key()))
            }
            other => panic!("{other:?} has no pair of keys here"),
        };
        Self { algorithm, private, public_der: public }
    }

    fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.private).unwrap()
    }

    /// The public key as a member of a key set. The bytes of the key are the end of its DER form.
    fn jwk(&self, kid: &str) -> Value {
        let end = |length: usize| &self.public_der[self.public_der.len() - length..];
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self.algorithm {
            Algorithm::ES256 => {
                let (x, y) = end(64).split_at(32);
                json!({"kid": kid, "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            Algorithm::EdDSA => json!({"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": text(end(32))}),
            other => panic!("{other:?} is in no key set here"),
        }
    }

    fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public_der)
    }

    fn write_pem(&self, directory: &Path) -> KeySource {
        let path = directory.join("public.pem");
        std::fs::write(&path, self.public_pem()).unwrap();
        KeySource::PublicKey(path)
    }
}

fn spki(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Vec<u8> {
    key.as_der().unwrap().as_ref().to_vec()
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn hs256(secret: &[u8], claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn unsigned(header: Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&header), part(claims))
}

#[tokio::test]
async fn each_algorithm_verifies_its_own_tokens_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let claims = claims(json!({}));
    let pairs = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].map(Pair::generate);
    let by_secret = hs256(SECRET.as_bytes(), &claims);
    for pair in &pairs {
        let authenticator = open(&settings(), &pair.write_pem(directory.path())).await;
        for signer in &pairs {
            let outcome = authenticator.verify(&signer.sign(Some("any"), &claims)).await;
            if signer.algorithm == pair.algorithm {
                assert_eq!(outcome.unwrap().sub.as_deref(), Some("ada"));
            } else {
                assert_eq!(outcome.unwrap_err(), Error::WrongAlgorithm);
            }
        }
        let stranger = Pair::generate(pair.algorithm);
        assert_eq!(authenticator.verify(&stranger.sign(None, &claims)).await.unwrap_err(), Error::BadSignature);
        assert_eq!(authenticator.verify(&by_secret).await.unwrap_err(), Error::WrongAlgorithm);
    }
    let authenticator = with_secret(&settings()).await;
    assert!(authenticator.verify(&by_secret).await.is_ok());
    for pair in &pairs {
        let outcome = authenticator.verify(&pair.sign(None, &claims)).await;
        assert_eq!(outcome.unwrap_err(), Error::WrongAlgorithm);
    }
}

#[tokio::test]
async fn the_header_of_a_token_does_not_choose_the_algorithm() {
    let directory = tempfile::tempdir().unwrap();
    let pair = Pair::generate(Algorithm::RS256);
    let source = pair.write_pem(directory.path());
    let claims = claims(json!({"roles": ["admin"]}));
    let confused = hs256(pair.public_pem().as_bytes(), &claims);
    let none = unsigned(json!({"alg": "none", "typ": "JWT"}), &claims);
    let empty_signature = unsigned(json!({"alg": "RS256", "typ": "JWT"}), &claims);
    let critical = unsigned(json!({"alg": "RS256", "crit": ["exp"]}), &claims);
    let authenticator = open(&settings(), &source).await;
    for (token, expected) in [
        (&confused, Error::WrongAlgorithm),
        (&none, Error::Malformed),
        (&empty_signature, Error::BadSignature),
        (&critical, Error::Malformed),
    ] {
        assert_eq!(authenticator.verify(token).await.unwrap_err(), expected, "{token}");
    }
}

#[tokio::test]
async fn claims_are_checked() {
    let strict = AuthSettings {
        jwt_issuer: vec!["https://id.example".to_owned(), "other".to_owned()],
        jwt_audience: vec!["tandem".to_owned()],
        ..settings()
    };
    let good = json!({"iss": "https://id.example", "aud": ["shop", "tandem"]});
    let with = |extra: Value| {
        let mut claims = claims(good.clone());
        for (name, value) in extra.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let cases = [
        (with(json!({})), Ok(())),
        (with(json!({"iss": "other", "aud": "tandem"})), Ok(())),
        (with(json!({"exp": now() - 2})), Ok(())),
        (with(json!({"exp": now() - 60})), Err(Error::Expired)),
        (with(json!({"exp": null})), Err(Error::MissingClaim("exp"))),
        (with(json!({"exp": "tomorrow"})), Err(Error::MissingClaim("exp"))),
        (with(json!({"exp": u64::MAX})), Ok(())),
        (with(json!({"exp": i64::MAX})), Ok(())),
        (with(json!({"nbf": now() - 60})), Ok(())),
        (with(json!({"nbf": now() + 60})), Err(Error::NotYetValid)),
        (with(json!({"nbf": "yesterday"})), Err(Error::MissingClaim("nbf"))),
        (with(json!({"iss": "https://evil.example"})), Err(Error::WrongIssuer)),
        (with(json!({"iss": null})), Err(Error::MissingClaim("iss"))),
        (with(json!({"aud": ["shop"]})), Err(Error::WrongAudience)),
        (with(json!({"aud": null})), Err(Error::MissingClaim("aud"))),
        (with(json!({"sub": null})), Err(Error::MissingClaim("sub"))),
        (with(json!({"sub": ""})), Err(Error::MissingClaim("sub"))),
        (with(json!({"sub": 7})), Err(Error::MissingClaim("sub"))),
        (with(json!({"sub": "a\0b"})), Err(Error::MissingClaim("sub"))),
    ];
    let authenticator = with_secret(&strict).await;
    for (claims, expected) in cases {
        let token = hs256(SECRET.as_bytes(), &claims);
        // The second time, the answer comes from the cache.
        for _ in 0..2 {
            assert_eq!(authenticator.verify(&token).await.map(|_| ()), expected, "{claims}");
        }
    }
    let lenient = with_secret(&settings()).await;
    assert!(lenient.verify(&hs256(SECRET.as_bytes(), &with(json!({})))).await.is_ok());
}

#[tokio::test]
async fn roles_have_several_forms() {
    let cases = [
        ("roles", json!({"roles": ["support", "admin"]}), vec!["support", "admin"]),
        ("roles", json!({"roles": "support  admin"}), vec!["support", "admin"]),
        ("roles", json!({"roles": ["support", 7, null]}), vec!["support"]),
        ("roles", json!({"roles": 7}), vec![]),
        ("roles", json!({}), vec![]),
        ("realm_access.roles", json!({"realm_access": {"roles": ["support"]}}), vec!["support"]),
        ("realm_access.roles", json!({"realm_access": "support"}), vec![]),
        ("https://shop.example/roles", json!({"https://shop.example/roles": ["admin"]}), vec!["admin"]),
    ];
    for (path, extra, expected) in cases {
        let settings = AuthSettings { jwt_roles_claim: path.to_owned(), ..settings() };
        let token = hs256(SECRET.as_bytes(), &claims(extra.clone()));
        let principal = with_secret(&settings).await.verify(&token).await.unwrap();
        assert_eq!(principal.roles, expected, "{path} {extra}");
        assert_eq!(principal.is_admin, expected.contains(&"admin"), "{path} {extra}");
    }
}

#[tokio::test]
async fn the_header_must_be_one_bearer_token() {
    let authenticator = with_secret(&settings()).await;
    let good = hs256(SECRET.as_bytes(), &claims(json!({})));
    let cases = [
        (vec![], Ok(None)),
        (vec![format!("Bearer {good}")], Ok(Some("ada"))),
        (vec![format!("bearer  {good}")], Ok(Some("ada"))),
        (vec![good.clone()], Err(Error::NotBearer)),
        (vec![String::new()], Err(Error::NotBearer)),
        (vec!["Basic YTpi".to_owned()], Err(Error::NotBearer)),
        (vec!["Bearer ".to_owned()], Err(Error::Malformed)),
        (vec!["Bearer a.b".to_owned()], Err(Error::Malformed)),
        (vec![format!("Bearer {}.a.b", "a".repeat(MAX_TOKEN_BYTES))], Err(Error::Malformed)),
        (vec![format!("Bearer {good}x")], Err(Error::BadSignature)),
        (vec![format!("Bearer {good}"), format!("Bearer {good}")], Err(Error::NotBearer)),
    ];
    for (values, expected) in cases {
        let mut headers = HeaderMap::new();
        for value in &values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        let sub = authenticator.authenticate(&headers).await.map(|principal| principal.sub.clone());
        assert_eq!(sub, expected.map(|sub: Option<&str>| sub.map(str::to_owned)), "{values:?}");
    }
}

#[tokio::test]
async fn issued_tokens_are_accepted() {
    let settings = AuthSettings {
        jwt_issuer: vec!["tandem".to_owned()],
        jwt_audience: vec!["shop".to_owned()],
        jwt_roles_claim: "realm_access.roles".to_owned(),
        ..settings()
    };
    let token = NewToken {
        sub: "ada".to_owned(),
        roles: vec!["admin".to_owned()],
        claims: json!({"tenant": 7}).as_object().unwrap().clone(),
        ttl: Duration::from_secs(3600),
    };
    let text = issue(&Secret::new(SECRET), &settings, &token).unwrap();
    let principal = with_secret(&settings).await.verify(&text).await.unwrap();
    assert!(principal.is_admin);
    assert_eq!(principal.claim("tenant"), Some(&json!(7)));
    let left = principal.expires_at.unwrap().duration_since(SystemTime::now()).unwrap();
    assert!(left <= Duration::from_secs(3600) && left > Duration::from_secs(3500));
}

/// A server of a key set whose content can be changed, and which counts its answers.
struct KeyServer {
    url: String,
    document: watch::Sender<String>,
    served: Arc<AtomicUsize>,
}

impl KeyServer {
    async fn start(document: Value) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let document = watch::Sender::new(document.to_string());
        let served = Arc::new(AtomicUsize::new(0));
        let (current, count) = (document.subscribe(), served.clone());
        let handler = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let body = current.borrow().clone();
            async move { body }
        };
        let router = axum::Router::new().route("/jwks.json", axum::routing::get(handler));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, document, served }
    }
}

/// An authenticator of this server's keys that loads them at most once in `floor`.
async fn with_key_server(server: &KeyServer, floor: Duration) -> (Arc<Authenticator>, DropGuard) {
    let mut authenticator = open(&settings(), &KeySource::Jwks(server.url.clone())).await;
    if let Keys::Set(jwks) = &mut authenticator.keys {
        jwks.floor = floor;
    }
    let authenticator = Arc::new(authenticator);
    let (cancel, task) = (CancellationToken::new(), authenticator.clone());
    let stop = cancel.clone().drop_guard();
    tokio::spawn(async move { task.keep_keys_fresh(cancel).await });
    (authenticator, stop)
}

#[tokio::test]
async fn a_key_set_is_loaded_again_when_a_key_is_unknown() {
    let [old, new] = [Algorithm::ES256, Algorithm::EdDSA].map(Pair::generate);
    let server = KeyServer::start(json!({"keys": [old.jwk("old")]})).await;
    let (authenticator, _stop) = with_key_server(&server, Duration::ZERO).await;
    let claims = claims(json!({}));
    assert!(authenticator.verify(&old.sign(Some("old"), &claims)).await.is_ok());
    assert!(authenticator.verify(&old.sign(None, &claims)).await.is_ok());
    assert_eq!(server.served.load(Ordering::SeqCst), 1);

    server.document.send_replace(json!({"keys": [new.jwk("new")]}).to_string());
    assert!(authenticator.verify(&new.sign(Some("new"), &claims)).await.is_ok());
    assert_eq!(server.served.load(Ordering::SeqCst), 2);
    // The old key is gone, and so is what was verified with it.
    assert_eq!(authenticator.verify(&old.sign(Some("old"), &claims)).await.unwrap_err(), Error::UnknownKey);

    // A key set that is broken leaves the keys as they were.
    server.document.send_replace("{}".to_owned());
    assert_eq!(authenticator.verify(&old.sign(Some("other"), &claims)).await.unwrap_err(), Error::UnknownKey);
    assert!(authenticator.verify(&new.sign(Some("new"), &claims)).await.is_ok());
}

#[tokio::test]
async fn unknown_keys_do_not_load_the_set_more_often_than_allowed() {
    let [known, unknown] = [Algorithm::ES256, Algorithm::EdDSA].map(Pair::generate);
    let server = KeyServer::start(json!({"keys": [known.jwk("known")]})).await;
    let (authenticator, _stop) = with_key_server(&server, Duration::from_secs(3600)).await;
    for kid in ["a", "b", "c"] {
        let outcome = authenticator.verify(&unknown.sign(Some(kid), &claims(json!({})))).await;
        assert_eq!(outcome.unwrap_err(), Error::UnknownKey);
    }
    assert_eq!(server.served.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_key_server_that_is_down_does_not_stop_the_start() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    drop(listener);
    let authenticator = open(&settings(), &KeySource::Jwks(url)).await;
    assert!(!authenticator.has_keys());
    let pair = Pair::generate(Algorithm::ES256);
    let outcome = authenticator.verify(&pair.sign(None, &claims(json!({})))).await;
    assert_eq!(outcome.unwrap_err(), Error::UnknownKey);
}
