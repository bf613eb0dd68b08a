//! The verdict on a request: all that is wrong with it, each with what to do about it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::change;
use super::request::Request;
use crate::catalog::datum::format_instant;
use crate::webhook::signature::{PublicKey, Secret};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// By what it is verified.
#[derive(Debug, Default)]
pub struct Keys {
    /// For `v1`; if there are any, one of them must be right.
    pub secrets: Vec<Secret>,
    /// For `v1a`; if there are any, one of them must be right.
    pub public_keys: Vec<PublicKey>,
}

/// The verdict.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// It is valid: what to print.
    Valid(String),
    /// It is not: each reason, for people.
    Invalid(Vec<String>),
}

/// The two schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    V1,
    V1a,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1a => "v1a",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::V1, Self::V1a].into_iter().find(|scheme| scheme.name() == name)
    }

    fn length_bytes(self) -> usize {
        match self {
            Self::V1 => 32,
            Self::V1a => 64,
        }
    }

    /// What verifies it, as users know it.
    fn key(self) -> &'static str {
        match self {
            Self::V1 => "secret",
            Self::V1a => "public key",
        }
    }
}

/// What was signed, and the signatures.
struct Signed<'r> {
    id: &'r str,
    timestamp_s: i64,
    entries: Vec<(Scheme, Vec<u8>)>,
    keys: &'r Keys,
}

/// Checks a request at a time.
pub fn check(request: &Request, keys: &Keys, now_s: i64, tolerance_s: i64) -> Report {
    let mut problems = Vec::new();
    let id = header(request, ID, &mut problems);
    let timestamp = header(request, TIMESTAMP, &mut problems).map(|text| timestamp(text, &mut problems));
    let signature = header(request, SIGNATURE, &mut problems).map(|text| entries(text, &mut problems));
    let (Some(id), Some(Some(timestamp_s)), Some(entries)) = (id, timestamp, signature) else {
        return Report::Invalid(problems);
    };
    problems.extend(wrong_time(timestamp_s, now_s, tolerance_s));
    let signed = Signed { id, timestamp_s, entries, keys };
    let mut right = Vec::new();
    let wanted = [(Scheme::V1, keys.secrets.is_empty()), (Scheme::V1a, keys.public_keys.is_empty())];
    let wanted: Vec<_> = wanted.into_iter().filter(|(_, is_unknown)| !is_unknown).map(|(scheme, _)| scheme).collect();
    for scheme in &wanted {
        match signed.found(*scheme, &request.body) {
            Some(number) => right.push((*scheme, number)),
            None if !signed.has(*scheme) => problems.push(missing_scheme(*scheme, &signed)),
            None => {}
        }
    }
    let wrong: Vec<_> =
        wanted.iter().copied().filter(|scheme| signed.has(*scheme) && !is_in(&right, *scheme)).collect();
    if !wrong.is_empty() {
        problems.push(explain(request, &signed, &wrong, !right.is_empty()));
    }
    if problems.is_empty() {
        return Report::Valid(summary(&signed, &right, now_s));
    }
    if wrong.is_empty() && !right.is_empty() {
        problems.push("the signature itself is right".to_owned());
    }
    Report::Invalid(problems)
}

fn is_in(right: &[(Scheme, usize)], scheme: Scheme) -> bool {
    right.iter().any(|(known, _)| *known == scheme)
}

impl Signed<'_> {
    fn has(&self, scheme: Scheme) -> bool {
        self.entries.iter().any(|(known, _)| *known == scheme)
    }

    /// Which of the keys has made one of the signatures for this body, from 1.
    fn found(&self, scheme: Scheme, body: &[u8]) -> Option<usize> {
        let signatures = || self.entries.iter().filter(|(known, _)| *known == scheme).map(|(_, bytes)| bytes);
        let (id, at) = (self.id, self.timestamp_s);
        let place = match scheme {
            Scheme::V1 => self.keys.secrets.iter().position(|key| signatures().any(|s| key.verifies(id, at, body, s))),
            Scheme::V1a => {
                self.keys.public_keys.iter().position(|key| signatures().any(|s| key.verifies(id, at, body, s)))
            }
        };
        place.map(|place| place + 1)
    }
}

/// The one value of a header.
fn header<'r>(request: &'r Request, name: &str, problems: &mut Vec<String>) -> Option<&'r str> {
    let mut values = request.values(name);
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Some(value),
        (Some(_), None) => {
            problems.push(format!("the header {name} is empty"));
            None
        }
        (Some(_), Some(_)) => {
            problems.push(format!("the header {name} is there more than once"));
            None
        }
        (None, _) => {
            problems.push(format!(
                "the header {name} is missing; the sender sets it, so something on the way has dropped it, or this is not a \
                 request of a webhook"
            ));
            None
        }
    }
}

fn timestamp(text: &str, problems: &mut Vec<String>) -> Option<i64> {
    let number = text.parse::<i64>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    match number {
        Some(number) if number < 100_000_000_000 => Some(number),
        Some(_) => {
            problems
                .push(format!("{TIMESTAMP} is {text}: it counts seconds since 1970, and this looks like milliseconds"));
            None
        }
        None => {
            problems.push(format!("{TIMESTAMP} is {text:?}, not a number of seconds since 1970"));
            None
        }
    }
}

fn wrong_time(timestamp_s: i64, now_s: i64, tolerance_s: i64) -> Option<String> {
    let age_s = now_s.saturating_sub(timestamp_s);
    if age_s.saturating_abs() <= tolerance_s {
        return None;
    }
    let tolerance = span(tolerance_s);
    Some(if age_s > 0 {
        format!(
            "{TIMESTAMP} is too old: it was signed {} ago, and {tolerance} are allowed (--tolerance). A request that was saved \
             is checked as of then with --at {timestamp_s}",
            span(age_s)
        )
    } else {
        format!(
            "{TIMESTAMP} is in the future: {} ahead, and {tolerance} are allowed (--tolerance). One of the two clocks is wrong",
            span(-age_s)
        )
    })
}

fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The signatures that can be read, of `v1,<base64> v1a,<base64> …`.
fn entries(text: &str, problems: &mut Vec<String>) -> Vec<(Scheme, Vec<u8>)> {
    let mut entries = Vec::new();
    for entry in text.split_ascii_whitespace() {
        let Some((version, encoded)) = entry.split_once(',') else {
            problems.push(format!("{SIGNATURE} has the entry {entry:?} without a version; expected v1,<base64>"));
            continue;
        };
        let Some(scheme) = Scheme::of_name(version) else {
            problems.push(format!("{SIGNATURE} has an entry of the unknown version {version:?}; known are v1 and v1a"));
            continue;
        };
        match BASE64.decode(encoded) {
            Ok(bytes) if bytes.len() == scheme.length_bytes() => entries.push((scheme, bytes)),
            Ok(bytes) => problems.push(format!(
                "{SIGNATURE} has an entry {version} of {} bytes instead of {}: it was cut off or changed",
                bytes.len(),
                scheme.length_bytes()
            )),
            Err(error) => problems.push(format!("{SIGNATURE} has an entry {version} that is no base64: {error}")),
        }
    }
    entries
}

fn missing_scheme(scheme: Scheme, signed: &Signed<'_>) -> String {
    let name = scheme.name();
    match signed.entries.first() {
        Some((other, _)) => format!(
            "{SIGNATURE} has no {name} entry that can be read, only {}: a {} cannot verify it",
            other.name(),
            scheme.key()
        ),
        None => format!("{SIGNATURE} has no {name} entry that can be read"),
    }
}

/// Why the schemes that are there and not right are not.
fn explain(request: &Request, signed: &Signed<'_>, wrong: &[Scheme], is_other_right: bool) -> String {
    let lengths: Vec<usize> = request.values("content-length").filter_map(|length| length.parse().ok()).collect();
    let length = lengths.first().copied();
    let is_signed = |body: &[u8]| wrong.iter().any(|scheme| signed.found(*scheme, body).is_some());
    let keys: Vec<_> = wrong.iter().map(|scheme| scheme.key()).collect();
    let keys = keys.join(" and the ");
    if is_other_right {
        return format!(
            "the {keys} is the wrong one: it has not signed this, and the other signature shows that nothing was changed"
        );
    }
    if let Some(what) = change::explain(&request.body, length, is_signed) {
        return format!("the body is not the one that was signed: {what}");
    }
    let have = request.body.len();
    if let Some(length) = length.filter(|length| *length > have) {
        return format!("the body was cut off: it has {have} bytes, and content-length says {length}");
    }
    let mut problem = format!(
        "no signature fits: the {keys} is that of another webhook or was rotated, or the body, {ID} or {TIMESTAMP} was changed"
    );
    if looks_rewritten(&request.body) {
        problem.push_str(". The body has white space between its members, which the sender does not write: it was parsed and written again");
    } else if let [one] = wrong {
        let other = match one {
            Scheme::V1 => "--jwks or --public-key",
            Scheme::V1a => "--secret",
        };
        problem.push_str(&format!(". With {other} as well it can be told which"));
    }
    problem
}

/// Bodies are written without white space outside of strings.
fn looks_rewritten(body: &[u8]) -> bool {
    body.starts_with(b"{ ") || body.starts_with(b"{\n") || body.starts_with(b"{\"type\": ")
}

fn summary(signed: &Signed<'_>, right: &[(Scheme, usize)], now_s: i64) -> String {
    let at = format_instant(signed.timestamp_s.saturating_mul(1_000_000));
    let age_s = now_s - signed.timestamp_s;
    let age = if age_s < 0 { format!("{} ahead", span(-age_s)) } else { format!("{} ago", span(age_s)) };
    let mut text = format!("valid\n  message    {}\n  signed     {at} ({age})\n", signed.id);
    for (scheme, number) in right {
        let count = match scheme {
            Scheme::V1 => signed.keys.secrets.len(),
            Scheme::V1a => signed.keys.public_keys.len(),
        };
        text.push_str(&format!("  {:<10} by {} {number} of {count}\n", scheme.name(), scheme.key()));
    }
    text
}
