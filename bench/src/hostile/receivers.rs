//! Hostile receivers, on a thread of their own: what they do must not slow down those who measure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::harm::Harm;

/// Connections that wait to be accepted, of one receiver.
const BACKLOG: u32 = 1024;

/// What `hostile-receivers` does.
#[derive(Debug, Clone, Args)]
pub struct ReceiversArgs {
    /// Where redirects lead.
    #[arg(long)]
    location: String,
}

/// Serves until the process is killed. The first line on standard output is an object of URLs by kinds of harm.
pub async fn serve(args: ReceiversArgs) -> Result<()> {
    let receivers = Receivers::start(&Harm::USUAL, &args.location, 0)?;
    let urls = receivers.urls.iter().map(|(harm, url)| (harm.name(), Value::from(url.as_str())));
    println!("{}", Value::Object(urls.collect::<Map<_, _>>()));
    std::future::pending().await
}

/// Running ones. They end when this is dropped.
pub struct Receivers {
    /// Where each of them is.
    pub urls: Vec<(Harm, String)>,
    counts: Arc<Counts>,
    _stop: DropGuard,
}

/// How the connections fare.
#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    most_open: AtomicUsize,
    longest_micros: AtomicU64,
    /// Connections whose harm may begin, or could if there were enough.
    arrived: watch::Sender<usize>,
}

impl Receivers {
    /// One of each kind. Nobody does any harm before so many connections of all of them have arrived.
    pub fn start(harms: &[Harm], location: &str, at_once: usize) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let stop = CancellationToken::new();
        let (addresses_in, addresses) = mpsc::channel();
        let (harms, location) = (harms.to_vec(), Arc::<str>::from(location));
        let (shared, stopped, kinds) = (Arc::clone(&counts), stop.clone(), harms.clone());
        std::thread::Builder::new().name("hostile".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async move {
                let mut serving = JoinSet::new();
                for harm in kinds {
                    let (address, listener) = listen()?;
                    // Whoever has started this may have given up.
                    let _ = addresses_in.send(address);
                    serving.spawn(accept(harm, listener, Arc::clone(&location), Arc::clone(&shared), at_once));
                }
                stopped.cancelled().await;
                anyhow::Ok(())
            })
        })?;
        let address = |harm: Harm| anyhow::Ok((harm, format!("{}://{}/", harm.scheme(), addresses.recv()?)));
        let urls = harms.into_iter().map(address).collect::<Result<_>>().context("a receiver does not listen")?;
        Ok(Self { urls, counts, _stop: stop.drop_guard() })
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// The most that were ever open.
    pub fn most_open(&self) -> usize {
        self.counts.most_open.load(Ordering::SeqCst)
    }

    /// How long a connection was open that has ended, at most.
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.counts.longest_micros.load(Ordering::SeqCst))
    }
}

fn listen() -> Result<(SocketAddr, TcpListener)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen(BACKLOG)?;
    Ok((listener.local_addr()?, listener))
}

async fn accept(harm: Harm, listener: TcpListener, location: Arc<str>, counts: Arc<Counts>, at_once: usize) {
    let mut open = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while open.try_join_next().is_some() {}
        let connection = Open::new(Arc::clone(&counts));
        let location = Arc::clone(&location);
        open.spawn(async move { connection.harm(harm, stream, &location, at_once).await });
    }
}

/// An open connection.
struct Open {
    counts: Arc<Counts>,
    since: Instant,
}

impl Open {
    fn new(counts: Arc<Counts>) -> Self {
        let open = counts.open.fetch_add(1, Ordering::SeqCst) + 1;
        counts.most_open.fetch_max(open, Ordering::SeqCst);
        Self { counts, since: Instant::now() }
    }

    async fn harm(self, harm: Harm, mut stream: TcpStream, location: &str, at_once: usize) {
        if harm.take_request(&mut stream).await.is_err() {
            return;
        }
        self.counts.arrived.send_modify(|arrived| *arrived += 1);
        let mut arrived = self.counts.arrived.subscribe();
        // The sender lives as long as this does.
        let _ = arrived.wait_for(|arrived| *arrived >= at_once).await;
        // However it ends, it has ended.
        let _ = harm.inflict(stream, location).await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::SeqCst);
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counts.longest_micros.fetch_max(micros, Ordering::SeqCst);
    }
}
