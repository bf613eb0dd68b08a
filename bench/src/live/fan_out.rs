//! How many deliveries a second: the same events to the same number of sockets, through Tandem, through a bare
//! broadcast of the same bytes, and through the subscription layer of async-graphql-axum.
//!
//! All three serve the same client in turn, so whatever else the machine does hits all of them. Of Tandem the time
//! includes the writing: the next transaction is written while the last one is delivered. The others get their events
//! for nothing. What a delivery costs a server's processors is shown besides: on a busy machine it is the steadier figure.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::stage::{SUBSCRIBE, Stage};
use super::{LiveArgs, Report};
use crate::follow::crowd::{Asking, Crowd};
use crate::follow::message;
use crate::follow::socket::Dial;
use crate::place::Place;
use crate::rivals::{Kind, Rival};
use crate::rounds::Rounds;
use crate::table::{Table, thousands};
use crate::target::Target;

/// Subscribers, and how many transactions of how many events each round has.
const STEPS: [Step; 4] = [
    Step { subscribers: 1, bursts: 8, events: 500, is_promised: false },
    Step { subscribers: 100, bursts: 6, events: 500, is_promised: false },
    Step { subscribers: 1_000, bursts: 4, events: 250, is_promised: true },
    Step { subscribers: 5_000, bursts: 4, events: 50, is_promised: true },
];
/// Transactions that may be on their way at a time.
const AHEAD: usize = 2;
/// Of the rate of the bare broadcast.
const LEAST_OF_BARE: f64 = 0.6;
/// Times the rate of async-graphql-axum.
const LEAST_OF_STOCK: f64 = 6.0;

struct Step {
    subscribers: usize,
    bursts: usize,
    events: usize,
    /// Whether the targets are held against it. With few subscribers the cost of writing durably is most of it, which
    /// the others do not have.
    is_promised: bool,
}

/// Measures.
pub async fn run(binary: &Path, place: &Place, args: &LiveArgs) -> Result<Report> {
    let title = format!("deliveries/s, {}", place.name());
    let mut table = Table::new(&[&title, "median", "min", "max", "Tandem's ratio", "ns of the server each"]);
    let mut targets = Vec::new();
    let is_chosen = |step: &&Step| args.subscribers.is_empty() || args.subscribers.contains(&step.subscribers);
    for step in STEPS.iter().filter(is_chosen) {
        let size = args.scaled(step.subscribers);
        let [tandem, bare, stock] = measure(binary, place, step, size, args.rounds).await?;
        for (name, figures) in [("Tandem", &tandem), ("bare broadcast", &bare), ("async-graphql-axum", &stock)] {
            let ratio = format!("{:.2}", tandem.rate.median() / figures.rate.median());
            let name = format!("{} subscribers, {name}", thousands(size as f64));
            let cost = thousands(figures.nanoseconds.median());
            table.row([name].into_iter().chain(figures.rate.cells()).chain([ratio, cost]));
        }
        if step.is_promised {
            let pairs = [("bare broadcast", bare, LEAST_OF_BARE), ("async-graphql-axum", stock, LEAST_OF_STOCK)];
            for (name, figures, least) in pairs {
                let what = format!("deliveries/s to {size}, of {name}'s, {}", place.name());
                let ratio = tandem.rate.median() / figures.rate.median();
                targets.push(Target::at_least(what, thousands(tandem.rate.median()), ratio, least));
            }
        }
    }
    Ok(Report { tables: vec![table], targets })
}

/// Of one server, a figure for each round.
#[derive(Default)]
struct Figures {
    /// Deliveries a second.
    rate: Rounds,
    /// Of processor time of the server, for each delivery.
    nanoseconds: Rounds,
}

impl Figures {
    fn push(&mut self, deliveries: f64, cost: Cost) {
        self.rate.push(deliveries / cost.seconds);
        self.nanoseconds.push(cost.processor.as_secs_f64() * 1e9 / deliveries);
    }
}

/// What a round took.
struct Cost {
    /// Until the last delivery.
    seconds: f64,
    /// Of the server.
    processor: Duration,
}

async fn measure(binary: &Path, place: &Place, step: &Step, size: usize, rounds: usize) -> Result<[Figures; 3]> {
    let mut stage = Stage::start(binary, place, &[]).await?;
    let mut ours = stage.crowd(size, Dial::default()).await?;
    let mut bare = Audience::open(Kind::Bare, size).await?;
    let mut stock = Audience::open(Kind::Stock, size).await?;
    let mut figures = <[Figures; 3]>::default();
    let mut frames = 0;
    // The first round is not counted.
    for round in 0..=rounds {
        let deliveries = (step.bursts * step.events * size) as f64;
        let cost = ours_at_once(&mut stage, &mut ours, step).await?;
        let events: Vec<Box<[u8]>> = (frames..ours.frames()).filter_map(|index| ours.frame(index)).collect();
        frames = ours.frames();
        let bare_cost = bare.all_at_once(&events).await?;
        let payloads = events.iter().map(|frame| change(frame).map(Into::into)).collect::<Result<Vec<Box<[u8]>>>>()?;
        let stock_cost = stock.all_at_once(&payloads).await?;
        if round > 0 {
            for (figures, cost) in figures.iter_mut().zip([cost, bare_cost, stock_cost]) {
                figures.push(deliveries, cost);
            }
        }
    }
    bare.rival.stop().await?;
    stock.rival.stop().await?;
    stage.stop().await?;
    Ok(figures)
}

/// From the first request to the last delivery.
async fn ours_at_once(stage: &mut Stage, crowd: &mut Crowd, step: &Step) -> Result<Cost> {
    let before = crowd.frames();
    let used = stage.tandem.server.usage()?.processor;
    let started = Instant::now();
    for burst in 0..step.bursts {
        if let Some(behind) = burst.checked_sub(AHEAD) {
            crowd.received(((before + (behind + 1) * step.events) * crowd.size) as u64).await?;
        }
        stage.burst(step.events).await?;
    }
    let last = crowd.everybody_has(before + step.bursts * step.events).await?;
    let processor = stage.tandem.server.usage()?.processor - used;
    Ok(Cost { seconds: (last - started).as_secs_f64(), processor })
}

/// The value of the subscription's field in a frame of Tandem's.
fn change(frame: &[u8]) -> Result<&[u8]> {
    const START: &[u8] = b"{\"productChanged\":";
    let content = message::content(frame);
    let start = message::find(content, START).context("a frame has a change")? + START.len();
    // The brace that closes `data` follows.
    Ok(&content[start..content.len() - 1])
}

/// Another server, and those who listen to it.
struct Audience {
    rival: Rival,
    crowd: Crowd,
}

impl Audience {
    async fn open(kind: Kind, size: usize) -> Result<Self> {
        let mut rival = Rival::start(kind).await?;
        let asking = match kind {
            Kind::Bare => None,
            Kind::Stock => Some(Asking { query: SUBSCRIBE, after: None }),
        };
        let crowd = Crowd::open(rival.address(), Dial::default(), asking, size).await?;
        rival.await_listeners(size).await?;
        Ok(Self { rival, crowd })
    }

    /// Until everybody has received all of it.
    async fn all_at_once(&mut self, messages: &[Box<[u8]>]) -> Result<Cost> {
        let before = self.crowd.frames();
        let used = self.rival.usage()?.processor;
        let started = Instant::now();
        self.rival.publish(messages).await?;
        let last = self.crowd.everybody_has(before + messages.len()).await?;
        let processor = self.rival.usage()?.processor - used;
        Ok(Cost { seconds: (last - started).as_secs_f64(), processor })
    }
}
