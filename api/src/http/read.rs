//! Reads GraphQL requests out of HTTP requests.
//!
//! - `parameters`: what a body says
//! - `query_string`: what a URL says

mod parameters;
pub(super) mod query_string;

use axum::body::BodyDataStream;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;

use self::parameters::{InObject, Parameters, Unique};
use super::persisted;
use super::refusal::Refusal;
use crate::live::Problem;
use crate::schema::Request;

fn bad_request(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    bad(Problem::bad_input(message))
}

fn bad(problem: Problem) -> Refusal {
    (StatusCode::BAD_REQUEST, problem)
}

/// Reads what is left of a body, and forgets it. Whether it has ended within so many bytes.
pub async fn drain(pieces: &mut BodyDataStream, max_bytes: usize) -> bool {
    let mut left = max_bytes;
    loop {
        match pieces.next().await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(piece)) => match left.checked_sub(piece.len()) {
                Some(less) => left = less,
                None => return false,
            },
        }
    }
}

/// The whole body, without a copy if it came in one piece.
pub async fn body(headers: &HeaderMap, pieces: &mut BodyDataStream, max_bytes: usize) -> Result<Bytes, Refusal> {
    let too_large = || {
        let problem = Problem::bad_input(format!("the body is larger than {max_bytes} bytes"));
        (StatusCode::PAYLOAD_TOO_LARGE, problem)
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max_bytes) {
        return Err(too_large());
    }
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

impl Parameters {
    fn into_request(self) -> Result<Request, Problem> {
        let extensions = self.extensions.unwrap_or_default().0;
        let query = match self.query {
            Some(query) => query,
            // The document is known by its hash, if it is known.
            None if extensions.contains_key(persisted::EXTENSION) => String::new(),
            None => return Err(Problem::bad_input("the parameter \"query\" is missing")),
        };
        let variables = self.variables.unwrap_or_default().0;
        Ok(Request { query, operation_name: self.operation_name, variables, extensions, resume_after: None })
    }
}

/// The value of each of these parameters in a URL, if it is there.
pub fn parameters<const N: usize>(uri: &Uri, names: [&str; N]) -> Result<[Option<String>; N], Refusal> {
    query_string::parameters(uri.query().unwrap_or_default(), names).map_err(bad_request)
}

/// Where a client of Server-Sent Events was when its connection broke.
pub fn last_event_id(headers: &HeaderMap) -> Option<String> {
    // What is no text is no cursor, and is refused as one.
    let id = headers.get("last-event-id").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    id.filter(|id| !id.is_empty())
}

/// What a body holds.
#[derive(Debug)]
pub enum Requests {
    /// One request.
    One(Request),
    /// Several, each with what is wrong with it if it cannot be run.
    Batch(Vec<Result<Request, Problem>>),
}

/// The requests in the body of a POST. A JSON array is a batch, of which `max_batch` says how many requests it may have;
/// with 1 none is read.
pub fn json(body: &[u8], max_batch: usize) -> Result<Requests, Refusal> {
    if max_batch > 1 && body.trim_ascii_start().first() == Some(&b'[') {
        return batch(body, max_batch).map(Requests::Batch);
    }
    match serde_json::from_slice::<InObject>(body) {
        Ok(InObject(parameters)) => parameters.into_request().map(Requests::One).map_err(bad),
        Err(error) => Err(wrong_parameters(body, &error)),
    }
}

fn batch(body: &[u8], max_batch: usize) -> Result<Vec<Result<Request, Problem>>, Refusal> {
    let batch = serde_json::from_slice::<Vec<InObject>>(body);
    let batch = batch.map_err(|error| bad_request(format!("the batch cannot be read: {error}")))?;
    match batch.len() {
        0 => Err(bad_request("the batch is empty")),
        count if count > max_batch => {
            Err(bad_request(format!("the batch has {count} requests; at most {max_batch} are accepted")))
        }
        _ => Ok(batch.into_iter().map(|InObject(parameters)| parameters.into_request()).collect()),
    }
}

/// Says what is wrong with a body that could not be read. Off the common path, so it may read it again.
fn wrong_parameters(body: &[u8], error: &serde_json::Error) -> Refusal {
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
        format!("the body cannot be read: {error}")
    };
    bad_request(message)
}

/// The request in the URL of a GET; `variables` and `extensions` are JSON inside.
pub fn url(uri: &Uri) -> Result<Request, Refusal> {
    let names = ["query", "operationName", "variables", "extensions"];
    let parameters = parameters(uri, names)?;
    let [query, operation_name, variables, extensions] = parameters;
    let object = |name: &str, text: Option<String>| match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => serde_json::from_str::<Option<Unique>>(&text)
            .map_err(|error| bad_request(format!("the parameter \"{name}\" must be a JSON object: {error}"))),
    };
    let parameters = Parameters {
        query,
        operation_name: operation_name.filter(|name| !name.is_empty()),
        variables: object("variables", variables)?,
        extensions: object("extensions", extensions)?,
    };
    parameters.into_request().map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: Result<Requests, Refusal>, expected: Result<&str, &str>, case: &str) {
        match (read, expected) {
            (Ok(Requests::One(request)), Ok(query)) => assert_eq!(request.query, query, "{case}"),
            (Ok(Requests::Batch(batch)), Ok(queries)) => {
                let query = |request: &Result<Request, Problem>| match request {
                    Ok(request) => request.query.clone(),
                    Err(problem) => problem.message.to_string(),
                };
                assert_eq!(batch.iter().map(query).collect::<Vec<_>>().join("; "), queries, "{case}");
            }
            (Err((status, problem)), Err(message)) => {
                assert_eq!(status, StatusCode::BAD_REQUEST, "{case}");
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
            ("\u{feff}{\"query\":\"{a}\"}", Err("not valid JSON")),
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
            (r#"{"query":"{a}","variables":{"x":{"y":1,"y":1}}}"#, Err("the key \"y\" comes twice")),
            (r#"{"extensions":{"persistedQuery":{"version":1}}}"#, Ok("")),
        ];
        for (body, expected) in cases {
            check(json(body.as_bytes(), 1), expected, body);
        }
        let broken = json(b"{\"query\":\"{a(b: \\\"\xff\\\")}\"}", 1);
        check(broken, Err("not valid JSON"), "a string that is no UTF-8");
    }

    #[test]
    fn batches() {
        let cases = [
            (r#"{"query":"{a}"}"#, Ok("{a}")),
            (r#" [{"query":"{a}"}]"#, Ok("{a}")),
            (r#"[{"query":"{a}"},{},{"query":"{b}"}]"#, Ok("{a}; the parameter \"query\" is missing; {b}")),
            ("[]", Err("empty")),
            ("[1]", Err("expected an object")),
            (r#"[["{a}",null,null,null]]"#, Err("expected an object")),
            (r#"[{"query":"{a}"},{"query":1}]"#, Err("expected a string")),
            (r#"[{"query":"{a}"},{"query":"{b}"},{},{}]"#, Err("at most 3")),
            (r#"[{"query":"{a}"}"#, Err("cannot be read")),
        ];
        for (body, expected) in cases {
            check(json(body.as_bytes(), 3), expected, body);
        }
    }

    #[test]
    fn urls() {
        let cases = [
            ("/graphql?query=%7Ba%7D", Ok("{a}")),
            ("/graphql?query=%7Ba%7D&variables=%7B%22x%22%3A1%7D&operationName=&extensions=null&other=1", Ok("{a}")),
            ("/graphql", Err("missing")),
            ("/graphql?query=%7Ba%7D&query=%7Bb%7D", Err("twice")),
            ("/graphql?query=%7Ba%FF%7D", Err("UTF-8")),
            ("/graphql?query=%7Ba%7D&variables=x", Err("\"variables\"")),
            ("/graphql?query=%7Ba%7D&variables=%7B%22x%22%3A1,%22x%22%3A2%7D", Err("\"x\" comes twice")),
            ("/graphql?query=%7Ba%7D&extensions=%5B%5D", Err("\"extensions\"")),
        ];
        for (uri, expected) in cases {
            check(url(&uri.parse().unwrap()).map(Requests::One), expected, uri);
        }
        let request = url(&"/graphql?query=a&variables=%7B%22x%22%3A1%7D&operationName=B".parse().unwrap()).unwrap();
        assert_eq!(request.variables.get("x"), Some(&Value::from(1)));
        assert_eq!(request.operation_name.as_deref(), Some("B"));
    }
}
