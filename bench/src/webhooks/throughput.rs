//! Deliveries a second: with so many events in line that the server is never idle, every outcome recorded.
//!
//! The bare loop sends as many requests at the same time, of the same size, to a receiver like that one, in turn with the
//! server.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::bare::Bare;
use super::receiver::Receiver;
use super::stage::Stage;
use super::{Report, WebhooksArgs};
use crate::place::Place;
use crate::rounds::Rounds;
use crate::table::{Table, thousands};
use crate::target::Target;

const WARM_UP: Duration = Duration::from_secs(1);
/// Of what the bare loop sends.
const LEAST_SHARE: f64 = 0.4;
/// What was promised of many webhooks, a second.
const LEAST_OF_MANY: f64 = 20_000.0;
/// What Svix sends to one endpoint on such a machine, a second.
const LEAST_OF_ONE: f64 = 1_130.0;

/// What is sent to whom.
struct Shape {
    webhooks: usize,
    /// Of each webhook.
    in_flight: usize,
    /// Events that are always in line.
    backlog: usize,
    /// Events of one mutation.
    together: usize,
}

/// Every event goes to every webhook.
pub async fn many(binary: &Path, place: &Place, args: &WebhooksArgs) -> Result<Report> {
    let shape = Shape { webhooks: args.webhooks, in_flight: args.in_flight, backlog: 200, together: 20 };
    let name = format!("{} webhooks", args.webhooks);
    let (ours, theirs, table) = run(binary, place, args, &shape, &name).await?;
    let (what, figure) = (format!("deliveries/s to {name}, {}", place.name()), thousands(ours.median()));
    Ok(Report {
        tables: vec![table],
        targets: vec![
            Target::at_least(
                format!("{what} (of a bare loop)"),
                figure.clone(),
                ours.median() / theirs.median(),
                LEAST_SHARE,
            ),
            Target::at_least(format!("{what} (of 20,000)"), figure, ours.median() / LEAST_OF_MANY, 1.0),
        ],
    })
}

/// Everything goes to one webhook.
pub async fn one(binary: &Path, place: &Place, args: &WebhooksArgs) -> Result<Report> {
    let shape = Shape { webhooks: 1, in_flight: 64, backlog: 2000, together: 250 };
    let (ours, _, table) = run(binary, place, args, &shape, "one webhook").await?;
    let what = format!("deliveries/s to one webhook, {} (of 1,130)", place.name());
    let target = Target::at_least(what, thousands(ours.median()), ours.median() / LEAST_OF_ONE, 1.0);
    Ok(Report { tables: vec![table], targets: vec![target] })
}

async fn run(
    binary: &Path,
    place: &Place,
    args: &WebhooksArgs,
    shape: &Shape,
    name: &str,
) -> Result<(Rounds, Rounds, Table)> {
    let mut stage = Stage::start(binary, place, shape.webhooks, shape.in_flight).await?;
    let others = Receiver::start().await?;
    let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
    let (mut deliveries, mut processor, mut receiving) = (0, Duration::ZERO, Duration::ZERO);
    let mut body_bytes = 0;
    for _ in 0..args.rounds {
        let begun = stage.keep_busy(shape.backlog, shape.together, Instant::now() + WARM_UP).await?;
        let (since, before) = (Instant::now(), (stage.tandem.server.usage()?, stage.receiver.usage()?));
        let ended = stage.keep_busy(shape.backlog, shape.together, since + args.duration()).await?;
        let (elapsed, after) = (since.elapsed(), (stage.tandem.server.usage()?, stage.receiver.usage()?));
        ours.push((ended - begun) as f64 / elapsed.as_secs_f64());
        deliveries += ended - begun;
        processor += after.0.processor - before.0.processor;
        receiving += after.1.processor - before.1.processor;
        stage.is_settled(1).await?;
        let counts = stage.receiver.count().await?;
        body_bytes = (counts.body_bytes / counts.messages.max(1)) as usize;
        let bare = Bare {
            address: others.address(),
            webhooks: shape.webhooks,
            in_flight: shape.in_flight,
            body_bytes,
            warm_up: WARM_UP / 2,
            measured: args.duration(),
        };
        theirs.push(bare.per_second().await?);
    }
    stage.everything_has_come().await?;
    stage.stop().await?;
    let title = format!("deliveries/s to {name}, {body_bytes} bytes, {}", place.name());
    let mut table = Table::new(&[&title, "median", "min", "max", "ratio", "µs of the server", "of the receiver"]);
    let micros = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e6 / deliveries.max(1) as f64);
    let figures = [format!("{:.2}", ours.median() / theirs.median()), micros(processor), micros(receiving)];
    table.row(["a bare loop of reqwest".to_owned()].into_iter().chain(theirs.cells()));
    table.row(["Tandem".to_owned()].into_iter().chain(ours.cells()).chain(figures));
    Ok((ours, theirs, table))
}
