//! GraphQL over WebSocket, in two subprotocols.
//!
//! `connection` runs a socket, `session` knows who uses it, `closing` ends it; what messages look like is in [`transport_ws`] and [`legacy`],
//! and where the rules of the two differ, `connection` asks [`Subprotocol`]. The subprotocol that the answer to the
//! upgrade names is the one that is spoken.

mod closing;
mod connection;
mod legacy;
mod message;
mod session;
mod transport_ws;
mod upgrade;

use axum::extract::ws::Message;

use super::operation::Output;
use message::ClientMessage;

pub use upgrade::{is_upgrade, upgrade};

/// How clients and the server talk over a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subprotocol {
    /// `graphql-transport-ws`, of the library graphql-ws.
    TransportWs,
    /// `graphql-ws`, of the library subscriptions-transport-ws.
    Legacy,
}

impl Subprotocol {
    /// Their names; of several that a client offers, the first one here is chosen.
    const NAMES: [&str; 2] = [transport_ws::NAME, legacy::NAME];

    fn named(name: &[u8]) -> Option<Self> {
        if name == transport_ws::NAME.as_bytes() {
            Some(Self::TransportWs)
        } else if name == legacy::NAME.as_bytes() {
            Some(Self::Legacy)
        } else {
            None
        }
    }

    /// Reads a text frame; the error says what is wrong with it, in at most 123 bytes.
    fn parse(self, text: &str) -> Result<ClientMessage, &'static str> {
        match self {
            Self::TransportWs => transport_ws::parse(text),
            Self::Legacy => legacy::parse(text),
        }
    }

    /// What an output is on the wire; `None` if the client is not told.
    fn output(self, id: &str, output: &Output) -> Option<Message> {
        match self {
            Self::TransportWs => transport_ws::output(id, output),
            Self::Legacy => legacy::output(id, output),
        }
    }
}
