//! A client's copy of the products that match a filter.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::replicas::filter;
use crate::follow::message::Message;
use crate::follow::socket::{Connection, Dial, Frame, Socket};
use crate::follow::stream::{Block, Stream};
use crate::served::Client;

const PATIENCE: Duration = Duration::from_secs(60);
const QUERY: &str =
    "query($filter: ProductFilter) { products(first: 1000, filter: $filter) { asOf pageInfo { hasNextPage }
    nodes { id sku name price stock tags version updatedAt } } }";
const SUBSCRIBE: &str =
    "subscription($filter: ProductFilter, $after: String) { productChanged(filter: $filter, after: $after) {
    kind transition nodeId after { id sku name price stock tags version updatedAt } } }";

/// It.
pub struct Replica {
    /// By id.
    pub rows: BTreeMap<String, Value>,
    /// How many events it has applied.
    pub events: u64,
    as_of: String,
}

impl Replica {
    /// What the query shows now.
    pub async fn snapshot(client: &mut Client) -> Result<Self> {
        let answer = client.ask(QUERY, json!({ "filter": filter() })).await?;
        let products = &answer["products"];
        ensure!(products["pageInfo"]["hasNextPage"] == json!(false), "the snapshot is one page, so one moment");
        let as_of = products["asOf"].as_str().context("a connection has an asOf")?.to_owned();
        let nodes = products["nodes"].as_array().context("a connection has nodes")?;
        let row = |node: &Value| Ok((node["id"].as_str().context("a row has an id")?.to_owned(), node.clone()));
        Ok(Self { rows: nodes.iter().map(row).collect::<Result<_>>()?, events: 0, as_of })
    }

    /// Applies what comes after the snapshot, up to the event about `last`. Says when it has begun.
    pub async fn follow(
        mut self,
        address: SocketAddr,
        authorization: &str,
        is_socket: bool,
        last: &str,
        following: mpsc::Sender<()>,
    ) -> Result<Self> {
        let dial = Dial { authorization: Some(authorization.to_owned()), ..Dial::default() };
        let variables = json!({ "filter": filter(), "after": self.as_of });
        let follow = async {
            let mut is_over = false;
            let mut state = Connection::Open;
            if is_socket {
                let mut socket = Socket::connect(address, &dial).await?;
                socket.subscribe("1", SUBSCRIBE, &variables).await?;
                following.send(()).await?;
                while !is_over && state == Connection::Open {
                    let each = |frame: Frame<'_>| match frame {
                        Frame::Text(text) => match Message::parse(text)? {
                            Message::Next(_, payload) => self.apply(payload, last, &mut is_over),
                            Message::Ack | Message::Ping | Message::Notice => Ok(()),
                            Message::Error(..) | Message::Complete(_) => {
                                bail!("refused: {}", String::from_utf8_lossy(text))
                            }
                        },
                        Frame::Close(code, reason) => bail!("closed with {code} {reason}"),
                        Frame::Ping | Frame::Pong => Ok(()),
                    };
                    state = socket.receive(each).await?;
                }
            } else {
                let mut stream = Stream::open(address, &dial, SUBSCRIBE, &variables, None).await?;
                following.send(()).await?;
                while !is_over && state == Connection::Open {
                    let each = |block: Block<'_>| match block {
                        Block::Next(payload) => self.apply(payload, last, &mut is_over),
                        Block::Complete => bail!("the stream was completed"),
                        Block::Notice => Ok(()),
                    };
                    state = stream.receive(each).await?;
                }
            }
            ensure!(is_over, "the connection ended");
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, follow).await.context("a replica does not get the last event")??;
        Ok(self)
    }

    /// What a client's list does: LEFT or DELETED removes, anything else puts `after`.
    fn apply(&mut self, payload: &[u8], last: &str, is_over: &mut bool) -> Result<()> {
        let payload: Value = serde_json::from_slice(payload)?;
        ensure!(payload.get("errors").is_none(), "{payload}");
        let change = &payload["data"]["productChanged"];
        ensure!(!*is_over, "nothing is written after the last one: {change}");
        self.events += 1;
        let id = change["nodeId"].as_str().context("a change has a row")?;
        let is_known = self.rows.contains_key(id);
        let has_entered = change["transition"] == json!("ENTERED");
        ensure!(has_entered != is_known, "the transition does not fit what the client has: {change}");
        if change["transition"] == json!("LEFT") || change["kind"] == json!("DELETED") {
            self.rows.remove(id);
        } else {
            self.rows.insert(id.to_owned(), change["after"].clone());
        }
        *is_over = change["after"]["sku"] == json!(last);
        Ok(())
    }
}
