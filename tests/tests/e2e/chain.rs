//! The chain: what the clients were told, the log and the rows are one story, whatever happens at the same time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tandem_tests::client::{number, text};
use tandem_tests::shop::{self, CREATE_PRODUCT, DELETE_PRODUCT, Entry, UPDATE_PRODUCT};
use tandem_tests::{Caller, Case, Client, on_both, seed};

const CLIENTS: usize = 32;
const MUTATIONS: usize = 10_000;
const SHARED_ROWS: usize = 20;

on_both!(ten_thousand_mutations_make_one_gapless_log);

/// What a client was told about a mutation of its own that succeeded.
struct Told {
    event: String,
    position: i64,
    node: String,
    kind: String,
    version: i64,
    /// What it wrote into the name; `None` for a delete.
    name: Option<String>,
}

async fn ten_thousand_mutations_make_one_gapless_log(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let seed = seed();
    let mut shared = Vec::new();
    for number in 0..SHARED_ROWS {
        shared.push(shop::add_product(&admin, &format!("SHARED-{number}")).await);
    }
    let shared = Arc::new(shared);
    let stranger = server.client(&Caller::user("stranger"));
    let clients = (0..CLIENTS).map(|number| {
        let worker = Worker {
            number,
            admin: admin.clone(),
            stranger: stranger.clone(),
            shared: shared.clone(),
            random: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
            own: Vec::new(),
            told: Vec::new(),
            failed: 0,
        };
        let share = MUTATIONS / CLIENTS + usize::from(number < MUTATIONS % CLIENTS);
        tokio::spawn(worker.run(share))
    });
    let mut workers = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        workers.push(client.await.expect("a client got an answer that it did not expect"));
    }

    let log = shop::log(&admin).await;
    shop::assert_sound(&log);
    let failed: usize = workers.iter().map(|worker| worker.failed).sum();
    let told: usize = workers.iter().map(|worker| worker.told.len()).sum();
    assert_eq!(told + failed, MUTATIONS);
    assert!(failed > MUTATIONS / 10, "the load has failures among its mutations: {failed}");
    assert_eq!(log.len(), told + SHARED_ROWS, "one event for each mutation that succeeded, none for one that failed");
    let by_id: HashMap<&str, &Entry> = log.iter().map(|entry| (entry.id.as_str(), entry)).collect();
    assert_eq!(by_id.len(), log.len(), "ids are unique");
    for worker in &workers {
        assert_told_what_is_logged(worker, &by_id);
    }
    assert_rows_are_what_the_log_says(case, &log).await;
}

/// Every answer is in the log as it was given, and a client's own mutations are there in the order in which it made them.
fn assert_told_what_is_logged(worker: &Worker, log: &HashMap<&str, &Entry>) {
    let mut last = 0;
    for told in &worker.told {
        let entry = log.get(told.event.as_str()).unwrap_or_else(|| panic!("{} is not in the log", told.event));
        assert_eq!(
            (entry.position, &entry.node, &entry.kind, entry.version),
            (told.position, &told.node, &told.kind, told.version)
        );
        assert!(entry.position > last, "client {} sees its mutations in its own order", worker.number);
        last = entry.position;
        assert_eq!(entry.after["name"].as_str(), told.name.as_deref(), "{entry:?}");
    }
}

/// The table and the head row, read past the server.
async fn assert_rows_are_what_the_log_says(case: &Case, log: &[Entry]) {
    let database = case.database().await;
    let statement = |sql: &str| Statement::from_string(database.get_database_backend(), sql);
    let mut expected: HashMap<&str, (Value, i64)> = HashMap::new();
    for entry in log {
        match entry.kind.as_str() {
            "DELETED" => drop(expected.remove(entry.node.as_str())),
            _ => drop(expected.insert(&entry.node, (entry.after["name"].clone(), entry.version))),
        }
    }
    let mut expected: Vec<(String, i64)> = expected.values().map(|(name, version)| (text(name), *version)).collect();
    expected.sort();
    let rows = database.query_all_raw(statement("SELECT name, version FROM product")).await;
    let rows = rows.expect("the table of products can be read");
    let mut found: Vec<(String, i64)> = Vec::new();
    for row in rows {
        let version: i32 = row.try_get("", "version").expect("a version is a 32-bit number");
        found.push((row.try_get("", "name").expect("a name is text"), i64::from(version)));
    }
    found.sort();
    assert_eq!(found, expected, "the rows are what the log says");
    let head = database.query_one_raw(statement("SELECT position FROM tandem_head")).await;
    let head: i64 =
        head.expect("the head can be read").expect("there is a head").try_get("", "position").expect("BIGINT");
    assert_eq!(head, log.len() as i64, "the head is the last position");
}

struct Worker {
    number: usize,
    admin: Client,
    stranger: Client,
    shared: Arc<Vec<String>>,
    random: StdRng,
    /// Rows that this client made and has not deleted, with their versions.
    own: Vec<(String, i64)>,
    told: Vec<Told>,
    failed: usize,
}

impl Worker {
    async fn run(mut self, mutations: usize) -> Self {
        for sequence in 0..mutations {
            self.step(sequence).await;
        }
        let unique: HashSet<&str> = self.told.iter().map(|told| told.event.as_str()).collect();
        assert_eq!(unique.len(), self.told.len(), "each mutation has an event of its own");
        self
    }

    async fn step(&mut self, sequence: usize) {
        let name = format!("client {} mutation {sequence}", self.number);
        let sku = format!("C{}-{sequence}", self.number);
        match self.random.random_range(0..100) {
            0..35 => self.create(&sku, &name).await,
            35..55 => self.update_own(&name).await,
            55..70 => {
                let row = self.shared[self.random.random_range(0..SHARED_ROWS)].clone();
                self.succeed(UPDATE_PRODUCT, json!({"id": row, "patch": {"name": name}}), Some(name)).await;
            }
            70..78 => self.delete_own().await,
            78..84 => self.fail("PATTERN_MISMATCH", json!({"sku": "no sku", "name": name, "price": "1.00"})).await,
            84..90 => self.fail("NOT_UNIQUE", json!({"sku": "SHARED-0", "name": name, "price": "1.00"})).await,
            90..95 => self.conflict(&name).await,
            _ => {
                let input = json!({"sku": sku, "name": name, "price": "1.00"});
                let response = self.stranger.response(CREATE_PRODUCT, json!({"input": input})).await;
                assert!(response["data"]["createProduct"]["product"].is_null(), "not for strangers: {response}");
                self.failed += 1;
            }
        }
    }

    async fn create(&mut self, sku: &str, name: &str) {
        let input = json!({"sku": sku, "name": name, "price": "1.00"});
        let node = self.succeed(CREATE_PRODUCT, input, Some(name.to_owned())).await;
        self.own.push((node, 1));
    }

    async fn update_own(&mut self, name: &str) {
        let Some(index) = self.any_own() else { return self.create(&self.new_sku(name), name).await };
        let (row, version) = self.own[index].clone();
        let input = json!({"id": row, "patch": {"name": name}, "ifVersion": version});
        self.succeed(UPDATE_PRODUCT, input, Some(name.to_owned())).await;
        self.own[index].1 += 1;
    }

    async fn delete_own(&mut self) {
        let Some(index) = self.any_own() else {
            let input = json!({"id": "product_00000000000000000000000000"});
            let errors = self.admin.refused(DELETE_PRODUCT, input).await;
            assert_eq!(errors[0].0, "NOT_FOUND");
            self.failed += 1;
            return;
        };
        let (row, _) = self.own.swap_remove(index);
        self.succeed(DELETE_PRODUCT, json!({"id": row}), None).await;
    }

    async fn conflict(&mut self, name: &str) {
        let row = self.shared[self.random.random_range(0..SHARED_ROWS)].clone();
        let input = json!({"id": row, "patch": {"name": name}, "ifVersion": 1_000_000});
        let errors = self.admin.refused(UPDATE_PRODUCT, input).await;
        assert_eq!(errors[0].0, "VERSION_CONFLICT");
        self.failed += 1;
    }

    async fn fail(&mut self, code: &str, input: Value) {
        let errors = self.admin.refused(CREATE_PRODUCT, input).await;
        assert_eq!(errors, [(code.to_owned(), "sku".to_owned())]);
        self.failed += 1;
    }

    async fn succeed(&mut self, mutation: &str, input: Value, name: Option<String>) -> String {
        let payload = self.admin.done(mutation, input).await;
        let change = &payload["change"];
        let id = payload.get("deletedProductId").unwrap_or(&payload["product"]["id"]);
        self.told.push(Told {
            event: text(&change["id"]),
            position: number(&change["position"]),
            node: text(id),
            kind: text(&change["kind"]),
            version: number(&change["version"]),
            name,
        });
        text(id)
    }

    fn any_own(&mut self) -> Option<usize> {
        (!self.own.is_empty()).then(|| self.random.random_range(0..self.own.len()))
    }

    fn new_sku(&self, name: &str) -> String {
        format!("N{}", name.replace(|c: char| !c.is_ascii_digit(), "-"))
    }
}
