//! Who publishes: one connection, a message in each line. An empty line asks how many are subscribed.

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// Serves those who publish, one after the other, until the process is killed.
pub(super) async fn serve(
    listener: TcpListener,
    publish: impl Fn(&str) -> Result<()>,
    subscribed: impl Fn() -> usize,
) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let mut stream = BufReader::with_capacity(256 * 1024, stream);
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 0 {
            match line.trim_end() {
                "" => stream.write_all(format!("{}\n", subscribed()).as_bytes()).await?,
                message => publish(message)?,
            }
            line.clear();
        }
    }
}
