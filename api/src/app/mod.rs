//! The running server: puts the parts together, starts them in order, and stops them in order.
//!
//! Start: settings are checked, the port is taken, the keys are loaded, the engine is built; only then are requests
//! accepted, and the line `listening` is logged. Stop, on SIGTERM or SIGINT: no new connections, sockets are closed over
//! the drain window, requests that run are finished, and after `--shutdown-timeout` what is left is dropped.

mod compose;
pub mod parts;
mod startup;
mod threads;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;

use crate::auth::Authenticator;
use crate::config::{LogFormat, LogSettings, Settings};
use crate::http::{self, Gateway, PersistedQueries, Readiness};
use crate::live::{Executor, Live};
use crate::metrics::Metrics;

pub use compose::{build, migrate, plan, schema};

/// How much longer a connection may stand still than a socket, which first says goodbye to a client that is too slow.
const STALL_GRACE: Duration = Duration::from_secs(5);

/// Files that are open beside those of live connections: the database's, other requests', receivers of webhooks.
const OTHER_FILES: u64 = 4_096;

/// Bytes of a connection that the system holds before they are sent. What is on its way to the client is not counted, so
/// this takes nothing from the rate at which a client can be sent to.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MAX_UNSENT_BYTES: u32 = 128 << 10;

/// What the user gave is wrong, such as the resource file. The text is complete: it is printed as it is, and the exit
/// status is 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// What ends with the server: tasks in `tasks` stop when `shutdown` is cancelled.
#[derive(Debug, Clone, Default)]
pub struct Lifetime {
    /// Cancelled when the server stops.
    pub shutdown: CancellationToken,
    /// Awaited, with a deadline, before the process ends.
    pub tasks: TaskTracker,
}

/// The parts that serve requests.
pub struct App<E> {
    /// Runs operations.
    pub executor: E,
    /// Says whether the parts can do their work.
    pub readiness: Readiness,
    /// How many resources there are.
    pub resources: usize,
    /// Numbers about the parts.
    pub metrics: Metrics,
    /// Routes of other parts, besides those of [`http::router`].
    pub routes: Router,
}

/// Runs the server until it is told to stop.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    init_logs(&settings.log)?;
    raise_file_limit(settings.live.live_max_connections);
    let lifetime = Lifetime::default();
    let stop = stop_signal()?;
    let source = settings.key_source()?;
    let address = settings.server.listen;
    // Before the database is touched: a second server on the same port changes nothing.
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (--listen, TANDEM_LISTEN)"))?;
    let authenticator = Arc::new(Authenticator::open(&settings.auth, &source).await?);
    let app = build(&settings, &lifetime).await?;
    startup::print(&settings, &source, listener.local_addr()?, app.resources)?;
    run(settings, lifetime, listener, authenticator, app, stop).await
}

/// Every connection is an open file, and the usual soft limit is 1,024. What cannot be raised is said, for the server works
/// with fewer connections too.
fn raise_file_limit(live_connections: u32) {
    let wanted = u64::from(live_connections) + OTHER_FILES;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(limit) if limit < wanted => tracing::warn!(
            limit,
            wanted,
            "open files are limited (ulimit -n): connections beyond the limit are not accepted"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be read"),
    }
}

/// Serves requests until `stop`, then drains.
pub async fn run<E: Executor>(
    settings: Settings,
    lifetime: Lifetime,
    listener: TcpListener,
    authenticator: Arc<Authenticator>,
    app: App<E>,
    stop: impl Future<Output = &'static str> + Send + 'static,
) -> anyhow::Result<()> {
    let Lifetime { shutdown, tasks } = lifetime;
    let (keys, cancel) = (authenticator.clone(), shutdown.clone());
    tasks.spawn(async move { keys.keep_keys_fresh(cancel).await });

    let live = Arc::new(Live::new(app.executor, authenticator, &settings, shutdown.clone(), tasks.clone()));
    let persisted = PersistedQueries::new(settings.http.persisted_queries_bytes);
    let gateway = Gateway {
        live,
        settings: settings.http.clone(),
        persisted,
        readiness: app.readiness,
        metrics: app.metrics,
        are_metrics_open: settings.server.is_loopback(),
    };
    let router = http::router(gateway).merge(app.routes);
    let address = listener.local_addr()?;
    let listener = listener.tap_io(|io| {
        if let Err(error) = prepare(io) {
            tracing::debug!(%error, "a connection stays as the system made it");
        }
    });
    let listener = http::drop_stalled(listener, settings.live.live_write_timeout + STALL_GRACE);
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let server = tasks.spawn(server.into_future());
    tracing::info!(%address, "listening");

    let signal = stop.await;
    tracing::info!(signal, "stopping: no new requests, and open sockets are closed");
    shutdown.cancel();
    tasks.close();
    let deadline = Instant::now() + settings.server.shutdown_timeout;
    match tokio::time::timeout_at(deadline, tasks.wait()).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => tracing::warn!(tasks = tasks.len(), "stopped with work left, which is dropped"),
    }
    server.abort();
    Ok(())
}

/// Responses are written whole, so there is nothing to wait for. And what the system takes of them before it can be sent is
/// bounded, as far as systems can be told to: megabytes would lie there for each client that does not read.
fn prepare(io: &TcpStream) -> std::io::Result<()> {
    io.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(io).set_tcp_notsent_lowat(MAX_UNSENT_BYTES)?;
    Ok(())
}

/// Resolves at the first signal to stop; a second one ends the process at once.
fn stop_signal() -> anyhow::Result<impl Future<Output = &'static str> + Send + 'static> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        Ok(async move {
            let first = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            // Not tracked: it is what ends the process when the tracked ones do not end.
            tokio::spawn(async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                std::process::exit(130);
            });
            first
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
        "interrupt"
    })
}

/// Sends log lines to standard error. To be called once.
pub fn init_logs(settings: &LogSettings) -> anyhow::Result<()> {
    let level = &settings.log_level;
    // What SeaORM's migrator says at each start, and what PostgreSQL notes of its statements, is of no use to an operator.
    let filter = EnvFilter::builder()
        .parse(format!("sea_orm_migration=warn,sqlx::postgres::notice=warn,{level}"))
        .map_err(|error| BadInput(format!("invalid value '{level}' for --log-level (TANDEM_LOG_LEVEL): {error}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match settings.log_format {
        LogFormat::Text => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines.with_ansi(is_terminal).with_target(false).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("logs cannot be started: {error}"))
}

#[cfg(test)]
mod tests;
