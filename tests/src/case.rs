//! One test on one database.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use tempfile::TempDir;

use crate::{Server, Settings};

/// After this long a test has failed, unless `TANDEM_TEST_MINUTES` says otherwise, for those that are run in full size. It
/// bounds a hang, it measures nothing.
const CASE_DEADLINE: Duration = Duration::from_secs(600);

fn case_deadline() -> Duration {
    let minutes = std::env::var("TANDEM_TEST_MINUTES").ok().and_then(|minutes| minutes.parse().ok());
    minutes.map_or(CASE_DEADLINE, |minutes: u64| Duration::from_secs(60 * minutes))
}

const LOG_LINES: usize = 400;

/// Makes two tests of each function `async fn name(case: &Case)`: `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                $crate::case::run($crate::Backend::Sqlite, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                $crate::case::run($crate::Backend::Postgres, super::$name).await;
            }
        }
    )+};
}

/// Which database a case runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file in the data directory.
    Sqlite,
    /// A new database of the server at `TEST_POSTGRES_URL`.
    Postgres,
}

/// The last lines that the servers of a case logged; shown when it fails.
#[derive(Debug, Clone, Default)]
pub struct Logs(Arc<Mutex<VecDeque<String>>>);

impl Logs {
    /// Keeps a line, and forgets the oldest one if there are too many.
    pub fn push(&self, line: String) {
        let mut lines = self.0.lock().expect("nothing panics with this lock held");
        if lines.len() == LOG_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The lines, oldest first.
    pub fn text(&self) -> String {
        let lines = self.0.lock().expect("nothing panics with this lock held");
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// What a test works with: a data directory and a database of its own.
pub struct Case {
    /// Which database.
    pub backend: Backend,
    data_dir: TempDir,
    database_url: String,
    logs: Logs,
}

impl Case {
    /// The usual settings: the shipped store in this case's database, and short webhook retries.
    pub fn settings(&self) -> Settings {
        Settings::new(self.data_dir.path(), &self.database_url)
    }

    /// Starts a server with the usual settings.
    pub async fn server(&self) -> Server {
        self.start(self.settings()).await
    }

    /// Starts a server.
    pub async fn start(&self, settings: Settings) -> Server {
        Server::start(settings, self.logs.clone()).await
    }

    /// Where the database of this case is.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The path of a file in the data directory.
    pub fn data_path(&self, name: &str) -> PathBuf {
        self.data_dir.path().join(name)
    }

    /// Writes a file into the data directory and returns its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.data_dir.path().join(name);
        std::fs::write(&path, text).expect("the data directory is writable");
        path.to_string_lossy().into_owned()
    }

    /// The last lines that the servers of this case logged.
    pub fn log(&self) -> String {
        self.logs.text()
    }

    /// Changes the database past the server, which must not be running on SQLite.
    pub async fn execute(&self, sql: &str) {
        let database = Database::connect(&self.database_url).await.expect("the server has made the database");
        database.execute_unprepared(sql).await.expect("the statement is valid");
        database.close().await.expect("a connection without open work closes");
    }

    /// A connection past the server, for looking at what it wrote.
    pub async fn database(&self) -> DatabaseConnection {
        let url = match self.backend {
            Backend::Sqlite => format!("{}?mode=ro", self.database_url),
            Backend::Postgres => self.database_url.clone(),
        };
        Database::connect(&url).await.expect("the server has made the database")
    }
}

/// Runs a case on both databases, which must give the same: bytes that clients read, say.
pub async fn run_alike<T: PartialEq + Debug>(test: impl AsyncFn(&Case) -> T) {
    let sqlite = run(Backend::Sqlite, &test).await;
    let postgres = run(Backend::Postgres, &test).await;
    assert_eq!(sqlite, postgres, "SQLite on the left");
}

/// Runs a case, shows the logs of its servers if it fails, and removes its database.
pub async fn run<T>(backend: Backend, test: impl AsyncFnOnce(&Case) -> T) -> T {
    let data_dir = tempfile::tempdir().expect("the system's folder for temporary files is writable");
    let scratch = match backend {
        Backend::Sqlite => None,
        Backend::Postgres => Some(Scratch::create().await),
    };
    let database_url = match &scratch {
        None => format!("sqlite://{}", data_dir.path().join("tandem.db").display()),
        Some(scratch) => scratch.url.clone(),
    };
    let logs = Logs::default();
    let case = Case { backend, data_dir, database_url, logs: logs.clone() };
    let deadline = case_deadline();
    let bounded = tokio::time::timeout(deadline, test(&case));
    let outcome = AssertUnwindSafe(bounded).catch_unwind().await;
    if let Some(scratch) = scratch {
        scratch.remove().await;
    }
    match outcome {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => panic!("not done after {deadline:?}\n{}", logs.text()),
        Err(panic) => {
            eprintln!("--- what the servers logged last\n{}\n---", logs.text());
            std::panic::resume_unwind(panic);
        }
    }
}

/// A PostgreSQL database for one case.
struct Scratch {
    admin_url: String,
    name: String,
    url: String,
}

impl Scratch {
    async fn create() -> Self {
        let admin_url = std::env::var("TEST_POSTGRES_URL").expect(
            "TEST_POSTGRES_URL is not set: `cargo xtask test` runs the tests with a PostgreSQL of their own, \
             `cargo xtask postgres` starts one for running them by hand",
        );
        let name = format!("tandem_test_{}_{:016x}", std::process::id(), rand::random::<u64>());
        let (base, parameters) = admin_url.split_once('?').unwrap_or((&admin_url, ""));
        let (server, _) = base.rsplit_once('/').expect("a PostgreSQL URL names a database");
        let mark = if parameters.is_empty() { "" } else { "?" };
        let url = format!("{server}/{name}{mark}{parameters}");
        let scratch = Self { admin_url, name, url };
        scratch.execute("CREATE DATABASE").await;
        scratch
    }

    async fn remove(self) {
        self.execute("DROP DATABASE IF EXISTS").await;
    }

    async fn execute(&self, command: &str) {
        let force = if command.starts_with("DROP") { " WITH (FORCE)" } else { "" };
        let statement = format!(r#"{command} "{}"{force}"#, self.name);
        let admin = Database::connect(&self.admin_url).await.expect("TEST_POSTGRES_URL names a running PostgreSQL");
        admin.execute_unprepared(&statement).await.expect("the user of TEST_POSTGRES_URL may create databases");
        admin.close().await.expect("a connection without open work closes");
    }
}
