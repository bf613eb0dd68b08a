//! kill -9 while ten webhooks send, one of them slow: what was accepted and recorded is not sent again, everything else is.
//!
//! What a server has sent in its life is known exactly: after its death the connections end, and then what the receivers have
//! is all that it sent. What it recorded is read from the database, which stands still then. From both follows what the next
//! one may send again: only what was sent and not recorded, each once.
//!
//! `TANDEM_TEST_WEBHOOK_KILLS` says how many rounds there are.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, Statement};
use serde_json::json;
use tandem_tests::client::{text, user_errors};
use tandem_tests::receiver::{Answer, register};
use tandem_tests::shop::{CREATE_PRODUCT, product};
use tandem_tests::{Backend, Caller, Case, Client, Receiver, Server, on_both, seed, wait};
use tokio::time::Instant;

use super::QUERY;

on_both!(kills_repeat_only_what_was_not_recorded);

const KILLS: usize = 8;
const WEBHOOKS: usize = 10;
const MAX_IN_FLIGHT: usize = 8;
/// From when a server is ready again to the first message of each webhook that has any. It is a promise, so it is held here.
const FIRST_RESEND: Duration = Duration::from_secs(5);

fn kills() -> usize {
    std::env::var("TANDEM_TEST_WEBHOOK_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS)
}

async fn kills_repeat_only_what_was_not_recorded(case: &Case) {
    let mut dice = StdRng::seed_from_u64(seed());
    let mut server = case.server().await;
    let mut hooks = Vec::new();
    for number in 0..WEBHOOKS {
        hooks.push(Hook::new(&server, number == 0).await);
    }
    let (mut written, mut slowest, mut lost_records) = (HashSet::new(), Duration::ZERO, 0);
    for round in 0..kills() {
        let admin = server.client(&Caller::admin());
        let receiver = &hooks[dice.random_range(1..WEBHOOKS)].receiver;
        let (count, before) = (dice.random_range(1..40), receiver.count());
        for number in 0..count {
            written.insert(create(&admin, &format!("R{round}-{number}")).await);
        }
        create_refused(&admin, &format!("NEVER-{round}")).await;
        // Any moment: before the first of them is sent, while webhooks are claimed, while they send, while they record.
        receiver.requests(before + dice.random_range(0..=count)).await;
        server.kill9().await;
        let recorded = recorded(case).await;
        for hook in &mut hooks {
            hook.died(recorded.get(&hook.receiver.url())).await;
            lost_records += hook.unrecorded.len();
        }
        server.restart().await;
        let ready_at = Instant::now();
        // Every other server is killed as soon as something of it arrives somewhere, or sooner.
        if round % 2 == 0 {
            for hook in hooks.iter().filter(|hook| hook.has_more(written.len())) {
                let came = hook.receiver.requests_before(hook.seen + 1, ready_at + FIRST_RESEND).await;
                assert!(came, "nothing within {FIRST_RESEND:?} of the restart for {}", hook.tell(written.len()));
                slowest = slowest.max(ready_at.elapsed());
            }
        }
    }
    let mut repeated = Vec::new();
    for hook in &mut hooks {
        repeated.push(hook.finish(case, &written).await);
    }
    let (total, most) = (repeated.iter().map(|(total, _)| total).sum::<usize>(), repeated.iter().map(|(_, most)| most));
    eprintln!(
        "{} kills, {} events to {WEBHOOKS} webhooks: {total} messages came twice, of {lost_records} that were sent and not \
         recorded at a kill, at most {} of one webhook at one kill; the first ones after {slowest:?} at most",
        kills(),
        written.len(),
        most.max().expect("there are webhooks"),
    );
}

/// A webhook and its receiver.
struct Hook {
    receiver: Receiver,
    secret: String,
    /// Requests of servers that are dead.
    seen: usize,
    /// The messages that these sent, by their numbers.
    sent: HashSet<i64>,
    /// Of these, what they did not record.
    unrecorded: HashSet<i64>,
    /// Messages that came again in the life of the last server, at most.
    most_repeated: usize,
}

impl Hook {
    async fn new(server: &Server, is_slow: bool) -> Self {
        let receiver = match is_slow {
            true => Receiver::behaving(|count| Answer::OK.after_ms(50 + count as u64 % 100)).await,
            false => Receiver::start().await,
        };
        let input = json!({"url": receiver.url(), "query": QUERY, "maxInFlight": MAX_IN_FLIGHT});
        let (_, secret) = register(&server.client(&Caller::admin()), input).await;
        let (sent, unrecorded) = (HashSet::new(), HashSet::new());
        Self { receiver, secret, seen: 0, sent, unrecorded, most_repeated: 0 }
    }

    /// Takes what the server sent in its life, which has ended, and compares it with what those before had sent.
    async fn died(&mut self, recorded: Option<&HashSet<i64>>) {
        self.receiver.deserted().await;
        self.take();
        let is_recorded = |number: &i64| recorded.is_some_and(|recorded| recorded.contains(number));
        self.unrecorded = self.sent.iter().copied().filter(|number| !is_recorded(number)).collect();
    }

    /// Whether the next server has something to send, of so many messages.
    fn has_more(&self, written: usize) -> bool {
        self.sent.len() < written || !self.unrecorded.is_empty()
    }

    fn tell(&self, written: usize) -> String {
        let (sent, unrecorded) = (self.sent.len(), self.unrecorded.len());
        format!("{}: of {written} messages {sent} were sent, {unrecorded} of them not recorded", self.receiver.url())
    }

    fn take(&mut self) {
        let life = self.receiver.since(self.seen);
        self.seen += life.len();
        let (mut sent, mut repeated) = (HashSet::new(), 0);
        for request in life {
            request.assert_signed(&self.secret);
            let number = request.sequence();
            assert!(sent.insert(number), "one server has sent message {number} twice");
            if self.sent.contains(&number) {
                assert!(self.unrecorded.contains(&number), "message {number} came again after it was recorded");
                repeated += 1;
            }
        }
        assert!(repeated <= self.unrecorded.len());
        self.most_repeated = self.most_repeated.max(repeated);
        self.sent.extend(sent);
    }

    fn has_all(&self, written: &HashSet<String>) -> bool {
        let ids: HashSet<_> = self.receiver.received().into_iter().map(|request| request.id).collect();
        written.iter().all(|id| ids.contains(id))
    }

    /// Fails unless it got all that was written, and nothing else. How many messages came again, and how many in the life of
    /// one server.
    async fn finish(&mut self, case: &Case, written: &HashSet<String>) -> (usize, usize) {
        // After many kills a slow receiver has much before it: it may take its time as long as more comes.
        let (mut count, mut since) = (self.receiver.count(), Instant::now());
        while !self.has_all(written) {
            if self.receiver.count() > count {
                (count, since) = (self.receiver.count(), Instant::now());
            }
            if since.elapsed() > wait::DEADLINE {
                panic!("nothing comes any more:\n{}", waiting(case).await.join("\n"));
            }
            self.receiver.requests_before(count + 1, Instant::now() + Duration::from_secs(1)).await;
        }
        self.take();
        self.receiver.assert_stable();
        let mut times: HashMap<String, usize> = HashMap::new();
        for request in self.receiver.received() {
            assert!(written.contains(&request.id), "{} was sent and never written", request.id);
            *times.entry(request.id).or_default() += 1;
        }
        (times.values().map(|count| count - 1).sum(), self.most_repeated)
    }
}

async fn create(admin: &Client, name: &str) -> String {
    let payload = admin.done(CREATE_PRODUCT, product(name)).await;
    text(&payload["change"]["id"])
}

/// A mutation that is rolled back: nobody may ever hear of it.
async fn create_refused(admin: &Client, name: &str) {
    let mut input = product(name);
    input["price"] = json!("-1.00");
    let data = admin.data(CREATE_PRODUCT, json!({"input": input})).await;
    assert_eq!(user_errors(&data["createProduct"]).len(), 1);
}

/// What a server has begun to commit when it is killed may be committed after it: its sessions end by themselves.
async fn until_still(database: &DatabaseConnection) {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    wait::until("the sessions of the server end", async || {
        let row = database.query_one_raw(Statement::from_string(DatabaseBackend::Postgres, sql)).await.ok()??;
        (row.try_get_by_index::<i64>(0).ok()? == 0).then_some(())
    })
    .await;
}

/// The numbers of the messages that are recorded as accepted, by the URLs of their webhooks.
async fn recorded(case: &Case) -> HashMap<String, HashSet<i64>> {
    // One session, so that it does not wait for another one of its own.
    let mut options = ConnectOptions::new(case.database_url());
    options.max_connections(1);
    let database = Database::connect(options).await.expect("nobody else has it open");
    let backend = match case.backend {
        Backend::Sqlite => DatabaseBackend::Sqlite,
        Backend::Postgres => DatabaseBackend::Postgres,
    };
    if case.backend == Backend::Postgres {
        until_still(&database).await;
    }
    let sql = "SELECT w.url, d.sequence FROM tandem_delivery AS d JOIN tandem_webhook AS w ON w.id = d.webhook_id \
               WHERE d.status = 'SUCCEEDED'";
    let rows = database.query_all_raw(Statement::from_string(backend, sql)).await.expect("the tables are there");
    let mut found: HashMap<String, HashSet<i64>> = HashMap::new();
    for row in rows {
        let url: String = row.try_get_by_index(0).expect("a text");
        found.entry(url).or_default().insert(row.try_get_by_index(1).expect("a number"));
    }
    database.close().await.expect("a connection without open work closes");
    found
}

/// What the database says of the webhooks, and of the deliveries that wait, for people.
async fn waiting(case: &Case) -> Vec<String> {
    let database = Database::connect(case.database_url()).await.expect("the database is there");
    let backend = database.get_database_backend();
    let mut told = Vec::new();
    for sql in [
        "SELECT 'head ' || position FROM tandem_head",
        "SELECT url || ' ' || status || ' position ' || position || ' sequence ' || sequence || ' failures ' || failures || \
         ' attempts ' || attempts || ' ' || COALESCE(last_error_message, '') FROM tandem_webhook",
        "SELECT w.url || ' waits ' || d.position || ' attempts ' || d.attempts || ' due ' || COALESCE(d.next_attempt_at, 0) || \
         ' updated ' || d.updated_at FROM tandem_delivery AS d JOIN tandem_webhook AS w ON w.id = d.webhook_id \
         WHERE d.status <> 'SUCCEEDED'",
        "SELECT w.url || ' lacks ' || e.position FROM tandem_webhook AS w, tandem_event AS e WHERE e.position <= w.position \
         AND NOT EXISTS (SELECT 1 FROM tandem_delivery AS d WHERE d.webhook_id = w.id AND d.position = e.position)",
    ] {
        let rows = database.query_all_raw(Statement::from_string(backend, sql)).await.expect("the tables are there");
        told.extend(rows.iter().filter_map(|row| row.try_get_by_index::<String>(0).ok()).take(40));
    }
    told
}
