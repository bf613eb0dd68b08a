//! Media types: what the client sends, and what it wants to get.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};

use crate::live::stream::Format;

/// The media type of a GraphQL response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `application/graphql-response+json`: the status says whether the request could be run.
    GraphqlResponse,
    /// `application/json`: every well-formed request is answered with 200.
    Json,
}

/// What the client accepts; `None` if it is nothing that can be given. Without an `Accept` header, and for wildcards,
/// it is `application/json`, which every client understands.
pub fn response_type(headers: &HeaderMap) -> Option<MediaType> {
    if !headers.contains_key(ACCEPT) {
        return Some(MediaType::Json);
    }
    let mut graphql_response = Quality::default();
    let mut json = Quality::default();
    for range in ranges(headers) {
        let (range, quality) = media_range(range);
        let specificity = match range.as_bytes() {
            b"*/*" => 1,
            b"application/*" => 2,
            _ => 3,
        };
        if specificity < 3 || range.eq_ignore_ascii_case("application/graphql-response+json") {
            graphql_response.consider(specificity, quality);
        }
        if specificity < 3 || range.eq_ignore_ascii_case("application/json") {
            json.consider(specificity, quality);
        }
    }
    match (graphql_response.permille, json.permille) {
        (0, 0) => None,
        (new, old) if new > old => Some(MediaType::GraphqlResponse),
        // Asked for by its name, the newer type wins a tie.
        (new, old) if new == old && graphql_response.specificity == 3 => Some(MediaType::GraphqlResponse),
        _ => Some(MediaType::Json),
    }
}

/// In which stream the client accepts responses, if it names one: the one that it wants most, or names first. Wildcards
/// name none: who sends them may not be ready for a response that does not end.
pub fn stream_format(headers: &HeaderMap) -> Option<Format> {
    let mut best: Option<(u16, Format)> = None;
    for range in ranges(headers) {
        let format = match essence(range) {
            name if name.eq_ignore_ascii_case("text/event-stream") => Format::EventStream,
            name if name.eq_ignore_ascii_case("multipart/mixed") => Format::Multipart { has_spec: has_spec(range) },
            _ => continue,
        };
        let (_, permille) = media_range(range);
        if permille > 0 && best.is_none_or(|(most, _)| permille > most) {
            best = Some((permille, format));
        }
    }
    best.map(|(_, format)| format)
}

/// Whether the client accepts plain text; it does if it says nothing.
pub fn accepts_text(headers: &HeaderMap) -> bool {
    let accepts = |range| {
        let (range, permille) = media_range(range);
        permille > 0 && ["*/*", "text/*", "text/plain"].iter().any(|known| range.eq_ignore_ascii_case(known))
    };
    !headers.contains_key(ACCEPT) || ranges(headers).any(accepts)
}

fn ranges(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
}

fn essence(range: &str) -> &str {
    range.split(';').next().unwrap_or_default().trim()
}

fn has_spec(range: &str) -> bool {
    range.split(';').any(|parameter| match parameter.split_once('=') {
        Some((name, value)) => {
            name.trim().eq_ignore_ascii_case("subscriptionSpec") && value.trim().trim_matches('"') == "1.0"
        }
        None => false,
    })
}

/// How much a type is wanted, by the most specific range that matches it (RFC 9110, section 12.5.1).
#[derive(Default)]
struct Quality {
    specificity: u8,
    permille: u16,
}

impl Quality {
    fn consider(&mut self, specificity: u8, permille: u16) {
        if specificity > self.specificity {
            *self = Self { specificity, permille };
        } else if specificity == self.specificity {
            self.permille = self.permille.max(permille);
        }
    }
}

fn media_range(text: &str) -> (&str, u16) {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let quality = parts.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
    let permille = match quality {
        None => 1000,
        Some(text) => text.parse::<f32>().map_or(0, |q| (q.clamp(0.0, 1.0) * 1000.0) as u16),
    };
    (range, permille)
}

/// Whether the body is JSON in UTF-8. No other type is read: browsers send the simple ones from any page.
pub fn is_json_body(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return false };
    if value.as_bytes() == b"application/json" {
        return true;
    }
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.eq_ignore_ascii_case("charset") => {
            let charset = charset.trim_matches('"');
            charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
        }
        _ => true,
    });
    is_json && is_utf8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept() {
        const NEW: Option<MediaType> = Some(MediaType::GraphqlResponse);
        const OLD: Option<MediaType> = Some(MediaType::Json);
        let cases: [(&[&str], Option<MediaType>); 17] = [
            (&[], OLD),
            (&["*/*"], OLD),
            (&["application/*"], OLD),
            (&["application/json"], OLD),
            (&["Application/JSON; charset=utf-8"], OLD),
            (&["application/graphql-response+json"], NEW),
            (&["application/graphql-response+json; charset=utf-8, application/json"], NEW),
            (&["application/json, application/graphql-response+json"], NEW),
            (&["application/json", "application/graphql-response+json"], NEW),
            (&["application/graphql-response+json;q=0.5, application/json;q=0.9"], OLD),
            (&["application/graphql-response+json;q=0.9, application/json;q=0.5"], NEW),
            (&["text/html, */*;q=0.1"], OLD),
            (&["application/json;q=0, */*"], NEW),
            (&["text/html"], None),
            (&["application/json;q=0"], None),
            (&["text/event-stream"], None),
            (&[""], None),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT, value.parse().unwrap());
            }
            assert_eq!(response_type(&headers), expected, "{values:?}");
        }
    }

    #[test]
    fn streams() {
        const SPEC: Option<Format> = Some(Format::Multipart { has_spec: true });
        const PLAIN: Option<Format> = Some(Format::Multipart { has_spec: false });
        const SSE: Option<Format> = Some(Format::EventStream);
        let cases = [
            ("text/event-stream", SSE),
            ("Text/Event-Stream; charset=utf-8", SSE),
            ("text/event-stream, multipart/mixed", SSE),
            ("multipart/mixed, text/event-stream", PLAIN),
            ("multipart/mixed;q=0.5, text/event-stream", SSE),
            ("multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json;q=0.9", SPEC),
            ("multipart/mixed; boundary=\"graphql\"; subscriptionSpec=\"1.0\", application/json", SPEC),
            ("multipart/mixed;deferSpec=20220824, application/json", PLAIN),
            ("text/event-stream;q=0", None),
            ("application/json", None),
            ("*/*", None),
            ("text/*", None),
        ];
        for (value, expected) in cases {
            let headers = HeaderMap::from_iter([(ACCEPT, value.parse().unwrap())]);
            assert_eq!(stream_format(&headers), expected, "{value}");
        }
        assert_eq!(stream_format(&HeaderMap::new()), None);
    }

    #[test]
    fn content_type() {
        let cases = [
            (Some("application/json"), true),
            (Some("Application/JSON"), true),
            (Some("application/json; charset=utf-8"), true),
            (Some("application/json;charset=\"UTF-8\""), true),
            (Some("application/json; charset=latin1"), false),
            (Some("text/plain"), false),
            (Some("text/plain; application/json"), false),
            (Some("application/x-www-form-urlencoded"), false),
            (Some("multipart/form-data; boundary=x"), false),
            (Some("application/graphql"), false),
            (Some(""), false),
            (None, false),
        ];
        for (value, expected) in cases {
            let headers = HeaderMap::from_iter(value.map(|value| (CONTENT_TYPE, value.parse().unwrap())));
            assert_eq!(is_json_body(&headers), expected, "{value:?}");
        }
    }
}
