//! A database of a test's own.

use migration::{Migrator, MigratorTrait};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::database::{Database, Dialect, FileLock};

/// Where a database of a test's own is.
pub enum Place {
    Sqlite(tempfile::TempDir),
    Postgres { url: String, schema: String },
}

impl Place {
    pub async fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Sqlite => Self::Sqlite(tempfile::tempdir().unwrap()),
            Dialect::Postgres => {
                let url = std::env::var("TEST_POSTGRES_URL").expect(
                    "TEST_POSTGRES_URL is not set: run the tests by `cargo xtask test`, which starts a PostgreSQL for them",
                );
                let schema = format!("webhook_{}", Uuid::new_v4().simple());
                let place = Self::Postgres { url, schema };
                place.administer("CREATE SCHEMA", "").await;
                place
            }
        }
    }

    pub async fn administer(&self, verb: &str, how: &str) {
        let Self::Postgres { url, schema } = self else { return };
        let admin = sea_orm::Database::connect(url).await.unwrap();
        admin.execute_unprepared(&format!("{verb} {schema} {how}")).await.unwrap();
        admin.close().await.unwrap();
    }

    pub async fn open(&self) -> Database {
        let (migrated_at, url) = match self {
            Self::Sqlite(directory) => {
                let path = directory.path().join("tandem.db").to_str().unwrap().to_owned();
                (format!("sqlite://{path}?mode=rwc"), path)
            }
            Self::Postgres { url, schema } => {
                let url = format!("{url}?options[search_path]={schema}");
                (url.clone(), url)
            }
        };
        let migrating = sea_orm::Database::connect(migrated_at).await.unwrap();
        Migrator::up(&migrating, None).await.unwrap();
        migrating.close().await.unwrap();
        match self {
            Self::Sqlite(_) => {
                // Tests open it twice to play two processes, so each has a lock of its own.
                let lock = FileLock::take(&format!("{url}.{}", Uuid::new_v4())).unwrap();
                Database::open_sqlite(&url, lock).unwrap()
            }
            Self::Postgres { .. } => Database::connect_postgres(&url).await.unwrap(),
        }
    }
}
