//! A TCP proxy that can be cut, as a network can.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Between the server and its database.
pub struct Proxy {
    address: SocketAddr,
    target: String,
    is_open: watch::Sender<bool>,
}

impl Proxy {
    /// Before the host of a database URL.
    pub async fn start(url: &str) -> Self {
        let target = host(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let is_open = watch::Sender::new(true);
        tokio::spawn(serve(listener, target.clone(), is_open.subscribe()));
        Self { address, target, is_open }
    }

    /// The URL through the proxy.
    pub fn url(&self, url: &str) -> String {
        url.replacen(&self.target, &self.address.to_string(), 1)
    }

    /// Breaks all connections, and takes no new ones.
    pub fn cut(&self) {
        self.is_open.send_replace(false);
    }

    /// Lets connections through again.
    pub fn restore(&self) {
        self.is_open.send_replace(true);
    }
}

fn host(url: &str) -> &str {
    let (_, rest) = url.split_once("://").expect("a URL has a scheme");
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

async fn serve(listener: TcpListener, target: String, is_open: watch::Receiver<bool>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let (target, mut is_open) = (target.clone(), is_open.clone());
        tokio::spawn(async move {
            if !*is_open.borrow_and_update() {
                return;
            }
            let Ok(mut far) = TcpStream::connect(&target).await else { return };
            tokio::select! {
                // Whichever side ends it: both connections are dropped.
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = is_open.wait_for(|is_open| !is_open) => {}
            }
        });
    }
}
