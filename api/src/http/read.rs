//! Reads GraphQL requests out of HTTP requests.

use axum::body::Body;
use axum::extract::Query;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::live::Problem;
use crate::schema::ErrorCode;
use crate::schema::Request;

/// A request that cannot be read: the status of the answer and what is wrong.
pub type Refusal = (StatusCode, Problem);

fn bad_request(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    (StatusCode::BAD_REQUEST, Problem::bad_input(message))
}

/// The whole body, without a copy if it came in one piece.
pub async fn body(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Bytes, Refusal> {
    let too_large = || {
        let problem = Problem::bad_input(format!("the body is larger than {max_bytes} bytes"));
        (StatusCode::PAYLOAD_TOO_LARGE, problem)
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max_bytes) {
        return Err(too_large());
    }
    let mut pieces = body.into_data_stream();
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| bad_request("the body ended early"))?;
        if first.len() + more.len() + piece.len() > max_bytes {
            return Err(too_large());
        }
        if first.is_empty() {
            first = piece;
        } else {
            more.extend_from_slice(&piece);
        }
    }
    if more.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + more.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&more);
    Ok(whole.freeze())
}

/// The parameters of a request as a JSON object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
    extensions: Option<Map<String, Value>>,
}

impl Parameters {
    fn into_request(self) -> Result<Request, Refusal> {
        let extensions = self.extensions.unwrap_or_default();
        let Some(query) = self.query else {
            return Err(match extensions.contains_key("persistedQuery") {
                // The words and the status that clients of automatic persisted queries wait for before they send the
                // document itself.
                true => (StatusCode::OK, Problem::new(ErrorCode::PersistedQueryNotFound, "PersistedQueryNotFound")),
                false => bad_request("the parameter \"query\" is missing"),
            });
        };
        let variables = self.variables.unwrap_or_default();
        Ok(Request { query, operation_name: self.operation_name, variables, extensions, resume_after: None })
    }
}

/// Where a client of Server-Sent Events was when its connection broke.
pub fn last_event_id(headers: &HeaderMap) -> Option<String> {
    // What is no text is no cursor, and is refused as one.
    let id = headers.get("last-event-id").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    id.filter(|id| !id.is_empty())
}

/// The request in the body of a POST.
pub fn json(body: &[u8]) -> Result<Request, Refusal> {
    // The parameters would also be read from an array, by their order; a batch is not that.
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice::<Parameters>(body) {
        Ok(parameters) if is_object => parameters.into_request(),
        Ok(_) => Err(wrong_parameters(body, None)),
        Err(error) => Err(wrong_parameters(body, Some(&error))),
    }
}

/// Says what is wrong with a body that could not be read. Off the common path, so it may read it again.
fn wrong_parameters(body: &[u8], error: Option<&serde_json::Error>) -> Refusal {
    if body.trim_ascii().is_empty() {
        return bad_request("the body is empty; expected a JSON object with the parameter \"query\"");
    }
    let object = match serde_json::from_slice::<Value>(body) {
        Err(error) => return bad_request(format!("the body is not valid JSON: {error}")),
        Ok(Value::Object(object)) => object,
        Ok(Value::Array(_)) => return bad_request("the body is a list; batches are not accepted"),
        Ok(_) => return bad_request("the body must be a JSON object"),
    };
    let is_wrong = |name: &str, fits: fn(&Value) -> bool| object.get(name).is_some_and(|value| !fits(value));
    let text = |value: &Value| value.is_string() || value.is_null();
    let map = |value: &Value| value.is_object() || value.is_null();
    let message = if is_wrong("query", text) {
        "the parameter \"query\" must be a string".to_owned()
    } else if is_wrong("operationName", text) {
        "the parameter \"operationName\" must be a string".to_owned()
    } else if is_wrong("variables", map) {
        "the parameter \"variables\" must be an object".to_owned()
    } else if is_wrong("extensions", map) {
        "the parameter \"extensions\" must be an object".to_owned()
    } else {
        format!("the body cannot be read: {}", error.map(ToString::to_string).unwrap_or_default())
    };
    bad_request(message)
}

/// The parameters of a GET; `variables` and `extensions` are JSON inside.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UrlParameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// The request in the URL of a GET.
pub fn url(uri: &Uri) -> Result<Request, Refusal> {
    let Query(parameters) = Query::<UrlParameters>::try_from_uri(uri)
        .map_err(|_| bad_request("the parameters in the URL cannot be read; each may be given once"))?;
    let object = |name: &str, text: Option<String>| match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => serde_json::from_str::<Option<Map<String, Value>>>(&text)
            .map_err(|_| bad_request(format!("the parameter \"{name}\" must be a JSON object"))),
    };
    Parameters {
        query: parameters.query,
        operation_name: parameters.operation_name.filter(|name| !name.is_empty()),
        variables: object("variables", parameters.variables)?,
        extensions: object("extensions", parameters.extensions)?,
    }
    .into_request()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: Result<Request, Refusal>, expected: Result<&str, &str>, case: &str) {
        match (read, expected) {
            (Ok(request), Ok(query)) => assert_eq!(request.query, query, "{case}"),
            (Err((status, problem)), Err(message)) => {
                assert_eq!(status.is_success(), message == "PersistedQueryNotFound", "{case}");
                assert!(problem.message.contains(message), "{case}: {}", problem.message);
            }
            (read, _) => panic!("{case}: {read:?}"),
        }
    }

    #[test]
    fn bodies() {
        let cases = [
            (r#"{"query":"{a}"}"#, Ok("{a}")),
            (r#" {"query":"{a}","operationName":null,"variables":null,"extensions":null,"more":[1]}"#, Ok("{a}")),
            ("", Err("empty")),
            ("  ", Err("empty")),
            ("{", Err("not valid JSON")),
            (r#"{"query":"{a}"} x"#, Err("not valid JSON")),
            ("7", Err("JSON object")),
            (r#"[{"query":"{a}"}]"#, Err("batches")),
            (r#"["{a}",null,null,null]"#, Err("batches")),
            ("{}", Err("missing")),
            (r#"{"query":null}"#, Err("missing")),
            (r#"{"query":7}"#, Err("\"query\" must be a string")),
            (r#"{"query":"{a}","operationName":7}"#, Err("\"operationName\" must be a string")),
            (r#"{"query":"{a}","variables":[]}"#, Err("\"variables\" must be an object")),
            (r#"{"query":"{a}","extensions":"x"}"#, Err("\"extensions\" must be an object")),
            (r#"{"query":"{a}","query":"{b}"}"#, Err("duplicate")),
            (r#"{"extensions":{"persistedQuery":{"version":1}}}"#, Err("PersistedQueryNotFound")),
        ];
        for (body, expected) in cases {
            check(json(body.as_bytes()), expected, body);
        }
        check(json(b"{\"query\":\"\xff\"}"), Err("not valid JSON"), "not UTF-8");
    }

    #[test]
    fn urls() {
        let cases = [
            ("/graphql?query=%7Ba%7D", Ok("{a}")),
            ("/graphql?query=%7Ba%7D&variables=%7B%22x%22%3A1%7D&operationName=&extensions=null&other=1", Ok("{a}")),
            ("/graphql", Err("missing")),
            ("/graphql?query=%7Ba%7D&query=%7Bb%7D", Err("once")),
            ("/graphql?query=%7Ba%7D&variables=x", Err("\"variables\"")),
            ("/graphql?query=%7Ba%7D&extensions=%5B%5D", Err("\"extensions\"")),
        ];
        for (uri, expected) in cases {
            check(url(&uri.parse().unwrap()), expected, uri);
        }
        let request = url(&"/graphql?query=a&variables=%7B%22x%22%3A1%7D&operationName=B".parse().unwrap()).unwrap();
        assert_eq!(request.variables.get("x"), Some(&Value::from(1)));
        assert_eq!(request.operation_name.as_deref(), Some("B"));
    }
}
