//! A whole engine on a database of a test's own, for tests inside the crate.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::app::parts::{self, Options, Parts};
use crate::auth::{Principal, Secret};
use crate::catalog;
use crate::retention;
use crate::schema::Request;
use crate::store::tables::Allowed;
use crate::store::writer;
use crate::webhook::egress::AllowList;
use crate::webhook::retry::Schedule;
use crate::webhook::verification::Sending;
use crate::webhook::{registry, vault};

/// 32 zero bytes.
const ENCRYPTION_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The resource file that ships.
pub(crate) const STORE: &str = include_str!("../../resources.graphql");

/// Parts of a server, on a database that is gone with the test.
pub(crate) struct TestApp {
    pub(crate) parts: Parts,
    _directory: tempfile::TempDir,
    tasks: TaskTracker,
    stop: DropGuard,
}

/// Runs the test on a new SQLite database and in a new schema of PostgreSQL.
pub(crate) async fn on_both(resources: &str, test: impl AsyncFn(&TestApp)) {
    let url = std::env::var("TEST_POSTGRES_URL").expect(
        "TEST_POSTGRES_URL is not set: run the tests by `cargo xtask test`, which starts a PostgreSQL for them",
    );
    let directory = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}", directory.path().join("tandem.db").display());
    let app = open(&sqlite, resources, directory).await;
    test(&app).await;
    app.close().await;

    let schema = format!("engine_{}", uuid::Uuid::new_v4().simple());
    let admin = sea_orm::Database::connect(&url).await.unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&admin, &format!("CREATE SCHEMA {schema}")).await.unwrap();
    let separator = if url.contains('?') { '&' } else { '?' };
    let postgres = format!("{url}{separator}options=-csearch_path%3D{schema}");
    let app = open(&postgres, resources, tempfile::tempdir().unwrap()).await;
    test(&app).await;
    app.close().await;
    sea_orm::ConnectionTrait::execute_unprepared(&admin, &format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}

async fn open(url: &str, resources: &str, directory: tempfile::TempDir) -> TestApp {
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let parts = parts::open(options(url, resources), &stop, &tasks).await.unwrap();
    TestApp { parts, _directory: directory, tasks, stop: stop.drop_guard() }
}

/// What a server is told for a test.
pub(crate) fn options(url: &str, resources: &str) -> Options {
    Options {
        database_url: url.to_owned(),
        catalog: Arc::new(catalog::parse("resources.graphql", resources).unwrap()),
        allowed: Allowed::default(),
        writer: writer::Settings::default(),
        webhook_allow: AllowList::loopback(),
        webhook_schedule: Schedule::default(),
        webhook_timeout: Duration::from_secs(15),
        retention: retention::Settings::default(),
        webhooks: registry::Settings::default(),
        sending: Sending::default(),
        encryption: vault::Source::Given(Secret::new(ENCRYPTION_KEY)),
        debug_extensions: true,
    }
}

impl TestApp {
    /// Stops what runs in the background: what still writes would get in the way of those who remove the tables.
    async fn close(self) {
        drop((self.stop, self.parts));
        self.tasks.close();
        let ended = tokio::time::timeout(Duration::from_secs(30), self.tasks.wait()).await;
        ended.expect("everything ends with the test");
    }

    /// The response to a query or a mutation.
    pub(crate) async fn run(&self, principal: &Arc<Principal>, query: &str, variables: Value) -> Value {
        let Value::Object(variables) = variables else { panic!("variables are an object") };
        let response = self.parts.engine.execute(request(query, variables), Arc::clone(principal)).await;
        serde_json::from_slice(&response.body).unwrap()
    }
}

/// A request without operation name.
pub(crate) fn request(query: &str, variables: Map<String, Value>) -> Request {
    Request { query: query.to_owned(), variables, ..Request::default() }
}

/// Somebody who may do everything.
pub(crate) fn admin() -> Arc<Principal> {
    Arc::new(Principal { sub: Some("root".to_owned()), is_admin: true, ..Principal::default() })
}

/// Somebody with these roles.
pub(crate) fn person(sub: &str, roles: &[&str]) -> Arc<Principal> {
    let claims = Map::from_iter([("sub".to_owned(), Value::String(sub.to_owned()))]);
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    Arc::new(Principal { sub: Some(sub.to_owned()), roles, claims, ..Principal::default() })
}
