//! What a subscription costs that nothing happens to.
//!
//! Counted is the memory of the server's process; what the system keeps for a socket is not in it.

use std::path::Path;

use anyhow::Result;

use super::stage::{Pace, Stage};
use super::{LiveArgs, Report};
use crate::follow::socket::Dial;
use crate::place::Place;
use crate::table::{Table, thousands};
use crate::target::Target;

const SUBSCRIBERS: usize = 10_000;
const MOST_BYTES: f64 = 10.0 * 1024.0;
/// Opened and gone before, so that what is there once is not counted.
const WARM_UP: usize = 200;

/// Measures.
pub async fn run(binary: &Path, place: &Place, args: &LiveArgs) -> Result<Report> {
    let mut stage = Stage::start(binary, place, &[]).await?;
    let mut first = stage.crowd(args.scaled(WARM_UP), Dial::default()).await?;
    let (count, _) = stage.pace(Pace::new(50, args.duration()), first.sender()).await?;
    first.everybody_has(count).await?;
    first.leave().await?;
    let before = stage.tandem.server.usage()?;

    let size = args.scaled(SUBSCRIBERS);
    let mut crowd = stage.crowd(size, Dial::default()).await?;
    // An event to each shows that all of them are there.
    stage.burst(1).await?;
    crowd.everybody_has(1).await?;
    let after = stage.tandem.server.usage()?;
    let each = after.resident_bytes.saturating_sub(before.resident_bytes) as f64 / size as f64;
    crowd.leave().await?;
    stage.stop().await?;

    let title = format!("idle subscriptions, {}", place.name());
    let mut table = Table::new(&[&title, "MiB before", "MiB with them", "bytes each"]);
    let mebibytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1024.0 / 1024.0);
    let figures = [mebibytes(before.resident_bytes), mebibytes(after.resident_bytes), thousands(each)];
    table.row([thousands(size as f64)].into_iter().chain(figures));
    let what = format!("bytes of an idle subscription, {}", place.name());
    Ok(Report { tables: vec![table], targets: vec![Target::at_most(what, thousands(each), each, MOST_BYTES)] })
}
