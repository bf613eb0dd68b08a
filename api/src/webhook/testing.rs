//! What the tests of this module share: a database with a log, a document that is easy to predict, and a receiver.

mod fake;
mod place;
mod receiver;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use entity::{EventId, Position, TransactionId, WebhookId};
use http::HeaderValue;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::fake::{FakeRender, catalog};
use self::place::Place;
pub use self::receiver::{Received, Receiver};
use super::clock::Clock;
use super::dispatcher::{Dispatcher, Parts, Settings};
use super::egress::{AllowList, Guard};
use super::group::Groups;
use super::keys::Signer;
use super::registry::{self, Document, NewWebhook, Registry};
use super::send::Sender;
use super::sending::SendingInput;
use super::target::Targets;
use super::vault::Vault;
use super::{Wake, Webhook};
use crate::auth::Principal;
use crate::catalog::Catalog;
use crate::catalog::datum::now_micros;
use crate::database::{Database, Dialect, Record, Sql};
use crate::log::Hub;
use crate::metrics::Metrics;
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
    pub vault: Vault,
    pub owner: Arc<Principal>,
    reading: JoinSet<()>,
    place: Place,
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
        let vault = Vault::new(&[[7; 32]]).unwrap();
        let registry = Registry::new(registry::Parts {
            database: database.clone(),
            writer: writer.clone(),
            catalog: Arc::clone(&catalog),
            render: Arc::new(FakeRender),
            guard: Guard::new(AllowList::loopback()),
            wake: wake.clone(),
            vault: vault.clone(),
            settings: registry::Settings::default(),
        });
        let owner = Arc::new(principal("ada", false));
        Self { database, writer, hub, catalog, registry, wake, vault, owner, reading, place }
    }

    pub async fn close(mut self) {
        self.reading.shutdown().await;
        self.place.administer("DROP SCHEMA", "CASCADE").await;
    }

    fn sql(&self, text: &str) -> Sql {
        Sql::text(self.database.dialect(), text)
    }

    /// Appends events about one row to the log, as one transaction.
    pub async fn append(&self, count: i64) {
        let row = Uuid::now_v7();
        self.append_about(&vec![row; count as usize]).await;
    }

    /// Appends an event about each of these rows to the log, as one transaction.
    pub async fn append_about(&self, rows: &[Uuid]) {
        let mut statements = Vec::new();
        for (n, row) in rows.iter().enumerate() {
            statements.push(self.sql("UPDATE tandem_head SET position = position + 1"));
            let mut sql = self.sql(
                "INSERT INTO tandem_event (position, id, transaction_id, type, row_id, version, kind, changed_fields, at) \
                 SELECT position, ",
            );
            sql.bind(EventId::new().get()).push(", ").bind(TransactionId::new().get()).push(", 'Product', ").bind(*row);
            sql.push(", ").bind(n as i64 + 1).push(", 'UPDATED', '[\"name\"]', 1769860800123456 FROM tandem_head");
            statements.push(sql);
        }
        self.writer.statements(statements).await.unwrap();
        self.hub.written(&[]);
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
        self.create_sending(receiver, query, max_in_flight, SendingInput::default()).await
    }

    pub async fn create_sending(
        &self,
        receiver: &Receiver,
        query: &str,
        max_in_flight: i64,
        sending: SendingInput,
    ) -> Webhook {
        let new = NewWebhook {
            url: receiver.url(),
            document: Document { query: Some(query.to_owned()), ..Document::default() },
            description: None,
            headers: Vec::new(),
            max_in_flight,
            sending,
            verify: false,
        };
        let created = self.registry.create(&self.owner, new, None).await.unwrap();
        self.webhook(created.webhook.id).await
    }

    /// What a webhook signs with.
    pub fn signer(&self, webhook: &Webhook) -> Signer {
        webhook.keys.open(&self.vault, webhook.id).unwrap().current().clone()
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

    /// Number, status of the answer and code of the error of every attempt, by delivery.
    pub async fn attempts(&self) -> Vec<(i64, Option<i64>, Option<String>)> {
        let sql = "SELECT id, CAST(1 AS bigint) AS number, CAST(first_status_code AS bigint), first_error_code \
                   FROM tandem_delivery WHERE first_started_at IS NOT NULL UNION ALL \
                   SELECT delivery_id, CAST(number AS bigint), CAST(status_code AS bigint), error_code FROM tandem_attempt \
                   ORDER BY id, number";
        let read = |r: &Record| (r.need_int(1).unwrap(), r.int(2).unwrap(), r.text(3).unwrap());
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
        self.dispatch_by(schedule, Clock::starting_at(now_micros()))
    }

    /// Starts a dispatcher that goes by this clock.
    pub fn dispatch_by(&self, schedule: &str, clock: Clock) -> Dispatching {
        self.start(clock, Settings { schedule: schedule.parse().unwrap(), ..Settings::default() })
    }

    /// Starts a dispatcher that may have so many requests in flight.
    pub fn dispatch_with(&self, schedule: &str, max_in_flight: usize) -> Dispatching {
        let settings = Settings { schedule: schedule.parse().unwrap(), max_in_flight, ..Settings::default() };
        self.start(Clock::starting_at(now_micros()), settings)
    }

    /// What is sent for each webhook.
    pub fn targets(&self) -> Targets {
        let groups = Groups::new(Arc::new(FakeRender), self.hub.clone(), Arc::clone(&self.catalog));
        Targets::new(groups, self.vault.clone(), HeaderValue::from_static("localhost"))
    }

    fn start(&self, clock: Clock, settings: Settings) -> Dispatching {
        let metrics = Metrics::default();
        let parts = Parts {
            database: self.database.clone(),
            writer: self.writer.clone(),
            hub: self.hub.clone(),
            catalog: Arc::clone(&self.catalog),
            targets: self.targets(),
            sender: Sender::new(Guard::new(AllowList::loopback())).unwrap(),
            wake: self.wake.clone(),
            clock,
            metrics: metrics.clone(),
        };
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(Dispatcher::new(parts, settings).run(stop.clone()));
        Dispatching { metrics, task, stop }
    }
}

/// A running dispatcher. Dropping it kills it.
pub struct Dispatching {
    pub metrics: Metrics,
    task: JoinSet<()>,
    stop: CancellationToken,
}

impl Dispatching {
    /// A number among the metrics: the line that begins with this, without labels that it does not name.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.metrics.text();
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }

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
