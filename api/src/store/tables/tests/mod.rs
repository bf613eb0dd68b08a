//! The planner against real databases: every case on SQLite and on PostgreSQL.

pub(super) mod catalogs;
mod data;
mod plans;
mod scratch;
mod search;
mod walk;

use std::env;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use uuid::Uuid;

use super::{Allowed, Dialect, Error, Plan};
use crate::catalog::Catalog;

/// A database of a test's own.
struct TestDatabase {
    options: ConnectOptions,
    conn: DatabaseConnection,
    dialect: Dialect,
}

/// Runs the test on a new SQLite database and in a new schema of PostgreSQL.
async fn on_both_databases(test: impl AsyncFn(&TestDatabase)) {
    let url = env::var("TEST_POSTGRES_URL").expect(
        "TEST_POSTGRES_URL is not set: run the tests by `cargo xtask test`, which starts a PostgreSQL for them",
    );

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tandem.db");
    let sqlite = ConnectOptions::new(format!("sqlite://{}?mode=rwc", file.display()));
    on_database(sqlite, Dialect::Sqlite, &test).await;

    let schema = format!("tables_{}", Uuid::new_v4().simple());
    let admin = Database::connect(&url).await.unwrap();
    admin.execute_unprepared(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    let mut postgres = ConnectOptions::new(url);
    postgres.set_schema_search_path(&schema).max_connections(1);
    on_database(postgres, Dialect::Postgres, &test).await;
    admin.execute_unprepared(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
    admin.close().await.unwrap();
}

async fn on_database(options: ConnectOptions, dialect: Dialect, test: &impl AsyncFn(&TestDatabase)) {
    let conn = Database::connect(options.clone()).await.unwrap();
    let database = TestDatabase { options, conn, dialect };
    test(&database).await;
    database.conn.close().await.unwrap();
}

impl TestDatabase {
    /// What differs between the databases.
    fn on<T>(&self, sqlite: T, postgres: T) -> T {
        match self.dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        }
    }

    /// As another process has one.
    async fn connect_again(&self) -> DatabaseConnection {
        Database::connect(self.options.clone()).await.unwrap()
    }

    async fn run(&self, sql: &str) {
        self.conn.execute_unprepared(sql).await.unwrap();
    }

    /// A row with these values, which are SQL, and something in the columns that every table has.
    async fn insert(&self, table: &str, values: &[(&str, &str)]) {
        let id = self.on("randomblob(16)", "gen_random_uuid()");
        let now = self.on("0", "now()");
        let system = [("id", id), ("created_at", now), ("updated_at", now), ("version", "1")];
        let given = values.iter().copied();
        let system = system.into_iter().filter(|(name, _)| !values.iter().any(|(given, _)| given == name));
        let (names, values): (Vec<_>, Vec<_>) = given.chain(system).unzip();
        self.run(&format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "))).await;
    }

    /// A row as `plans.txt` has it: a table, and columns with values in SQL, `column=value` or `column=sqlite|postgres`. Ids
    /// are 1, 2, 3 … by their place, so that plans can name them.
    async fn insert_line(&self, line: &str) {
        let mut words = line.split(' ');
        let table = words.next().unwrap();
        let words: Vec<_> = words.map(|word| word.split_once('=').unwrap()).collect();
        let ids: Vec<_> = words.iter().map(|(name, value)| (*name, self.value(value))).collect();
        let values: Vec<_> = ids.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.insert(table, &values).await;
    }

    fn value(&self, text: &str) -> String {
        if let Some(id) = text.strip_prefix('#') {
            let id = Uuid::from_u128(id.parse().unwrap());
            return self.on(format!("x'{}'", id.simple()), format!("'{id}'"));
        }
        let (sqlite, postgres) = text.split_once('|').unwrap_or((text, text));
        self.on(sqlite, postgres).to_owned()
    }

    /// The first column of all rows, as text.
    async fn query(&self, sql: &str) -> Vec<Option<String>> {
        let query = Statement::from_string(self.conn.get_database_backend(), sql);
        let rows = self.conn.query_all_raw(query).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    async fn prepare(&self, catalog: &Catalog) -> Plan {
        self.try_prepare(catalog).await.unwrap()
    }

    async fn try_prepare(&self, catalog: &Catalog) -> Result<Plan, Error> {
        super::prepare(&self.conn, catalog, &Allowed::default()).await
    }

    async fn plan(&self, catalog: &Catalog) -> Plan {
        super::plan(&self.conn, catalog, &Allowed::default()).await.unwrap()
    }

    /// Steps allowed by these names make the tables those of the catalog; gives their titles.
    async fn allow(&self, catalog: &Catalog, names: &str) -> Vec<String> {
        let allowed: Allowed = names.parse().unwrap();
        let planned = super::plan(&self.conn, catalog, &allowed).await.unwrap();
        let done = super::prepare(&self.conn, catalog, &allowed).await;
        assert_eq!(done.unwrap_or_else(|error| panic!("{error}")), planned);
        assert_eq!(self.prepare(catalog).await, Plan::default(), "then they fit");
        planned.steps.into_iter().map(|step| step.title).collect()
    }

    /// What changes of the resource file mean for older events.
    async fn eras(&self) -> Vec<serde_json::Value> {
        let documents = self.query("SELECT document FROM tandem_lineage ORDER BY id").await;
        documents.iter().map(|text| serde_json::from_str(text.as_deref().unwrap()).unwrap()).collect()
    }

    /// All definitions and what the planner remembers, as far as tests change them.
    async fn dump(&self) -> Vec<Option<String>> {
        let definitions = self.on(
            "SELECT name || coalesce(sql, '') FROM sqlite_schema ORDER BY 1",
            "SELECT concat_ws(' ', table_name, column_name, data_type, numeric_precision, is_nullable, column_default)
             FROM information_schema.columns WHERE table_schema = current_schema()
             UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1",
        );
        let mut dump = self.query(definitions).await;
        let migrated = self.on(
            "SELECT name FROM sqlite_schema WHERE name = 'tandem_catalog'",
            "SELECT to_regclass('tandem_catalog')::text",
        );
        if self.query(migrated).await.iter().any(Option::is_some) {
            dump.extend(self.query("SELECT document FROM tandem_catalog").await);
        }
        dump
    }
}
