//! Everybody is thrown out, something happens meanwhile, and everybody comes back within seconds and goes on from their
//! cursor.
//!
//! What they missed is in the hub's ring, so nobody has to ask the database for it. PostgreSQL counts how often the
//! table of events is looked at; SQLite does not.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::stage::{Pace, Stage};
use super::{LiveArgs, Report};
use crate::follow::socket::Dial;
use crate::place::Place;
use crate::table::{Table, thousands};
use crate::target::Target;

const SUBSCRIBERS: usize = 10_000;
const WITHIN: Duration = Duration::from_secs(10);
/// While they are away.
const MISSED: usize = 50;
/// While they come back.
const WRITES_PER_SECOND: u64 = 5;
/// After the last one has come back.
const PATIENCE: Duration = Duration::from_secs(2);
/// Looks at the table of events: the hub's own, for what is written meanwhile.
const MOST_READS: f64 = 1_000.0;

/// Measures.
pub async fn run(binary: &Path, place: &Place, args: &LiveArgs) -> Result<Report> {
    let mut stage = Stage::start(binary, place, &[]).await?;
    let size = args.scaled(SUBSCRIBERS);
    let mut crowd = stage.crowd(size, Dial::default()).await?;
    stage.burst(1).await?;
    crowd.everybody_has(1).await?;
    crowd.leave().await?;
    stage.burst(MISSED).await?;
    let counter = Reads::of(&stage, place).await?;
    let before = counter.count().await?;

    let started = Instant::now();
    crowd.come_back(WITHIN);
    let during = Pace::new(WRITES_PER_SECOND, WITHIN);
    let (written, _) = stage.pace(during, crowd.sender()).await?;
    let last = crowd.everybody_has(1 + MISSED + written).await?;
    let reads = counter.count().await?.zip(before).map(|(after, before)| after - before);
    let elapsed = last - started;
    let late = elapsed.saturating_sub(WITHIN);
    let usage = stage.tandem.server.usage()?;
    stage.stop().await?;

    let title = format!("a storm of reconnects, {}", place.name());
    let mut table = Table::new(&[&title, "missed", "all have all after", "looks at the log", "MiB at most"]);
    let looks = reads.map_or_else(|| "–".to_owned(), |reads| thousands(reads as f64));
    let peak = thousands(usage.peak_bytes as f64 / 1024.0 / 1024.0);
    let figures = [thousands((MISSED * size) as f64), format!("{:.2} s", elapsed.as_secs_f64()), looks, peak];
    table.row([format!("{} in {} s", thousands(size as f64), WITHIN.as_secs())].into_iter().chain(figures));
    let what = format!("{size} reconnects: after the last one all is there, {}", place.name());
    let mut targets = vec![Target::under_seconds(what, late, PATIENCE)];
    if let Some(reads) = reads {
        let what = format!("{size} reconnects: looks at the log, {}", place.name());
        targets.push(Target::at_most(what, thousands(reads as f64), reads as f64, MOST_READS));
    }
    Ok(Report { tables: vec![table], targets })
}

/// How often the table of events has been looked at.
enum Reads {
    Unknown,
    Counted(DatabaseConnection),
}

impl Reads {
    async fn of(stage: &Stage, place: &Place) -> Result<Self> {
        Ok(match place {
            Place::Sqlite => Self::Unknown,
            Place::Postgres { .. } => Self::Counted(stage.tandem.database().await?),
        })
    }

    async fn count(&self) -> Result<Option<i64>> {
        const COUNT: &str = "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'tandem_event'";
        let Self::Counted(database) = self else { return Ok(None) };
        // Sessions report what they did at most once a second.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let row = database.query_one_raw(Statement::from_string(DbBackend::Postgres, COUNT)).await?;
        Ok(Some(row.context("there is a table of events")?.try_get_by_index(0)?))
    }
}
