//! What nodes tell each other on PostgreSQL: that the log has grown.
//!
//! Each node has one connection that listens, and says by it what it has written: one NOTIFY without payload for all that
//! was written since the one before, outside of the write transaction, since inside it would serialise the commits of all
//! nodes. Nothing depends on it but how soon the others know: they look by themselves in any case.
//!
//! A NOTIFY is a transaction, and the listeners that it wakes read the log. So a node that is alone says nothing: whoever
//! listens holds a shared lock, and whoever writes looks now and then whether anybody else does. And nobody wakes up by
//! what he has said himself.

use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Executor};
use tokio::time::Instant;

use crate::database::{self, Database};

/// The channel, which is one for each database.
const CHANNEL: &str = "tandem_log";

/// The two halves of the lock's key: "tand" and "logs" in ASCII.
const LOCK: (u32, u32) = (0x7461_6e64, 0x6c6f_6773);

/// How long it is taken for granted that others listen, or that none do.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The connection to the other nodes.
pub(super) struct Neighbours {
    listener: PgListener,
    /// The number of this connection on the server, which a notification carries.
    number: u32,
    /// When it was last looked for others, and whether there were any.
    looked: Option<(Instant, bool)>,
}

impl Neighbours {
    /// Listens. `None` on SQLite, which has one process.
    pub(super) async fn meet(database: &Database) -> Result<Option<Self>, database::Error> {
        let Some(mut listener) = database.listener().await? else { return Ok(None) };
        // A connection that is made anew would be without the lock.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        let (high, low) = LOCK;
        let lock = format!("SELECT pg_advisory_lock_shared({high}, {low})");
        listener.execute(AssertSqlSafe(lock)).await?;
        let number: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut listener).await?;
        Ok(Some(Self { listener, number: number.unsigned_abs(), looked: None }))
    }

    /// Waits until another node has written, and gives the number of its connection. Nothing is lost if it is dropped.
    ///
    /// # Errors
    /// If the connection breaks: then there are no news by it any more.
    pub(super) async fn news(&mut self) -> Result<u32, database::Error> {
        loop {
            let notification = self.listener.try_recv().await?;
            let lost = || database::Error::Unavailable("the connection that listens has broken".to_owned());
            let teller = notification.ok_or_else(lost)?.process_id();
            if teller != self.number {
                return Ok(teller);
            }
        }
    }

    /// Says to the others, if there are any, that something was written.
    pub(super) async fn tell(&mut self) -> Result<(), database::Error> {
        let are_there = match self.looked {
            Some((at, are_there)) if at.elapsed() < LOOK_INTERVAL => are_there,
            Some(_) | None => self.look().await?,
        };
        if are_there {
            self.listener.execute(AssertSqlSafe(format!("NOTIFY {CHANNEL}"))).await?;
        }
        Ok(())
    }

    /// Whether anybody else listens.
    async fn look(&mut self) -> Result<bool, database::Error> {
        let (high, low) = LOCK;
        let others = format!(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = {high} AND objid = {low} AND \
             pid <> pg_backend_pid() AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
        );
        let are_there = sqlx::query_scalar(AssertSqlSafe(others)).fetch_one(&mut self.listener).await?;
        self.looked = Some((Instant::now(), are_there));
        Ok(are_there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of its own, since the nodes of other tests are neighbours, too.
    async fn database() -> (sqlx::PgPool, String, Database) {
        let url = std::env::var("TEST_POSTGRES_URL").expect("`cargo xtask test` starts a PostgreSQL for the tests");
        let server = sqlx::PgPool::connect(&url).await.unwrap();
        let name = format!("tandem_neighbours_{}", uuid::Uuid::new_v4().simple());
        server.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let (server_url, _) = url.rsplit_once('/').unwrap();
        let database = Database::connect_postgres(&format!("{server_url}/{name}")).await.unwrap();
        (server, name, database)
    }

    #[tokio::test]
    async fn who_is_alone_says_nothing_and_nobody_hears_himself() {
        let (server, name, database) = database().await;
        let mut one = Neighbours::meet(&database).await.unwrap().unwrap();
        assert!(!one.look().await.unwrap());
        one.tell().await.unwrap();
        let mut other = Neighbours::meet(&database).await.unwrap().unwrap();
        assert!(one.look().await.unwrap() && other.look().await.unwrap());
        one.tell().await.unwrap();
        other.tell().await.unwrap();
        // What one has said itself came first.
        assert_eq!(one.news().await.unwrap(), other.number);
        assert_eq!(other.news().await.unwrap(), one.number);
        drop((one, other, database));
        server.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
    }
}
