//! Durable push under load: how much, how fast, and at whose expense. Every outcome is recorded, as always.
//!
//! - `throughput`: deliveries a second to many webhooks and to one, against a bare loop of the same HTTP client
//! - `latency`: from a request to receivers
//! - `intake`: mutations while deliveries go on
//! - `replay`: what has waited, and a replay of it, at a capped rate, and what mutations notice of it
//! - `history`: pages of many attempts, and their removal
//! - `notice`: mutations that are timed
//! - `receiver`: who receives, a process of its own
//! - `bare`: what deliveries are compared with
//! - `stage`: the server, its webhooks, and who writes
//!
//! Each is a case that can be chosen. Every message has to come to every webhook exactly once; else there is no figure but an
//! error.

mod bare;
mod history;
mod intake;
mod latency;
mod notice;
pub mod receiver;
mod replay;
mod stage;
mod throughput;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::place::Place;
use crate::table::Table;
use crate::target::Target;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Deliveries a second to many webhooks.
    Many,
    /// Deliveries a second to one webhook.
    One,
    /// From a request to receivers, at a steady rate.
    Latency,
    /// Mutations while deliveries go on.
    Intake,
    /// 50,000 events that have waited, and their replay.
    Replay,
    /// Pages of 100,000 attempts, and their removal.
    History,
}

/// How durable push is measured.
#[derive(Debug, Clone, Args)]
pub struct WebhooksArgs {
    /// Only these cases; may be repeated.
    #[arg(long = "case", value_enum)]
    pub cases: Vec<Case>,
    /// How many webhooks there are.
    #[arg(long, default_value_t = 100)]
    pub webhooks: usize,
    /// Requests that each of them may have in flight.
    #[arg(long, default_value_t = 4)]
    pub in_flight: usize,
    /// How often what is compared is measured.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// How long each round measures, in seconds.
    #[arg(long, default_value_t = 4)]
    pub seconds: u64,
    /// Of the number of events that are replayed, and of attempts that are kept; less makes a rehearsal.
    #[arg(long, default_value_t = 1.0)]
    pub share: f64,
}

impl Default for WebhooksArgs {
    fn default() -> Self {
        Self { cases: Vec::new(), webhooks: 100, in_flight: 4, rounds: 3, seconds: 4, share: 1.0 }
    }
}

impl WebhooksArgs {
    fn scaled(&self, count: usize) -> usize {
        ((count as f64 * self.share) as usize).max(1)
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// What people read of a case.
pub struct Report {
    /// Figures.
    pub tables: Vec<Table>,
    /// Those that were promised.
    pub targets: Vec<Target>,
}

/// Measures the chosen cases, and shows each when it is done.
pub async fn run(
    binary: &Path,
    place: &Place,
    args: &WebhooksArgs,
    mut show: impl FnMut(&Table),
) -> Result<Vec<Target>> {
    ensure!(args.rounds > 0 && args.seconds > 0 && args.share > 0.0, "there must be something to measure");
    ensure!(args.webhooks > 0 && args.in_flight > 0, "there must be webhooks, and requests in flight");
    let mut targets = Vec::new();
    for case in Case::value_variants() {
        if !args.cases.is_empty() && !args.cases.contains(case) {
            continue;
        }
        let report = match case {
            Case::Many => throughput::many(binary, place, args).await?,
            Case::One => throughput::one(binary, place, args).await?,
            Case::Latency => latency::run(binary, place, args).await?,
            Case::Intake => intake::run(binary, place, args).await?,
            Case::Replay => replay::run(binary, place, args).await?,
            Case::History => history::run(binary, place, args).await?,
        };
        report.tables.iter().for_each(&mut show);
        targets.extend(report.targets);
    }
    Ok(targets)
}
