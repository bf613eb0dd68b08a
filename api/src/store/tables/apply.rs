//! Plans, and does what is planned, in one transaction.

use std::collections::BTreeSet;

use migration::{Migrator, MigratorTrait as _};
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel, SqlErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use super::diff::{self, Diff, Sides};
use super::introspect::Actual;
use super::memory::Memory;
use super::schema::Schema;
use super::{Allowed, Dialect, Error, Plan, Step, ddl, lineage};
use crate::catalog::Catalog;
use crate::catalog::lineage::Era;

/// Key of the advisory lock of PostgreSQL that the planner holds: "tandem" in ASCII.
const LOCK: i64 = 0x7461_6e64_656d;

/// Compares the catalog with the database and changes nothing, not even if the migrations have never run.
pub async fn plan(conn: &DatabaseConnection, catalog: &Catalog, allowed: &Allowed) -> Result<Plan, Error> {
    let dialect = Dialect::of(conn.get_database_backend())?;
    let snapshot = match dialect {
        Dialect::Sqlite => TransactionOptions::default(),
        Dialect::Postgres => TransactionOptions {
            isolation_level: Some(IsolationLevel::RepeatableRead),
            access_mode: Some(AccessMode::ReadOnly),
            ..TransactionOptions::default()
        },
    };
    let transaction = conn.begin_with_options(snapshot).await?;
    let compared = compare(&transaction, dialect, (catalog, allowed)).await;
    transaction.rollback().await?;
    Ok(compared?.plan)
}

/// Makes the tables of the resources fit the catalog and returns what that took. The migrations must have run. If any
/// step is refused or fails, nothing is changed.
///
/// On SQLite the connection must be a pool of one, as SeaORM makes it by default, and nobody else may use it meanwhile:
/// foreign keys are not enforced on it until this has ended.
pub async fn apply(conn: &DatabaseConnection, catalog: &Catalog, allowed: &Allowed) -> Result<Plan, Error> {
    change(conn, (catalog, allowed), false).await
}

/// Runs the migrations of Tandem's own tables and then does what [`apply`] does, all in one transaction. Processes that
/// start at the same time do it one after another.
pub async fn prepare(conn: &DatabaseConnection, catalog: &Catalog, allowed: &Allowed) -> Result<Plan, Error> {
    change(conn, (catalog, allowed), true).await
}

/// What is wanted, and what may be done for it.
type Wanted<'a> = (&'a Catalog, &'a Allowed);

async fn change(conn: &DatabaseConnection, wanted: Wanted<'_>, migrate: bool) -> Result<Plan, Error> {
    let dialect = Dialect::of(conn.get_database_backend())?;
    if dialect == Dialect::Sqlite && conn.get_sqlite_connection_pool().options().get_max_connections() > 1 {
        return Err(Error::SharedConnection);
    }
    // SQLite ignores this inside a transaction. Rebuilding a table drops it, which would count as deleting its rows.
    let enforced = dialect == Dialect::Sqlite && pragma(conn, "foreign_keys").await?;
    if enforced {
        conn.execute_unprepared("PRAGMA foreign_keys = OFF").await?;
    }
    let result = change_in_transaction(conn, dialect, wanted, migrate).await;
    if enforced {
        conn.execute_unprepared("PRAGMA foreign_keys = ON").await?;
    }
    for step in result.iter().flat_map(|plan| &plan.steps) {
        tracing::info!(step = step.title, hazard = step.hazard, "the tables were changed");
    }
    for note in result.iter().flat_map(|plan| &plan.notes) {
        tracing::warn!(note, "the tables are not quite as Tandem made them");
    }
    result
}

async fn pragma(conn: &impl ConnectionTrait, name: &str) -> Result<bool, DbErr> {
    let query = Statement::from_string(conn.get_database_backend(), format!("PRAGMA {name}"));
    let row = conn.query_one_raw(query).await?;
    row.map_or(Ok(false), |row| row.try_get_by_index(0))
}

async fn change_in_transaction(
    conn: &DatabaseConnection,
    dialect: Dialect,
    wanted: Wanted<'_>,
    migrate: bool,
) -> Result<Plan, Error> {
    // On SQLite a transaction that writes from its beginning is itself the lock.
    let options = TransactionOptions {
        sqlite_transaction_mode: (dialect == Dialect::Sqlite).then_some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = conn.begin_with_options(options).await?;
    let result = change_locked(&transaction, dialect, wanted, migrate).await;
    match &result {
        Ok(_) => transaction.commit().await?,
        Err(_) => transaction.rollback().await?,
    }
    result
}

async fn change_locked(
    transaction: &DatabaseTransaction,
    dialect: Dialect,
    wanted: Wanted<'_>,
    migrate: bool,
) -> Result<Plan, Error> {
    if dialect == Dialect::Postgres {
        // Another node may be rewriting a large table. A statement of an ordinary client is not waited for that long:
        // everybody else would queue behind the change.
        transaction.execute_unprepared("SET LOCAL lock_timeout = '10min'").await?;
        transaction.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
        transaction.execute_unprepared("SET LOCAL lock_timeout = '30s'").await?;
    }
    if migrate {
        Migrator::up(transaction, None).await.map_err(Error::Migration)?;
    }
    let Comparison { plan, rebuilt, era, before, after } = compare(transaction, dialect, wanted).await?;
    if plan.refused().next().is_some() {
        return Err(Error::Refused(plan));
    }
    if !rebuilt.is_empty() && pragma(transaction, "foreign_keys").await? {
        return Err(Error::SharedConnection);
    }
    for step in &plan.steps {
        execute(transaction, dialect, step).await?;
    }
    for table in &rebuilt {
        check_foreign_keys(transaction, table).await?;
    }
    if before != after {
        after.write(transaction).await?;
    }
    lineage::write(transaction, &era).await?;
    Ok(plan)
}

async fn execute(transaction: &DatabaseTransaction, dialect: Dialect, step: &Step) -> Result<(), Error> {
    for sql in &step.sql {
        if let Err(source) = transaction.execute_unprepared(sql).await {
            let reason = match source.sql_err() {
                Some(SqlErr::UniqueConstraintViolation(_)) => "there are rows that have the same values".to_owned(),
                Some(SqlErr::ForeignKeyConstraintViolation(_)) => {
                    "there are rows that point at rows which are not there".to_owned()
                }
                _ => source.to_string(),
            };
            return Err(Error::Failed { step: step.title.clone(), reason, source });
        }
    }
    if let Some(backfill) = &step.backfill {
        backfill.run(transaction, dialect).await.map_err(|source| {
            let reason = source.to_string();
            Error::Failed { step: step.title.clone(), reason, source }
        })?;
    }
    Ok(())
}

/// SQLite: what was not enforced meanwhile must hold again before it is committed.
async fn check_foreign_keys(transaction: &DatabaseTransaction, table: &str) -> Result<(), Error> {
    let check = format!("PRAGMA foreign_key_check({})", ddl::quoted(table));
    let query = Statement::from_string(transaction.get_database_backend(), check);
    let Some(row) = transaction.query_one_raw(query).await? else { return Ok(()) };
    let target: String = row.try_get("", "parent")?;
    let reason = format!("rows of {table} point at rows of {target} which are not there");
    let source = DbErr::Custom(reason.clone());
    Err(Error::Failed { step: format!("rebuild {table}"), reason, source })
}

/// The plan, and what there is to remember before and after it.
struct Comparison {
    plan: Plan,
    rebuilt: Vec<String>,
    era: Era,
    before: Memory,
    after: Memory,
}

async fn compare(
    transaction: &DatabaseTransaction,
    dialect: Dialect,
    (catalog, allowed): Wanted<'_>,
) -> Result<Comparison, Error> {
    let wanted = Schema::of(catalog, dialect);
    let before = Memory::read(transaction, dialect).await?;
    let names: BTreeSet<_> =
        wanted.tables.iter().map(|t| t.name.as_str()).chain(before.tables.keys().map(String::as_str)).collect();
    let actual = Actual::read(transaction, dialect, &names).await?;
    let sides = Sides { catalog, wanted: &wanted, memory: &before, actual: &actual, allowed };
    let Diff { plan, rebuilt, era } = diff::diff(transaction, dialect, sides).await?;
    Ok(Comparison { plan, rebuilt, era, after: Memory::of(&wanted), before })
}
