//! One attempt of each kind, and what the server may make of it. An error is a finding, and says what was sent.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::garbage::Garbage;
use crate::wire::{Connection, post_head};

/// Longer than any request may take.
const PATIENCE: Duration = Duration::from_secs(45);
/// All that a client may be told about its own mistakes. INTERNAL_SERVER_ERROR and TIMEOUT are not among them.
const CODES: [&str; 10] = [
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "BAD_USER_INPUT",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "PERSISTED_QUERY_NOT_FOUND",
    "COST_LIMIT_EXCEEDED",
    "RATE_LIMITED",
    "CURSOR_EXPIRED",
    "CURSOR_INVALID",
];
const STATUSES: [u16; 11] = [200, 400, 401, 403, 404, 405, 406, 411, 413, 415, 431];

/// Whom garbage is sent to.
#[derive(Debug, Clone)]
pub struct Victim {
    /// Where it listens.
    pub address: SocketAddr,
    /// The token of somebody who may do everything.
    pub token: String,
    /// A cursor of its log.
    pub cursor: String,
}

impl Victim {
    /// Asks over HTTP, with these headers.
    async fn ask(&self, headers: &[(String, String)], body: &[u8]) -> Result<(u16, Value)> {
        let exchange = async {
            let mut connection = Connection::open(self.address).await?;
            let answer = connection.ask(&post_head(self.address, "/graphql", headers), body).await?;
            let text = String::from_utf8(answer.body.to_vec()).context("the answer is no UTF-8")?;
            let value = serde_json::from_str(&text).with_context(|| format!("the answer is no JSON: {text}"));
            Ok((answer.status, value?))
        };
        tokio::time::timeout(PATIENCE, exchange).await.context("no answer")?
    }

    fn authorization(token: &str) -> (String, String) {
        ("authorization".to_owned(), format!("Bearer {token}"))
    }

    /// Random documents and variables, also in bodies that are no requests.
    pub async fn document(&self, garbage: &mut Garbage) -> Result<()> {
        let (query, variables) = garbage.request();
        let request = json!({ "query": query, "variables": variables });
        let body = match garbage.below(12) {
            0 => garbage.bytes(400),
            1 => garbage.spoilt(&request.to_string()).into_bytes(),
            2 => garbage.json(4).to_string().into_bytes(),
            3 => json!([request, garbage.json(2)]).to_string().into_bytes(),
            _ => request.to_string().into_bytes(),
        };
        let headers = match garbage.below(3) {
            0 => vec![],
            _ => vec![Self::authorization(&self.token)],
        };
        let sent = || String::from_utf8_lossy(&body).into_owned();
        let (status, answer) = self.ask(&headers, &body).await.with_context(sent)?;
        ensure!(STATUSES.contains(&status), "status {status}: {answer}\n{}", sent());
        coded(&answer).with_context(sent)
    }

    /// Random tokens: nobody becomes somebody.
    pub async fn token(&self, garbage: &mut Garbage) -> Result<()> {
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let token = match garbage.below(6) {
            0 => garbage.base64(200),
            1 => {
                let header = part(garbage.json(2));
                format!("{header}.{}.{}", part(json!({"sub": "root", "roles": ["admin"]})), garbage.base64(60))
            }
            2 => {
                let algorithm = garbage.one_of(&["none", "None", "HS256", "HS512", "RS256", "EdDSA", ""]);
                let claims = json!({"sub": "root", "roles": ["admin"], "exp": 99_999_999_999_i64});
                format!("{}.{}.{}", part(json!({"alg": algorithm, "typ": "JWT"})), part(claims), garbage.base64(60))
            }
            3 => "A.".repeat(garbage.below(9_000)),
            4 => {
                let at = garbage.below(self.token.len());
                self.token[..at].to_owned()
            }
            _ => garbage.spoilt(&self.token),
        };
        // What no header can carry is for another attempt.
        let token: String = token.chars().filter(|character| (' '..='~').contains(character)).collect();
        let token = token.trim();
        if token == self.token {
            return Ok(());
        }
        let body = br#"{"query":"{ viewer { sub roles } }"}"#;
        let (status, answer) = self.ask(&[Self::authorization(token)], body).await.with_context(|| token.to_owned())?;
        let code = &answer["errors"][0]["extensions"]["code"];
        ensure!(
            (status == 401 && *code == json!("UNAUTHENTICATED")) || status == 431,
            "the token {token:?} gives {status} {answer}"
        );
        Ok(())
    }

    /// Random cursors, in queries.
    pub async fn cursor(&self, garbage: &mut Garbage) -> Result<()> {
        let (cursor, expected) = self.bad_cursor(garbage);
        let query = "query($a: String) { changes(after: $a) { nodes { id } } }";
        let body = json!({ "query": query, "variables": { "a": cursor } }).to_string();
        let (status, answer) = self.ask(&[Self::authorization(&self.token)], body.as_bytes()).await?;
        let code = answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("none");
        ensure!(expected.contains(&code), "the cursor {cursor:?} gives {status} {answer}");
        let query = "query($a: String) { products(after: $a) { nodes { id } } }";
        let body = json!({ "query": query, "variables": { "a": cursor } }).to_string();
        let (status, answer) = self.ask(&[Self::authorization(&self.token)], body.as_bytes()).await?;
        ensure!(matches!(status, 200 | 400), "the cursor {cursor:?} of a page gives {status} {answer}");
        coded(&answer).with_context(|| cursor)
    }

    /// One that is wrong, and the codes that it may get.
    pub fn bad_cursor(&self, garbage: &mut Garbage) -> (String, &'static [&'static str]) {
        const INVALID: &[&str] = &["CURSOR_INVALID"];
        const EITHER: &[&str] = &["CURSOR_INVALID", "CURSOR_EXPIRED"];
        let right = BASE64_URL_SAFE_NO_PAD.decode(&self.cursor).unwrap_or_default();
        let changed = |at: usize, bytes: &[u8]| {
            let mut cursor = right.clone();
            cursor[at..at + bytes.len()].copy_from_slice(bytes);
            BASE64_URL_SAFE_NO_PAD.encode(cursor)
        };
        match garbage.below(8) {
            0 => (garbage.text(60), INVALID),
            1 => (garbage.base64(30), INVALID),
            2 => (format!("{}A{}", self.cursor, garbage.base64(5)), INVALID),
            3 => (self.cursor[..garbage.below(self.cursor.len())].to_owned(), INVALID),
            4 => (changed(0, &[garbage.one_of(&[0, 2, 3, 255])]), INVALID),
            5 => (changed(1, &(garbage.below(usize::MAX) as u128).to_be_bytes()), EITHER),
            6 => (changed(17, &(1_i64 << (40 + garbage.below(23))).to_be_bytes()), EITHER),
            _ => (changed(17, &(-1 - garbage.below(1_000) as i64).to_be_bytes()), INVALID),
        }
    }

    /// Bytes that are no HTTP, or nearly so. The server may say anything, but it must be there afterwards.
    pub async fn noise(&self, garbage: &mut Garbage) -> Result<()> {
        let request = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{\"a\": 1}\n";
        let bytes = match garbage.below(3) {
            0 => garbage.bytes(2_000),
            1 => garbage.spoilt(request).into_bytes(),
            _ => [request.as_bytes(), &garbage.bytes(100)].concat(),
        };
        let mut stream = TcpStream::connect(self.address).await?;
        // An error means that the server has hung up.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let read = async { while let Ok(1..) = stream.read_buf(&mut answer).await {} };
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.with_context(|| format!("the server does not end the connection after {bytes:?}"))?;
        let is_failure = answer.windows(13).any(|window| window == b"HTTP/1.1 500 ");
        ensure!(!is_failure, "{bytes:?} gives {}", String::from_utf8_lossy(&answer));
        Ok(())
    }
}

/// Every request error has one of the codes that a client may get.
pub fn coded(answer: &Value) -> Result<()> {
    let answers = answer.as_array().map_or(std::slice::from_ref(answer), Vec::as_slice);
    for answer in answers {
        let errors = answer["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        if errors.is_empty() && answer.get("data").is_none() {
            bail!("neither data nor errors: {answer}");
        }
        for error in errors {
            let code = error["extensions"]["code"].as_str().unwrap_or("none");
            ensure!(CODES.contains(&code), "the code {code}: {answer}");
        }
    }
    Ok(())
}
