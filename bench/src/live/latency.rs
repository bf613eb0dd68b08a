//! How long a change takes to those who watch: writes at a steady rate, and more and more subscribers of one group.
//!
//! A client sees no commit; it sees the request before it. From the request to the subscriber is therefore more than
//! what the commit's way to the subscriber takes, and that is what the target is held against.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::stage::{Pace, Stage};
use super::{LiveArgs, Report};
use crate::follow::socket::Dial;
use crate::place::Place;
use crate::table::{Table, thousands};
use crate::target::Target;

/// Subscribers, and writes per second: never so many that the client is the one who is measured.
const STEPS: [(usize, u64); 4] = [(1, 200), (100, 200), (1_000, 100), (5_000, 20)];
/// The number of subscribers that has a target.
const PROMISED: usize = 100;
const LIMIT: Duration = Duration::from_millis(25);
/// Writes that are not counted.
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures.
pub async fn run(binary: &Path, place: &Place, args: &LiveArgs) -> Result<Report> {
    let mut stage = Stage::start(binary, place, &[]).await?;
    let title = format!("from the request to subscribers, {}", place.name());
    let mut table = Table::new(&[&title, "writes/s", "deliveries", "p50", "p99", "max"]);
    let mut targets = Vec::new();
    for (subscribers, rate) in STEPS {
        let size = args.scaled(subscribers);
        let mut crowd = stage.crowd(size, Dial::default()).await?;
        let (warm_up, _) = stage.pace(Pace::new(rate, WARM_UP), crowd.sender()).await?;
        crowd.everybody_has(warm_up).await?;
        crowd.latencies();
        let (count, per_second) = stage.pace(Pace::new(rate, args.duration()), crowd.sender()).await?;
        crowd.everybody_has(warm_up + count).await?;
        let latencies = crowd.latencies();
        let deliveries = thousands(latencies.len() as f64);
        let [p50, p99, max] = latencies.percentiles([0.5, 0.99, 1.0]);
        let figures = [p50, p99, max].map(|figure| figure.to_string());
        let name = format!("{} of one group", thousands(size as f64));
        table.row([name, thousands(per_second), deliveries].into_iter().chain(figures));
        if subscribers == PROMISED {
            let what = format!("request to {size} subscribers, p99, {}", place.name());
            targets.push(Target::under(what, p99, LIMIT));
        }
    }
    stage.stop().await?;
    Ok(Report { tables: vec![table], targets })
}
