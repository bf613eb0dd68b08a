//! The least that an HTTP server can do: axum, one route, a constant answer. What reads are compared with.

use std::future::Future;
use std::net::SocketAddr;

use anyhow::Result;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::serve::ListenerExt;
use bytes::Bytes;
use tokio::net::TcpListener;

/// Serves until the process is killed. The first line on standard output is the address.
pub async fn serve(listen: SocketAddr, size_bytes: usize) -> Result<()> {
    let (address, server) = start(listen, size_bytes).await?;
    println!("{address}");
    server.await
}

/// Listens at once; the future serves.
pub async fn start(listen: SocketAddr, size_bytes: usize) -> Result<(SocketAddr, impl Future<Output = Result<()>>)> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let listener = listener.tap_io(|stream| {
        // Without it a small answer may wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
    });
    let app = router(size_bytes);
    Ok((address, async move { Ok(axum::serve(listener, app).await?) }))
}

fn router(size_bytes: usize) -> Router {
    // A JSON string of exactly this length.
    let body = Bytes::from(format!("\"{}\"", "x".repeat(size_bytes.saturating_sub(2))));
    Router::new().fallback(move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    })
}
