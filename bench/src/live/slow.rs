//! Some of the subscribers stop reading. The others must not notice, the server must not grow, and the slow ones are told
//! so (1013), come back, and miss nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::stage::{Pace, Stage};
use super::{LiveArgs, Report};
use crate::follow::socket::Dial;
use crate::latency::Millis;
use crate::place::Place;
use crate::rounds::Rounds;
use crate::table::{Table, thousands};
use crate::target::Target;

const SUBSCRIBE: &str =
    "subscription($after: String) { productChanged(after: $after) { kind cursor after { id sku tags version } } }";
const SUBSCRIBERS: usize = 1_000;
const SLOW: usize = SUBSCRIBERS / 10;
/// Large events fill the buffers of the system soon.
const PADDING_BYTES: usize = 12 * 1024;
const WRITES_PER_SECOND: u64 = 20;
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// Of what it was.
const MOST: f64 = 1.2;
/// The ring of the hub (128 MiB), and for each slow one what is collected before it is written (128 KiB and one event).
const MOST_GROWTH_MEBIBYTES: f64 = 128.0 + (128 + PADDING_BYTES / 1024) as f64 / 1024.0 * SLOW as f64;

/// Measures.
pub async fn run(binary: &Path, place: &Place, args: &LiveArgs) -> Result<Report> {
    let timeout = format!("{}ms", WRITE_TIMEOUT.as_millis());
    let mut stage = Stage::start(binary, place, &["--live-write-timeout", &timeout]).await?;
    let (size, slow_size) = (args.scaled(SUBSCRIBERS), args.scaled(SLOW));
    let mut others = stage.crowd_asking(SUBSCRIBE, size - slow_size, Dial::default()).await?;
    let dial = Dial { is_far: true, ..Dial::default() };
    let mut slow = stage.crowd_asking(SUBSCRIBE, slow_size, dial).await?;
    // Long enough that the slow ones are found out while the others are measured, and short enough that they read again
    // while the server is still saying goodbye.
    let pace = Pace { padding_bytes: PADDING_BYTES, ..Pace::new(WRITES_PER_SECOND, WRITE_TIMEOUT * 2) };
    let mut total = 0;
    let mut phase = async |stage: &mut Stage, others: &mut crate::follow::crowd::Crowd| {
        let (written, _) = stage.pace(pace, others.sender()).await?;
        total += written;
        others.everybody_has(total).await?;
        let [p99] = others.latencies().percentiles([0.99]);
        anyhow::Ok((p99, total))
    };

    phase(&mut stage, &mut others).await?;
    let resident = stage.tandem.server.usage()?.resident_bytes;
    let (mut before, mut during) = (Rounds::default(), Rounds::default());
    let mut growth: f64 = 0.0;
    for _ in 0..args.rounds {
        let (p99, total) = phase(&mut stage, &mut others).await?;
        before.push(p99.as_f64());
        slow.everybody_has(total).await?;
        // The longer a connection has been good, the more the system takes in for it.
        slow.start_afresh().await?;
        slow.pause();
        let (p99, total) = phase(&mut stage, &mut others).await?;
        during.push(p99.as_f64());
        let now = stage.tandem.server.usage()?.resident_bytes;
        growth = growth.max(now.saturating_sub(resident) as f64 / 1024.0 / 1024.0);
        slow.resume();
        slow.everybody_has(total).await?;
    }
    let told = slow.closed(1013);
    let untold = slow.closed(0) + slow.closed(1006);
    stage.stop().await?;

    let expected = slow_size * args.rounds;
    let title = format!("{slow_size} of {size} stop reading, {}", place.name());
    let mut table =
        Table::new(&[&title, "p99 before", "p99 meanwhile", "MiB more", "closed with 1013", "without a code"]);
    let [p99_before, p99_during] = [&before, &during].map(|rounds| Millis::from_f64(rounds.median()).to_string());
    let counts = [thousands(told as f64), thousands(untold as f64)];
    table.row([String::new(), p99_before, p99_during.clone(), thousands(growth)].into_iter().chain(counts));
    let name = place.name();
    let ratio = during.median() / before.median();
    Ok(Report {
        tables: vec![table],
        targets: vec![
            Target::ratio_at_most(
                format!("p99 of the others while {slow_size} do not read, {name}"),
                p99_during,
                ratio,
                MOST,
            ),
            Target::at_most(
                format!("MiB that the server grows by, {name}"),
                thousands(growth),
                growth,
                MOST_GROWTH_MEBIBYTES,
            ),
            Target::at_least(
                format!("slow ones that get 1013 and recover, {name}"),
                format!("{told} of {expected}"),
                told as f64 / expected as f64,
                1.0,
            ),
        ],
    })
}
