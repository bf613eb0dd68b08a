//! Opens what is behind the transports, from the database up: tables, log, writer, engine, dispatcher.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Connection;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::threads;
use crate::catalog::Catalog;
use crate::database::{self, Database, FileLock};
use crate::log::Hub;
use crate::metrics::Metrics;
use crate::retention::{self, Retention};
use crate::schema::{self, Engine, EngineParts};
use crate::store::tables::{self, Allowed, Plan};
use crate::store::{Writer, statistics, writer};
use crate::webhook::clock::Clock;
use crate::webhook::egress::{AllowList, Guard};
use crate::webhook::retry::Schedule;
use crate::webhook::send::Sender;
use crate::webhook::verification::Sending;
use crate::webhook::{Dispatcher, Replayer, Verifier, Wake, dispatcher, registry, replayer, vault};

/// How long a server waits for the one before it to give up its SQLite file.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// How often it looks.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Why the parts could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tables could not be made to fit the resource file.
    #[error(transparent)]
    Tables(#[from] tables::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// The types of the API could not be made.
    #[error(transparent)]
    Schema(#[from] schema::Error),
    /// The key of the secrets in the database is missing or wrong.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The client that sends to webhooks could not be made.
    #[error("the HTTP client of webhooks cannot be made: {0}")]
    Sender(#[source] std::io::Error),
    /// The threads that send webhooks cannot be started.
    #[error("the threads that send webhooks cannot be started: {0}")]
    Threads(#[from] std::io::Error),
    /// PostgreSQL cannot be reached.
    #[error("the database (--database-url, DATABASE_URL) cannot be reached: {0}")]
    Unreachable(String),
    /// The URL names no database that Tandem knows.
    #[error("the database URL (--database-url, DATABASE_URL) starts with neither sqlite:// nor postgres://")]
    UnknownDatabase,
    /// The directory of the database file cannot be made.
    #[error("the directory {0} cannot be made: {1}")]
    Directory(String, std::io::Error),
}

/// What the parts are told.
pub struct Options {
    /// `sqlite://<file>` or `postgres://…`
    pub database_url: String,
    /// The resources.
    pub catalog: Arc<Catalog>,
    /// Steps that the planner of their tables may take although they lose data.
    pub allowed: Allowed,
    /// Of the writer.
    pub writer: writer::Settings,
    /// Addresses that webhooks may reach besides public ones.
    pub webhook_allow: AllowList,
    /// When deliveries are tried.
    pub webhook_schedule: Schedule,
    /// The deadline of one attempt.
    pub webhook_timeout: Duration,
    /// What is kept for how long.
    pub retention: retention::Settings,
    /// What may be set about the registering of webhooks.
    pub webhooks: registry::Settings,
    /// Who receivers know this system as.
    pub sending: Sending,
    /// Where the key comes from that secrets are encrypted with.
    pub encryption: vault::Source,
    /// Whether responses say how many statements they took.
    pub debug_extensions: bool,
}

/// The parts of a running server.
pub struct Parts {
    /// Runs requests.
    pub engine: Engine,
    /// The read side.
    pub database: Database,
    /// The write side.
    pub writer: Writer,
    /// The log.
    pub hub: Hub,
    /// Numbers about the parts.
    pub metrics: Metrics,
}

/// Opens the database, makes its tables fit the catalog, and starts the hub, the writer and the dispatcher of webhooks.
/// Their tasks are in `tasks` and end after `shutdown`: first the dispatcher, then what it needs. The writer ends when all
/// that could write is dropped: the parts that are given here, too.
///
/// # Errors
/// If any part cannot start.
pub async fn open(options: Options, shutdown: &CancellationToken, tasks: &TaskTracker) -> Result<Parts, Error> {
    let Options { database_url, catalog, debug_extensions, .. } = options;
    let database = open_database(&database_url, &catalog, &options.allowed).await?;
    let hub = Hub::open(database.clone(), Arc::clone(&catalog)).await?;
    let log_stop = CancellationToken::new();
    start_log(&hub, &log_stop, tasks);
    tasks.spawn(statistics::follow(database.clone(), Arc::clone(&catalog), hub.clone(), log_stop.clone()));
    let (writer, writer_ended) = Writer::start(&database, Arc::clone(&catalog), hub.clone(), options.writer).await?;
    // What is in its queue is finished, even if the clients that asked for it are gone.
    tasks.spawn(writer_ended);
    let retention = Retention::new(database.clone(), writer.clone(), options.retention, shutdown.clone());
    let metrics = Metrics::default();
    let vault = vault::unlock(&options.encryption, &database, &writer).await?;
    let (guard, wake) = (Guard::new(options.webhook_allow), Wake::default());
    let replays = Arc::new(Notify::new());
    let sender = Sender::new(guard.clone()).map_err(Error::Sender)?;
    let engine = Engine::new(EngineParts {
        catalog: Arc::clone(&catalog),
        database: database.clone(),
        writer: writer.clone(),
        hub: hub.clone(),
        guard,
        wake: wake.clone(),
        sender: sender.clone(),
        webhook_timeout: options.webhook_timeout,
        replays: Arc::clone(&replays),
        vault: vault.clone(),
        origin: options.sending.origin.clone(),
        webhooks: options.webhooks,
        debug_extensions,
    })?;
    let replayer = Replayer::new(replayer::Parts {
        database: database.clone(),
        writer: writer.clone(),
        hub: hub.clone(),
        targets: engine.targets().clone(),
        wake: wake.clone(),
        replays,
    });
    let verifier = Verifier::new(
        engine.registry().clone(),
        sender.clone(),
        vault,
        options.sending,
        options.webhook_schedule.clone(),
        options.webhook_timeout,
    );
    let (follower, stop) = (engine.clone(), log_stop.clone());
    tasks.spawn(async move { follower.follow(stop).await });
    let settings = dispatcher::Settings {
        schedule: options.webhook_schedule,
        timeout: options.webhook_timeout,
        ..dispatcher::Settings::default()
    };
    let parts = dispatcher::Parts {
        database: database.clone(),
        writer: writer.clone(),
        hub: hub.clone(),
        catalog,
        targets: engine.targets().clone(),
        sender,
        wake,
        clock: Clock::read(&database).await?,
        metrics: metrics.clone(),
    };
    let (stop, tracked) = (shutdown.clone(), tasks.clone());
    let work = move || {
        tracked.spawn(retention.run());
        tracked.spawn(replayer.run(stop.clone()));
        tracked.spawn(verifier.run(stop.clone()));
        Dispatcher::new(parts, settings).run(stop)
    };
    let dispatched = threads::spawn("webhooks", work, tasks)?;
    tasks.spawn(async move {
        dispatched.await;
        log_stop.cancel();
    });
    Ok(Parts { engine, database, writer, hub, metrics })
}

fn start_log(hub: &Hub, stop: &CancellationToken, tasks: &TaskTracker) {
    let (reader, reader_stop) = (hub.clone(), stop.clone());
    tasks.spawn(async move { reader.run(reader_stop).await });
    let (talker, talker_stop) = (hub.clone(), stop.clone());
    tasks.spawn(async move { talker.meet_neighbours(talker_stop).await });
}

async fn open_database(url: &str, catalog: &Catalog, allowed: &Allowed) -> Result<Database, Error> {
    let lock = migrate(url, catalog, allowed).await?.1;
    match sqlite_path(url).zip(lock) {
        Some((path, lock)) => Ok(Database::open_sqlite(path, lock)?),
        None => Ok(Database::connect_postgres(url).await?),
    }
}

/// Makes the tables fit the catalog. Gives what that took, and the lock of an SQLite file, which belongs to whoever holds
/// it.
///
/// # Errors
/// If the database cannot be reached, if another process has the file, or if steps are refused.
pub async fn migrate(url: &str, catalog: &Catalog, allowed: &Allowed) -> Result<(Plan, Option<FileLock>), Error> {
    make_directory(url)?;
    // Before anything is read: another process may be about to write.
    let lock = match sqlite_path(url) {
        Some(path) => Some(take_lock(path).await?),
        None => None,
    };
    let conn = connect(url).await?;
    let plan = tables::prepare(&conn, catalog, allowed).await;
    conn.close().await.map_err(database::Error::from)?;
    Ok((plan?, lock))
}

/// Takes the lock of an SQLite file. Whoever starts a server again may be a little faster than the one before ends.
async fn take_lock(path: &str) -> Result<FileLock, database::Error> {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match FileLock::take(path) {
            Err(database::Error::Unavailable(_)) if Instant::now() < deadline => tokio::time::sleep(LOCK_PAUSE).await,
            result => return result,
        }
    }
}

/// A connection to look at the tables and to change them.
///
/// # Errors
/// If the URL is of no known database, or the database cannot be reached.
pub async fn connect(url: &str) -> Result<sea_orm::DatabaseConnection, Error> {
    make_directory(url)?;
    let url = match sqlite_path(url) {
        Some(path) => format!("sqlite://{path}?mode=rwc"),
        None if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            // A pool tries again and again, and then says only that it waited; a single connection says what is wrong.
            let conn = sqlx::PgConnection::connect(url).await.map_err(|e| Error::Unreachable(e.to_string()))?;
            conn.close().await.map_err(|e| Error::Unreachable(e.to_string()))?;
            url.to_owned()
        }
        None => return Err(Error::UnknownDatabase),
    };
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Ok(sea_orm::Database::connect(options).await.map_err(database::Error::from)?)
}

fn make_directory(url: &str) -> Result<(), Error> {
    let directory = sqlite_path(url).and_then(|path| Path::new(path).parent());
    match directory.filter(|directory| !directory.as_os_str().is_empty()) {
        Some(path) => std::fs::create_dir_all(path).map_err(|e| Error::Directory(path.display().to_string(), e)),
        None => Ok(()),
    }
}

fn sqlite_path(url: &str) -> Option<&str> {
    url.strip_prefix("sqlite://")?.split('?').next()
}
