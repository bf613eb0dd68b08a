//! How long a change takes to its receivers, at 500 deliveries a second.
//!
//! A client sees no commit; it sees the request before it. From the request to the receiver is therefore more than what
//! the commit's way to the receiver takes, and that is what the targets are held against.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::receiver::now_micros;
use super::stage::Stage;
use super::{Report, WebhooksArgs};
use crate::place::Place;
use crate::steadiness::{Timed, Watch};
use crate::table::{Table, thousands};
use crate::target::Target;

const DELIVERIES_PER_SECOND: f64 = 500.0;
/// What Svix takes on such a machine.
const LIMITS: [Duration; 2] = [Duration::from_micros(3300), Duration::from_millis(10)];
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures.
pub async fn run(binary: &Path, place: &Place, args: &WebhooksArgs) -> Result<Report> {
    let title = format!("from the request to receivers at 500 deliveries/s, {}", place.name());
    let mut table =
        Table::new(&[&title, "events/s", "deliveries", "p50", "p99", "max", "steady p50", "p99", "max", "left out"]);
    let mut targets = Vec::new();
    for webhooks in [args.webhooks, 1] {
        let mut stage = Stage::start(binary, place, webhooks, args.in_flight.max(16)).await?;
        let rate = DELIVERIES_PER_SECOND / webhooks as f64;
        stage.pace(rate, WARM_UP).await?;
        let watch = Watch::begin()?;
        let sent = stage.pace(rate, args.duration() * 3).await?;
        let arrivals = stage.everything_has_come().await?;
        stage.stop().await?;
        let steadiness = watch.end()?;
        let mut timed = Timed::default();
        let (now, now_at) = (Instant::now(), now_micros());
        for (id, sent_at) in &sent {
            let arrivals = arrivals.get(id).context("every message has come")?;
            let begun = now.checked_sub(micros(now_at - sent_at)).context("it was sent since the machine started")?;
            arrivals.iter().for_each(|arrival| timed.add(begun, micros(arrival.at - sent_at)));
        }
        let deliveries = thousands(timed.len() as f64);
        let all = timed.all().percentiles([0.5, 0.99, 1.0]);
        let [p50, p99, max] = timed.steady(&steadiness).percentiles([0.5, 0.99, 1.0]);
        let name = if webhooks == 1 { "one webhook".to_owned() } else { format!("{webhooks} webhooks") };
        let figures = all.into_iter().chain([p50, p99, max]).map(|figure| figure.to_string());
        let left_out = timed.left_out(&steadiness);
        table.row([name.clone(), thousands(rate), deliveries].into_iter().chain(figures).chain([left_out]));
        for (share, figure, limit) in [("p50", p50, LIMITS[0]), ("p99", p99, LIMITS[1])] {
            let what = format!("request to {name} at 500/s, steady, {share}, {}", place.name());
            targets.push(Target::under(what, figure, limit));
        }
    }
    Ok(Report { tables: vec![table], targets })
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}
