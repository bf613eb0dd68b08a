//! `tandem verify`: checks a request that a receiver got, and says why it is not valid.
//!
//! - [`request`]: what is read
//! - [`check`]: what is wrong with it
//! - [`change`]: what may have happened to a body on its way

mod change;
mod check;
mod request;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::{ArgGroup, Args};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::check::{Keys, Report};
use crate::app::BadInput;
use crate::config::duration;
use crate::webhook::signature::{PublicKey, Secret};

/// Most bytes that are read of a file, of standard input or of a key set.
const MAX_BYTES: u64 = 16 << 20;
/// How long the server of a key set may take.
const JWKS_TIMEOUT: Duration = Duration::from_secs(10);

/// Check a request that a receiver of webhooks got, and say why it is not valid
///
/// The request is read as it was received: headers, an empty line, and the body, byte for byte; a request line before them is
/// passed over. With --header it is the body alone. The exit status is 0 if it is valid, and 1 if not.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("keys").args(["secrets", "public_keys", "jwks"]).required(true).multiple(true)))]
pub struct Verify {
    /// The file with the request; - or none: standard input
    #[arg(value_name = "FILE")]
    file: Option<String>,

    /// The secret of the webhook, whsec_…, or @ and a file that holds it; may be given several times, one must be right
    #[arg(long = "secret", value_name = "SECRET", value_parser = secret)]
    secrets: Vec<Secret>,

    /// The public key of the webhook, whpk_…; may be given several times, one must be right
    #[arg(long = "public-key", value_name = "KEY", value_parser = |text: &str| PublicKey::parse(text))]
    public_keys: Vec<PublicKey>,

    /// File or http(s) URL of a JSON Web Key Set with the public keys of the webhook, such as
    /// https://…/.well-known/jwks.json?webhook=…
    #[arg(long, value_name = "FILE-OR-URL")]
    jwks: Option<String>,

    /// A header, as NAME: VALUE; may be given several times. Then the file is the body alone
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    headers: Vec<String>,

    /// How far the time of the request may be from now
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    tolerance: Duration,

    /// Check as if it had come at this time: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<i64>,
}

impl Verify {
    /// Prints what it finds.
    ///
    /// # Errors
    /// If the request is not valid: all that is wrong with it.
    pub async fn run(self) -> anyhow::Result<()> {
        let input = self.read()?;
        let request = match self.headers.is_empty() {
            true => request::parse(&input),
            false => request::of_parts(&self.headers, input),
        };
        let request = request.map_err(BadInput)?;
        let mut public_keys = self.public_keys;
        if let Some(location) = &self.jwks {
            public_keys.extend(key_set(location).await?);
        }
        let keys = Keys { secrets: self.secrets, public_keys };
        let now_s = self.at.unwrap_or_else(|| OffsetDateTime::now_utc().unix_timestamp());
        let tolerance_s = i64::try_from(self.tolerance.as_secs()).unwrap_or(i64::MAX);
        match check::check(&request, &keys, now_s, tolerance_s) {
            Report::Valid(text) => super::print(&text),
            Report::Invalid(problems) => Err(Invalid(problems).into()),
        }
    }

    fn read(&self) -> anyhow::Result<Vec<u8>> {
        let mut input = Vec::new();
        match self.file.as_deref().filter(|file| *file != "-") {
            Some(path) => {
                let file = std::fs::File::open(path).with_context(|| format!("{path} cannot be read"))?;
                file.take(MAX_BYTES + 1).read_to_end(&mut input).with_context(|| format!("{path} cannot be read"))?;
            }
            None => {
                let read = io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut input);
                read.context("standard input cannot be read")?;
            }
        }
        if input.len() as u64 > MAX_BYTES {
            return Err(BadInput(format!("error: the request is larger than {} MiB", MAX_BYTES >> 20)).into());
        }
        Ok(input)
    }
}

/// Why the request is not valid, one line for each reason.
#[derive(Debug, thiserror::Error)]
#[error("the request is not valid\n{}", .0.iter().map(|problem| format!("  - {problem}\n")).collect::<String>().trim_end())]
struct Invalid(Vec<String>);

fn secret(text: &str) -> Result<Secret, String> {
    let text = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))?,
        None => text.to_owned(),
    };
    Secret::parse(text.trim()).map_err(|error| error.to_string())
}

fn instant(text: &str) -> Result<i64, String> {
    let seconds = text.parse().ok();
    let seconds = seconds.or_else(|| Some(OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp()));
    seconds.ok_or_else(|| "expected a time such as 2026-01-31T12:00:00Z, or seconds since 1970".to_owned())
}

/// The Ed25519 keys of a set. Others are passed over.
async fn key_set(location: &str) -> anyhow::Result<Vec<PublicKey>> {
    let bytes = if location.starts_with("http://") || location.starts_with("https://") {
        let client = reqwest::Client::builder().timeout(JWKS_TIMEOUT).build()?;
        let response = client.get(location).send().await.and_then(reqwest::Response::error_for_status);
        let response = response.context("the key set cannot be loaded")?;
        response.bytes().await.context("the key set cannot be loaded")?.to_vec()
    } else {
        std::fs::read(Path::new(location)).with_context(|| format!("the key set {location} cannot be read"))?
    };
    let set: Value = serde_json::from_slice(&bytes).ok().unwrap_or_default();
    let keys = set.get("keys").and_then(Value::as_array);
    let keys: Vec<_> = keys.into_iter().flatten().filter_map(|key| PublicKey::from_jwk(key).ok()).collect();
    if keys.is_empty() {
        let message = format!("error: {location} holds no JSON Web Key Set with an Ed25519 key");
        return Err(BadInput(message).into());
    }
    Ok(keys)
}
