//! GraphQL over HTTP.

use std::net::SocketAddr;

use anyhow::Context;
use serde_json::{Value, json};

use crate::wait::DEADLINE;

/// A caller's connection to the API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Client {
    /// For a server and a token.
    pub fn new(address: SocketAddr, token: Option<String>) -> Self {
        let http = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build();
        let http = http.expect("a client without settings of its own can be made");
        Self { http, url: format!("http://{address}/graphql"), token }
    }

    /// The same caller at another address.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { url: format!("http://{address}/graphql"), ..self.clone() }
    }

    /// Sends a document and returns the whole response: `data`, `errors`, `extensions`. An error means that it is not
    /// known whether the server has acted.
    pub async fn send(&self, query: &str, variables: Value) -> anyhow::Result<Value> {
        let body = self.exchange(query, &variables.to_string()).await?;
        serde_json::from_str(&body).with_context(|| format!("the response is no JSON: {body}"))
    }

    /// Sends a document with variables as they are written, and returns the response as it is written.
    pub async fn exchange(&self, query: &str, variables: &str) -> anyhow::Result<String> {
        let body = format!(r#"{{"query":{},"variables":{variables}}}"#, json!(query));
        let mut request = self.http.post(&self.url).header("content-type", "application/json").body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        Ok(request.send().await?.text().await?)
    }

    /// As [`send`](Self::send), for a server that has to answer.
    pub async fn response(&self, query: &str, variables: Value) -> Value {
        let response = self.send(query, variables).await;
        response.unwrap_or_else(|error| panic!("no response to {query}: {error:#}"))
    }

    /// The `data` of a response that has to be without errors.
    pub async fn data(&self, query: &str, variables: Value) -> Value {
        let mut response = self.response(query, variables.clone()).await;
        assert!(response.get("errors").is_none(), "{query}\n{variables}\ngave errors: {response:#}");
        response["data"].take()
    }

    /// The payload of a mutation with one root field that has to succeed, and to have no user errors.
    pub async fn done(&self, mutation: &str, input: Value) -> Value {
        let payload = self.payload(mutation, input.clone()).await;
        assert_eq!(payload["userErrors"], json!([]), "{mutation}\n{input}");
        payload
    }

    /// The payload of a mutation with one root field and the variable `input`, with or without user errors.
    pub async fn payload(&self, mutation: &str, input: Value) -> Value {
        let data = self.data(mutation, json!({"input": input})).await;
        root_value(data)
    }

    /// The code and path of each user error of a mutation that has to be refused, sorted.
    pub async fn refused(&self, mutation: &str, input: Value) -> Vec<(String, String)> {
        let payload = self.payload(mutation, input.clone()).await;
        let errors = user_errors(&payload);
        assert!(!errors.is_empty(), "{mutation}\n{input}\nwas not refused: {payload:#}");
        errors
    }
}

/// The value of the only field of `data`.
pub fn root_value(data: Value) -> Value {
    let Value::Object(fields) = data else { panic!("no data: {data}") };
    assert_eq!(fields.len(), 1, "one root field: {fields:?}");
    fields.into_iter().next().map(|(_, value)| value).unwrap_or_default()
}

/// The code and the path (joined by dots) of each user error of a payload, sorted.
pub fn user_errors(payload: &Value) -> Vec<(String, String)> {
    let errors = payload["userErrors"].as_array().into_iter().flatten();
    let mut errors: Vec<_> = errors
        .map(|error| {
            let path = error["path"].as_array().into_iter().flatten().filter_map(Value::as_str);
            (text(&error["code"]), path.collect::<Vec<_>>().join("."))
        })
        .collect();
    errors.sort();
    errors
}

/// The codes of the errors of a response, in their order.
pub fn error_codes(response: &Value) -> Vec<String> {
    let errors = response["errors"].as_array().into_iter().flatten();
    errors.map(|error| text(&error["extensions"]["code"])).collect()
}

/// A string of a response; panics if it is none.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no string: {value}")).to_owned()
}

/// A number of a response, whether it travels as a number or as a string.
pub fn number(value: &Value) -> i64 {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    number.unwrap_or_else(|| panic!("no number: {value}"))
}
