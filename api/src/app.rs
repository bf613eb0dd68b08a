//! Puts the parts together: database, log, writer, engine.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::Catalog;
use crate::database::{self, Database};
use crate::log::Hub;
use crate::schema::{self, Engine};
use crate::store::{Writer, tables, writer};

/// Why the parts could not be put together.
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
    /// The URL names no database that Tandem knows.
    #[error("the database URL starts with neither sqlite:// nor postgres://")]
    UnknownDatabase,
    /// The directory of the database file cannot be made.
    #[error("the directory {0} cannot be made: {1}")]
    Directory(String, std::io::Error),
}

/// The parts that a running server holds.
pub struct Parts {
    /// Runs requests.
    pub engine: Engine,
    /// The read side.
    pub database: Database,
    /// The write side.
    pub writer: Writer,
    /// The log.
    pub hub: Hub,
}

/// Opens the database, makes its tables fit the catalog, and starts hub and writer.
///
/// # Errors
/// If any part cannot start; nothing is left running then but what `stop` ends.
pub async fn open(
    database_url: &str,
    catalog: Arc<Catalog>,
    writer_settings: writer::Settings,
    debug_extensions: bool,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Parts, Error> {
    let database = open_database(database_url, &catalog).await?;
    let hub = Hub::open(database.clone(), Arc::clone(&catalog)).await?;
    let (reader, listener, announcer) = (hub.clone(), hub.clone(), hub.clone());
    let (stop_reader, stop_listener, stop_announcer) = (stop.clone(), stop.clone(), stop.clone());
    tasks.spawn(async move { reader.run(stop_reader).await });
    tasks.spawn(async move { listener.listen(stop_listener).await });
    tasks.spawn(async move { announcer.announce(stop_announcer).await });
    let (writer, _thread) = Writer::start(&database, Arc::clone(&catalog), hub.clone(), writer_settings).await?;
    let engine = Engine::new(catalog, database.clone(), writer.clone(), hub.clone(), debug_extensions)?;
    Ok(Parts { engine, database, writer, hub })
}

async fn open_database(url: &str, catalog: &Catalog) -> Result<Database, Error> {
    if let Some(path) = url.strip_prefix("sqlite://") {
        let path = path.split('?').next().unwrap_or_default();
        if let Some(directory) = Path::new(path).parent().filter(|directory| !directory.as_os_str().is_empty()) {
            std::fs::create_dir_all(directory).map_err(|e| Error::Directory(directory.display().to_string(), e))?;
        }
        prepare(&format!("sqlite://{path}?mode=rwc"), catalog).await?;
        return Ok(Database::open_sqlite(path)?);
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        prepare(url, catalog).await?;
        return Ok(Database::connect_postgres(url).await?);
    }
    Err(Error::UnknownDatabase)
}

async fn prepare(url: &str, catalog: &Catalog) -> Result<(), Error> {
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let conn = sea_orm::Database::connect(options).await.map_err(database::Error::from)?;
    let plan = tables::prepare(&conn, catalog).await;
    conn.close().await.map_err(database::Error::from)?;
    for step in plan?.steps {
        tracing::info!(step = step.title, "changed the tables");
    }
    Ok(())
}
