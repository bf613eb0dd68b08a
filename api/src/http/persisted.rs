//! Automatic persisted queries: a client sends the hash of a document, and the document itself only if the server does
//! not know it.
//!
//! The protocol is Apollo's, <https://www.apollographql.com/docs/apollo-server/performance/apq>: the extension
//! `persistedQuery` with `version` 1 and `sha256Hash`. A document is kept under the hash that the server has computed
//! itself, and only after it was found valid. The memory for them is bounded; those that are rarely asked for make room,
//! and their clients send them again.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::Value;

use super::refusal::Refused;
use crate::live::Problem;
use crate::schema::{ErrorCode, Request};

/// The key of the protocol in the extensions of a request.
pub const EXTENSION: &str = "persistedQuery";

/// Longer documents are run, but not kept.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// How many documents are expected, for the layout of the cache.
const EXPECTED_DOCUMENTS: usize = 1024;

/// The SHA-256 of a document.
pub type Hash = [u8; SHA256_OUTPUT_LEN];

/// The documents that are known by their hashes.
pub struct PersistedQueries {
    /// `None` if they are turned off.
    known: Option<Cache<Hash, Arc<str>, ByLength>>,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<Hash, Arc<str>> for ByLength {
    fn weight(&self, _: &Hash, document: &Arc<str>) -> u64 {
        (SHA256_OUTPUT_LEN + document.len()) as u64
    }
}

impl PersistedQueries {
    /// With this much memory for documents; 0 turns them off.
    pub fn new(capacity_bytes: usize) -> Self {
        let cache = || Cache::with_weighter(EXPECTED_DOCUMENTS, capacity_bytes as u64, ByLength);
        Self { known: (capacity_bytes > 0).then(cache) }
    }

    /// Fills in the document of a request that names it by its hash. The hash that comes back belongs to a document that
    /// may be kept once it is found valid.
    ///
    /// # Errors
    /// PERSISTED_QUERY_NOT_FOUND if the document is not known, and whatever is wrong with the extension.
    pub(super) fn resolve(&self, request: &mut Request) -> Result<Option<Hash>, Refused> {
        let Some(extension) = request.extensions.get(EXTENSION) else { return Ok(None) };
        let Some(known) = &self.known else {
            return if request.query.is_empty() { Err(not_supported("PersistedQueryNotSupported")) } else { Ok(None) };
        };
        let hash = read(extension)?;
        if request.query.is_empty() {
            let document = known.get(&hash).ok_or_else(not_found)?;
            request.query = document.as_ref().to_owned();
            return Ok(None);
        }
        if digest(&SHA256, request.query.as_bytes()).as_ref() != hash {
            return Err(malformed("provided sha does not match query"));
        }
        Ok(Some(hash))
    }

    /// Keeps a valid document under its hash.
    pub fn keep(&self, hash: Hash, document: &str) {
        if let Some(known) = self.known.as_ref().filter(|_| document.len() <= MAX_DOCUMENT_BYTES) {
            known.insert(hash, document.into());
        }
    }
}

/// The hash that the extension names.
fn read(extension: &Value) -> Result<Hash, Refused> {
    let version = extension.get("version").and_then(Value::as_u64);
    let version = version.ok_or_else(|| malformed("extensions.persistedQuery.version must be 1"))?;
    if version != 1 {
        return Err(not_supported("Unsupported persisted query version"));
    }
    let hash = extension.get("sha256Hash").and_then(Value::as_str).and_then(decode);
    hash.ok_or_else(|| {
        malformed("extensions.persistedQuery.sha256Hash must be the SHA-256 of the document, in hexadecimal")
    })
}

fn decode(text: &str) -> Option<Hash> {
    let mut hash = [0; SHA256_OUTPUT_LEN];
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * SHA256_OUTPUT_LEN)?;
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(pair[0] << 4 | pair[1]).ok()?;
    }
    Some(hash)
}

/// In the words that clients wait for before they send the document itself.
fn not_found() -> Refused {
    Refused::Request(Problem::new(ErrorCode::PersistedQueryNotFound, "PersistedQueryNotFound"))
}

fn not_supported(message: &'static str) -> Refused {
    Refused::Request(Problem::new(ErrorCode::PersistedQueryNotSupported, message))
}

fn malformed(message: &'static str) -> Refused {
    Refused::Malformed(Problem::bad_input(message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DOCUMENT: &str = "{__typename}";
    const HASH: &str = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";

    fn resolve(queries: &PersistedQueries, query: &str, extension: Value) -> Result<(Request, Option<Hash>), String> {
        let mut request = Request { query: query.to_owned(), ..Request::default() };
        request.extensions.insert(EXTENSION.to_owned(), extension);
        let hash = queries.resolve(&mut request).map_err(|refused| refused.problem().code.to_string())?;
        Ok((request, hash))
    }

    #[test]
    fn a_document_is_known_after_it_was_kept() {
        let queries = PersistedQueries::new(1 << 20);
        let named = json!({"version": 1, "sha256Hash": HASH});
        assert_eq!(resolve(&queries, "", named.clone()).unwrap_err(), "PERSISTED_QUERY_NOT_FOUND");
        let (request, hash) = resolve(&queries, DOCUMENT, named.clone()).unwrap();
        // It is not valid before somebody says so.
        assert_eq!(resolve(&queries, "", named.clone()).unwrap_err(), "PERSISTED_QUERY_NOT_FOUND");
        queries.keep(hash.unwrap(), &request.query);
        let (request, hash) = resolve(&queries, "", named).unwrap();
        assert_eq!((request.query.as_str(), hash), (DOCUMENT, None));
        let shouted = json!({"version": 1, "sha256Hash": HASH.to_uppercase()});
        assert_eq!(resolve(&queries, "", shouted).unwrap().0.query, DOCUMENT);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let queries = PersistedQueries::new(1 << 20);
        let cases = [
            (json!(null), "BAD_USER_INPUT"),
            (json!({}), "BAD_USER_INPUT"),
            (json!({"version": "1", "sha256Hash": HASH}), "BAD_USER_INPUT"),
            (json!({"version": 2, "sha256Hash": HASH}), "PERSISTED_QUERY_NOT_SUPPORTED"),
            (json!({"version": 1}), "BAD_USER_INPUT"),
            (json!({"version": 1, "sha256Hash": 7}), "BAD_USER_INPUT"),
            (json!({"version": 1, "sha256Hash": &HASH[1..]}), "BAD_USER_INPUT"),
            (json!({"version": 1, "sha256Hash": HASH.replace('e', "g")}), "BAD_USER_INPUT"),
            (json!({"version": 1, "sha256Hash": HASH.replace('e', "f")}), "BAD_USER_INPUT"),
        ];
        for (extension, code) in cases {
            assert_eq!(resolve(&queries, DOCUMENT, extension.clone()).unwrap_err(), code, "{extension}");
        }
    }

    #[test]
    fn they_can_be_off() {
        let queries = PersistedQueries::new(0);
        let named = json!({"version": 1, "sha256Hash": HASH});
        assert_eq!(resolve(&queries, "", named.clone()).unwrap_err(), "PERSISTED_QUERY_NOT_SUPPORTED");
        // The document is there, so there is nothing to know.
        assert_eq!(resolve(&queries, DOCUMENT, named).unwrap().1, None);
    }

    #[test]
    fn their_memory_is_bounded() {
        let queries = PersistedQueries::new(100_000);
        for number in 0..1000_u32 {
            let mut hash = Hash::default();
            hash[..4].copy_from_slice(&number.to_le_bytes());
            queries.keep(hash, &"x".repeat(1000));
        }
        let known = queries.known.as_ref().unwrap();
        assert!(known.weight() <= 100_000 && known.len() > 50, "{} in {}", known.len(), known.weight());
        queries.keep([7; SHA256_OUTPUT_LEN], &"x".repeat(MAX_DOCUMENT_BYTES + 1));
        assert!(known.get(&[7; SHA256_OUTPUT_LEN]).is_none());
    }
}
