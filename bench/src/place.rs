//! New databases, gone after use.

use anyhow::{Context, Result};
use clap::ValueEnum;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use tempfile::TempDir;
use uuid::Uuid;

/// What secrets in these databases are encrypted with, 32 bytes in base64: they are filled in process and served by another
/// one, which has to have the same key.
pub const ENCRYPTION_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Embedded.
    Sqlite,
    /// A server.
    Postgres,
}

/// Where databases are made.
#[derive(Debug, Clone)]
pub enum Place {
    /// SQLite files in temporary folders.
    Sqlite,
    /// Databases of a PostgreSQL server. Its durability is the server's business: `fsync` must be on for the figures to
    /// mean anything, and [`Place::check`] makes sure of it.
    Postgres {
        /// Of a user who may create databases.
        url: String,
    },
}

impl Place {
    /// As it is called in tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres { .. } => "PostgreSQL",
        }
    }

    /// Refuses a server whose commits cost nothing because they are not durable.
    pub async fn check(&self) -> Result<()> {
        let Self::Postgres { url } = self else { return Ok(()) };
        let server = connect(url).await?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, format!("SHOW {setting}"));
            let row = server.query_one_raw(statement).await?.context("SHOW gives a row")?;
            let value: String = row.try_get_by_index(0)?;
            anyhow::ensure!(
                value == "on",
                "{setting} of the PostgreSQL server is {value}; it must be on to be measured"
            );
        }
        Ok(())
    }

    /// Makes a new database.
    pub async fn make(&self) -> Result<NewDatabase> {
        let folder = tempfile::Builder::new().prefix("tandem-bench-").tempdir()?;
        match self {
            Self::Sqlite => {
                let url = format!("sqlite://{}", folder.path().join("tandem.db").display());
                Ok(NewDatabase { url, _folder: folder, server: None })
            }
            Self::Postgres { url } => {
                let name = format!("tandem_bench_{}", Uuid::new_v4().simple());
                let server = connect(url).await?;
                server.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
                Ok(NewDatabase { url: with_database(url, &name)?, _folder: folder, server: Some((server, name)) })
            }
        }
    }
}

async fn connect(url: &str) -> Result<DatabaseConnection> {
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.context("cannot connect to PostgreSQL")
}

/// The same URL with another database.
fn with_database(url: &str, name: &str) -> Result<String> {
    let (url, options) = url.split_once('?').map_or((url, None), |(url, options)| (url, Some(options)));
    let (scheme, rest) = url.split_once("://").context("the URL of PostgreSQL begins with postgres://")?;
    let authority = rest.split('/').next().unwrap_or_default();
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    Ok(format!("{scheme}://{authority}/{name}{options}"))
}

/// A database that nobody else uses.
pub struct NewDatabase {
    /// For the server.
    pub url: String,
    /// Holds what is in files.
    _folder: TempDir,
    server: Option<(DatabaseConnection, String)>,
}

impl NewDatabase {
    /// Removes it. A database that is only dropped stays on a PostgreSQL server, where the next person wonders about it.
    pub async fn remove(self) -> Result<()> {
        if let Some((server, name)) = self.server {
            server.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_take_the_place_of_the_one_in_the_url() {
        for (url, expected) in [
            ("postgres://me@host:1/postgres", "postgres://me@host:1/new"),
            ("postgresql://host", "postgresql://host/new"),
            ("postgres://host/a?sslmode=disable", "postgres://host/new?sslmode=disable"),
        ] {
            assert_eq!(with_database(url, "new").unwrap(), expected);
        }
        assert!(with_database("host", "new").is_err());
    }
}
