//! Receivers that answer at once, and say how long each message took to them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::steadiness::Timed;

/// Everything has arrived sooner.
const PATIENCE: Duration = Duration::from_secs(60);

/// Several of them. They end when this is dropped. To be used inside a `LocalSet`.
pub struct Healthy {
    /// Where each of them is.
    pub urls: Vec<String>,
    shared: Rc<Shared>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    state: RefCell<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    /// When products were sent, by their numbers.
    sent: HashMap<usize, Instant>,
    /// Which receiver has which product.
    received: HashSet<(usize, usize)>,
    timed: Timed,
    repeated: usize,
}

impl Healthy {
    /// So many.
    pub async fn start(count: usize) -> Result<Self> {
        let shared = Rc::new(Shared::default());
        let (mut urls, mut serving) = (Vec::new(), JoinSet::new());
        for receiver in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            urls.push(format!("http://{}/", listener.local_addr()?));
            let shared = Rc::clone(&shared);
            serving.spawn_local(async move {
                let mut open = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    while open.try_join_next().is_some() {}
                    let shared = Rc::clone(&shared);
                    open.spawn_local(async move {
                        // The server closes connections that are idle.
                        let _ = serve(receiver, stream, &shared).await;
                    });
                }
            });
        }
        Ok(Self { urls, shared, _serving: serving })
    }

    /// Is to be called when a product is sent.
    pub fn sender(&self) -> impl Fn(usize) + Clone + use<> {
        let shared = Rc::clone(&self.shared);
        move |number| {
            shared.state.borrow_mut().sent.insert(number, Instant::now());
        }
    }

    /// Waits until each has so many products, and takes what was measured since the last time.
    pub async fn everybody_has(&self, products: usize) -> Result<Timed> {
        let expected = products * self.urls.len();
        let wait = async {
            loop {
                let arrived = self.shared.arrived.notified();
                if self.shared.state.borrow().received.len() >= expected {
                    return;
                }
                arrived.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        let mut state = self.shared.state.borrow_mut();
        waited.with_context(|| format!("{} of {expected} messages arrive", state.received.len()))?;
        ensure!(state.repeated == 0, "{} messages came twice", state.repeated);
        Ok(std::mem::take(&mut state.timed))
    }
}

async fn serve(receiver: usize, mut stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(4096);
    loop {
        let body = loop {
            if let Some(body) = body(&received)? {
                break body;
            }
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        };
        let at = Instant::now();
        let message: Value = serde_json::from_slice(&received[body.clone()])?;
        let sku = message["data"]["productChanged"]["after"]["sku"].as_str().context("a message has a SKU")?;
        let number = sku.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().context("a SKU has a number")?;
        {
            let mut state = shared.state.borrow_mut();
            let sent = *state.sent.get(&number).context("nobody has sent that")?;
            match state.received.insert((receiver, number)) {
                true => state.timed.add(sent, at - sent),
                false => state.repeated += 1,
            }
        }
        shared.arrived.notify_waiters();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        received.drain(..body.end);
    }
}

/// Where the body of a request is; `None` as long as not all of it has come.
fn body(received: &[u8]) -> Result<Option<std::ops::Range<usize>>> {
    let Some(head) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&received[..head]).context("a head is text")?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let body = head + 4..head + 4 + length.context("a request has a length")?;
    Ok((received.len() >= body.end).then_some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_end_where_they_say() {
        let request = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST";
        assert_eq!(body(request).unwrap(), Some(38..41));
        assert_eq!(body(&request[..40]).unwrap(), None);
        assert_eq!(body(&request[..20]).unwrap(), None);
        assert!(body(b"POST / HTTP/1.1\r\n\r\n").is_err());
    }
}
