//! A broadcast over tokio-tungstenite, as fast as it can be made: everybody is sent the same bytes, and what is waiting
//! is flushed together.

use anyhow::Result;
use futures_util::SinkExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{CAPACITY, control};

/// Frames that are flushed together, as Tandem does.
const COALESCED: usize = 64;

/// Serves until the process is killed.
pub(super) async fn serve() -> Result<()> {
    let (listener, publishers) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    println!("{} {}", listener.local_addr()?, publishers.local_addr()?);
    let (messages, _) = broadcast::channel(CAPACITY);
    tokio::spawn(accept(listener, messages.clone()));
    let publish = |line: &str| {
        // An error means that nobody listens.
        let _ = messages.send(Utf8Bytes::from(line));
        Ok(())
    };
    control::serve(publishers, publish, || messages.receiver_count()).await
}

async fn accept(listener: TcpListener, messages: Sender<Utf8Bytes>) {
    while let Ok((stream, _)) = listener.accept().await {
        let messages = messages.clone();
        tokio::spawn(async move {
            // An error means that the subscriber has left, or was too slow.
            let _ = follow(stream, messages).await;
        });
    }
}

async fn follow(stream: TcpStream, messages: Sender<Utf8Bytes>) -> Result<()> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(4 << 10).write_buffer_size(16 << 10);
    let mut socket = accept_async_with_config(stream, Some(config)).await?;
    let mut messages: Receiver<Utf8Bytes> = messages.subscribe();
    loop {
        let mut message = messages.recv().await?;
        for more in (0..COALESCED).rev() {
            socket.feed(Message::Text(message)).await?;
            if more == 0 {
                break;
            }
            let Ok(next) = messages.try_recv() else { break };
            message = next;
        }
        socket.flush().await?;
    }
}
