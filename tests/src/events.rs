//! Subscriptions as Server-Sent Events.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::live::{Event, event};
use crate::wait::in_time;

/// A stream. Dropping it closes the connection without a word, as a lost network does.
pub struct Events {
    response: reqwest::Response,
    read: String,
    /// The last id, as a browser keeps it.
    pub last_id: Option<String>,
}

impl Events {
    /// Starts a subscription, from after an event that the client already has if it says so.
    pub async fn follow(
        address: SocketAddr,
        token: Option<String>,
        query: &str,
        variables: Value,
        last_id: Option<&str>,
    ) -> Self {
        let http = reqwest::Client::builder().no_proxy().build();
        let http = http.expect("a client without settings of its own can be made");
        let mut request = http.post(format!("http://{address}/graphql")).header("accept", "text/event-stream");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let request = request.json(&json!({"query": query, "variables": variables}));
        let response = in_time("the server answers", request.send()).await.expect("the server answers");
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        Self { response, read: String::new(), last_id: last_id.map(str::to_owned) }
    }

    /// The next result; the end of the stream is a failure.
    pub async fn event(&mut self) -> Event {
        loop {
            let block = self.block().await.expect("the stream goes on");
            if let Some(id) = field(&block, "id") {
                self.last_id = Some(id.to_owned());
            }
            match field(&block, "event") {
                Some("next") => {
                    let raw = field(&block, "data").expect("a result has data");
                    return event(raw, serde_json::from_str(raw).expect("data is JSON"));
                }
                Some(other) => panic!("{other} instead of a result"),
                None => {}
            }
        }
    }

    /// The next comment that says something; a result instead is a failure.
    pub async fn comment(&mut self) -> String {
        loop {
            let block = self.block().await.expect("the stream goes on");
            assert_eq!(field(&block, "event"), None, "{block}");
            if let Some(comment) = block.strip_prefix(": ") {
                return comment.to_owned();
            }
        }
    }

    /// What stands before the next empty line; `None` at the end, or if the connection breaks.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.read = rest;
                return Some(block);
            }
            let chunk = in_time("the server sends something", self.response.chunk()).await.ok()??;
            self.read.push_str(std::str::from_utf8(&chunk).expect("events are ASCII in these tests"));
        }
    }
}

fn field<'a>(block: &'a str, name: &str) -> Option<&'a str> {
    block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
