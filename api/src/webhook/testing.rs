//! What the tests of this module share: a database with a log, a document that is easy to predict, and a receiver.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use entity::{EventId, Position, TransactionId, WebhookId};
use futures_util::future::{BoxFuture, FutureExt};
use migration::{Migrator, MigratorTrait};
use sea_orm::ConnectionTrait;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::dispatcher::{Dispatcher, Parts, Settings};
use super::egress::{AllowList, Guard};
use super::registry::{Document, NewWebhook, Registry};
use super::render::{Follow, Refusal, Render, RenderError, Rendered};
use super::send::Sender;
use super::{Wake, Webhook, retry};
use crate::auth::Principal;
use crate::catalog::{
    Access, Allow, Catalog, Constraint, EnumType, EnumValue, Field, FieldType, Operations, Resource, Rule, Scalar,
};
use crate::database::{Database, Dialect, FileLock, Record, Sql};
use crate::log::{Event, Hub};
use crate::store::writer::{self, Writer};

const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until something is there.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

pub fn field(name: &str, ty: FieldType, nullable: bool) -> Field {
    let column = match ty {
        FieldType::ToOne { .. } => format!("{name}_id"),
        FieldType::ToMany { .. } => String::new(),
        _ => name.to_owned(),
    };
    Field {
        name: name.to_owned(),
        column,
        description: None,
        ty,
        nullable,
        default: None,
        constraint: Constraint::default(),
        private: false,
        read_only: false,
        write_once: false,
        rules: None,
        renamed_from: None,
    }
}

/// A resource that everybody may do everything with.
pub fn resource(name: &str, singular: &str, prefix: &str, declared: Vec<Field>) -> Resource {
    let mut fields = vec![field("id", FieldType::RowId, false)];
    fields.extend(declared);
    fields.push(field("createdAt", FieldType::Scalar(Scalar::DateTime), false));
    fields.push(field("updatedAt", FieldType::Scalar(Scalar::DateTime), false));
    fields.push(field("version", FieldType::Scalar(Scalar::Int), false));
    Resource {
        name: name.to_owned(),
        singular: singular.to_owned(),
        plural: format!("{singular}s"),
        prefix: prefix.to_owned(),
        description: None,
        root: true,
        fields,
        unique_keys: Vec::new(),
        indexes: Vec::new(),
        search: Vec::new(),
        access: Access::Rules(vec![Rule { allow: Allow::Public, operations: Operations::ALL }]),
        renamed_from: None,
    }
}

pub fn catalog() -> Catalog {
    let text = FieldType::Scalar(Scalar::String);
    let status = EnumType {
        name: "Status".to_owned(),
        description: None,
        values: vec![EnumValue { name: "NEW".to_owned(), description: None, renamed_from: None }],
    };
    let products = resource("Product", "product", "product", vec![field("name", text, false)]);
    Catalog::new(vec![products], vec![status])
}

/// Documents of this fake are `all`, `even` (events at even positions), or anything else, which is refused.
pub struct FakeRender;

impl Render for FakeRender {
    fn prepare(
        &self,
        query: &str,
        _variables: &Map<String, Value>,
        principal: Arc<Principal>,
    ) -> Result<Arc<dyn Follow>, Vec<Refusal>> {
        let refusal = |message: &str, is_forbidden| vec![Refusal { message: message.to_owned(), is_forbidden }];
        match query {
            "all" => Ok(Arc::new(FakeFollow { is_even: false })),
            "even" => Ok(Arc::new(FakeFollow { is_even: true })),
            "secret" if !principal.is_admin => Err(refusal("Field cost is not for you", true)),
            query if query.starts_with("subscription") => Ok(Arc::new(FakeFollow { is_even: false })),
            _ => Err(refusal("Syntax error", false)),
        }
    }
}

struct FakeFollow {
    is_even: bool,
}

impl Follow for FakeFollow {
    fn render<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<Option<Rendered>, RenderError>> {
        let is_mine = !self.is_even || event.position.get() % 2 == 0;
        let data = format!("{{\"position\":{}}}", event.position);
        async move { Ok(is_mine.then(|| Rendered { data: data.into(), errors: None })) }.boxed()
    }
}

/// Makes two tests of each function `async fn name(fixture: &mut Fixture)`: `name::sqlite` and `name::postgres`.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::database::Dialect;
            use crate::webhook::testing::Fixture;

            #[tokio::test]
            async fn sqlite() {
                let mut fixture = Fixture::on(Dialect::Sqlite).await;
                super::$name(&mut fixture).await;
                fixture.close().await;
            }

            #[tokio::test]
            async fn postgres() {
                let mut fixture = Fixture::on(Dialect::Postgres).await;
                super::$name(&mut fixture).await;
                fixture.close().await;
            }
        }
    )+};
}
pub(super) use on_both_databases;

/// A database with a log, without a dispatcher.
pub struct Fixture {
    pub database: Database,
    pub writer: Writer,
    pub hub: Hub,
    pub catalog: Arc<Catalog>,
    pub registry: Registry,
    pub wake: Wake,
    pub owner: Arc<Principal>,
    reading: JoinSet<()>,
    place: Place,
}

/// Where a database of a test's own is.
enum Place {
    Sqlite(tempfile::TempDir),
    Postgres { url: String, schema: String },
}

impl Place {
    async fn new(dialect: Dialect) -> Self {
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

    async fn administer(&self, verb: &str, how: &str) {
        let Self::Postgres { url, schema } = self else { return };
        let admin = sea_orm::Database::connect(url).await.unwrap();
        admin.execute_unprepared(&format!("{verb} {schema} {how}")).await.unwrap();
        admin.close().await.unwrap();
    }

    async fn open(&self) -> Database {
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

impl Fixture {
    pub async fn on(dialect: Dialect) -> Self {
        let place = Place::new(dialect).await;
        let database = place.open().await;
        let catalog = Arc::new(catalog());
        let hub = Hub::open(database.clone(), Arc::clone(&catalog)).await.unwrap();
        let settings = writer::Settings::default();
        let (writer, _) = Writer::start(&database, Arc::clone(&catalog), hub.clone(), settings).await.unwrap();
        let mut reading = JoinSet::new();
        let reader = hub.clone();
        reading.spawn(async move { reader.run(CancellationToken::new()).await });
        let wake = Wake::default();
        let registry = Registry::new(
            database.clone(),
            writer.clone(),
            Arc::clone(&catalog),
            Arc::new(FakeRender),
            Guard::new(AllowList::loopback()),
            wake.clone(),
        );
        let owner = Arc::new(principal("ada", false));
        Self { database, writer, hub, catalog, registry, wake, owner, reading, place }
    }

    pub async fn close(mut self) {
        self.reading.shutdown().await;
        self.place.administer("DROP SCHEMA", "CASCADE").await;
    }

    fn sql(&self, text: &str) -> Sql {
        Sql::text(self.database.dialect(), text)
    }

    /// Appends events to the log, as one transaction.
    pub async fn append(&self, count: i64) {
        let row = Uuid::now_v7();
        let mut statements = Vec::new();
        for n in 1..=count {
            statements.push(self.sql("UPDATE tandem_head SET position = position + 1"));
            let mut sql = self.sql(
                "INSERT INTO tandem_event (position, id, transaction_id, type, row_id, version, kind, changed_fields, at) \
                 SELECT position, ",
            );
            sql.bind(EventId::new().get()).push(", ").bind(TransactionId::new().get()).push(", 'Product', ").bind(row);
            sql.push(", ").bind(n).push(", 'UPDATED', '[\"name\"]', 1769860800123456 FROM tandem_head");
            statements.push(sql);
        }
        self.writer.statements(statements).await.unwrap();
        self.hub.written();
    }

    pub async fn query(&self, text: &str) -> Vec<Record> {
        self.database.query(self.sql(text)).await.unwrap()
    }

    pub async fn run(&self, text: &str) -> u64 {
        self.writer.statements(vec![self.sql(text)]).await.unwrap()[0]
    }

    pub async fn webhook(&self, id: WebhookId) -> Webhook {
        self.registry.get(&self.owner, id).await.unwrap().unwrap()
    }

    pub async fn create(&self, receiver: &Receiver, query: &str, max_in_flight: i64) -> Webhook {
        let new = NewWebhook {
            url: receiver.url(),
            document: Document { query: Some(query.to_owned()), ..Document::default() },
            description: None,
            headers: Vec::new(),
            max_in_flight,
        };
        let created = self.registry.create(&self.owner, new, None).await.unwrap();
        self.webhook(created.webhook.id).await
    }

    /// Status and attempts of the deliveries, and whether they have a body, in log order.
    pub async fn deliveries(&self) -> Vec<(i64, String, i64, bool)> {
        let sql = "SELECT position, status, CAST(attempts AS bigint), CAST(CASE WHEN body IS NULL THEN 0 ELSE 1 END AS bigint) \
                   FROM tandem_delivery ORDER BY position";
        let read = |r: &Record| {
            let has_body = r.need_int(3).unwrap() != 0;
            (r.need_int(0).unwrap(), r.need_text(1).unwrap(), r.need_int(2).unwrap(), has_body)
        };
        self.query(sql).await.iter().map(read).collect()
    }

    /// Waits until the webhook's position and sequence are these.
    pub async fn wait_for_progress(&self, id: WebhookId, position: i64, sequence: i64) {
        eventually(&format!("position {position}"), async || {
            let webhook = self.webhook(id).await;
            (webhook.position == Position::new(position).unwrap()).then_some(webhook)
        })
        .await;
        assert_eq!(self.webhook(id).await.sequence, sequence);
    }

    /// Kills a dispatcher, and lets its leases run out.
    pub async fn kill(&self, dispatching: Dispatching) {
        dispatching.kill().await;
        self.run("UPDATE tandem_webhook SET lease_until = 0").await;
    }

    /// Starts a dispatcher.
    pub fn dispatch(&self, schedule: &str) -> Dispatching {
        let parts = Parts {
            database: self.database.clone(),
            writer: self.writer.clone(),
            hub: self.hub.clone(),
            catalog: Arc::clone(&self.catalog),
            render: Arc::new(FakeRender),
            sender: Sender::new(Guard::new(AllowList::loopback())).unwrap(),
            wake: self.wake.clone(),
        };
        let schedule: retry::Schedule = schedule.parse().unwrap();
        let settings = Settings { schedule, timeout: Duration::from_secs(15), grace: Duration::from_secs(10) };
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(Dispatcher::new(parts, settings).run(stop.clone()));
        Dispatching { task, stop }
    }
}

/// A running dispatcher. Dropping it kills it.
pub struct Dispatching {
    task: JoinSet<()>,
    stop: CancellationToken,
}

impl Dispatching {
    async fn kill(mut self) {
        self.task.shutdown().await;
    }

    pub async fn stop(mut self) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.task.join_next()).await.expect("it stops in time").unwrap().unwrap();
    }
}

pub fn principal(sub: &str, is_admin: bool) -> Principal {
    Principal { sub: Some(sub.to_owned()), is_admin, ..Principal::default() }
}

/// One request that a [`Receiver`] got.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    pub fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn position(&self) -> i64 {
        self.json()["data"]["position"].as_i64().unwrap()
    }

    pub fn sequence(&self) -> i64 {
        self.json()["sequence"].as_i64().unwrap()
    }
}

/// An HTTP server that keeps what it gets.
pub struct Receiver {
    port: u16,
    inner: Arc<Inner>,
    _stop: DropGuard,
}

#[derive(Default)]
struct Inner {
    received: Mutex<Vec<Received>>,
    /// Answers for the next requests; then 200.
    answers: Mutex<VecDeque<u16>>,
    /// Positions whose requests hang until they are released.
    hanging: Mutex<Vec<i64>>,
    released: Notify,
    open: Mutex<(usize, usize)>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                served = async { axum::serve(listener, router).await } => served.unwrap(),
                () = stopped => {}
            }
        });
        Self { port, inner, _stop: stop.drop_guard() }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// What the next requests are answered with.
    pub fn answer_with(&self, statuses: &[u16]) {
        self.inner.answers.lock().unwrap().extend(statuses);
    }

    /// Lets the requests about these events hang; none: all go on.
    pub fn hang(&self, positions: &[i64]) {
        *self.inner.hanging.lock().unwrap() = positions.to_vec();
        self.inner.released.notify_waiters();
    }

    pub fn received(&self) -> Vec<Received> {
        self.inner.received.lock().unwrap().clone()
    }

    /// The most requests that were open at the same time.
    pub fn most_open(&self) -> usize {
        self.inner.open.lock().unwrap().1
    }

    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} requests"), async || {
            let received = self.received();
            (received.len() >= count).then_some(received)
        })
        .await
    }
}

struct Open<'a>(&'a Inner);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.lock().unwrap().0 -= 1;
    }
}

async fn answer(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let received = Received { headers, body };
    // A ping has none.
    let position = received.json()["data"]["position"].as_i64().unwrap_or_default();
    {
        let mut open = inner.open.lock().unwrap();
        open.0 += 1;
        open.1 = open.1.max(open.0);
    }
    let _open = Open(&inner);
    inner.received.lock().unwrap().push(received);
    loop {
        let released = inner.released.notified();
        if !inner.hanging.lock().unwrap().contains(&position) {
            break;
        }
        released.await;
    }
    let status = inner.answers.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}
