//! GraphQL over WebSocket, in two subprotocols.
//!
//! `upgrade` opens a socket, `connection` runs it, `session` knows who uses it, `closing` ends it; what messages look like
//! is in [`transport_ws`] and [`legacy`], and where the rules of the two differ, `connection` asks [`Subprotocol`]. The
//! subprotocol that the answer to the upgrade names is the one that is spoken. Below that, `wire` is a WebSocket and
//! `frames` is what waits to be written to it.

mod closing;
mod connection;
mod frames;
mod handshake;
mod legacy;
mod message;
mod session;
mod transport_ws;
mod upgrade;
mod wire;

use super::operation::Output;
use frames::Frames;
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
    /// Of several that a client offers, the first one here is chosen.
    const ALL: [Self; 2] = [Self::TransportWs, Self::Legacy];

    /// As it is named in headers.
    fn name(self) -> &'static str {
        match self {
            Self::TransportWs => transport_ws::NAME,
            Self::Legacy => legacy::NAME,
        }
    }

    /// Reads a text frame; the error says what is wrong with it, in at most 123 bytes.
    fn parse(self, text: &str) -> Result<ClientMessage, &'static str> {
        match self {
            Self::TransportWs => transport_ws::parse(text),
            Self::Legacy => legacy::parse(text),
        }
    }

    /// Adds what an output is on the wire, if the client is told of it.
    fn output(self, id: &str, output: &Output, frames: &mut Frames) {
        match self {
            Self::TransportWs => transport_ws::output(id, output, frames),
            Self::Legacy => legacy::output(id, output, frames),
        }
    }
}
