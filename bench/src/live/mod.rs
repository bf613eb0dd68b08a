//! Live push under load: how fast, to how many, and at whose expense.
//!
//! - `latency`: from a request to subscribers
//! - `fan_out`: deliveries a second, against a bare broadcast and async-graphql-axum
//! - `groups`: many different subscriptions
//! - `idle`: what a subscription costs that nothing happens to
//! - `storm`: everybody comes back at once
//! - `slow`: some stop reading
//! - `stage`: the server, and who writes
//!
//! Each is a case that can be chosen. In all of them every subscriber has to receive everything exactly once, in order and
//! with the same bytes; else there is no figure but an error.

mod fan_out;
mod groups;
mod idle;
mod latency;
mod slow;
pub mod stage;
mod storm;

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
    /// From a request to subscribers, at a steady rate.
    Latency,
    /// Deliveries a second, against a bare broadcast and async-graphql-axum.
    FanOut,
    /// 10,000 groups with different filters.
    Groups,
    /// 10,000 idle subscriptions.
    Idle,
    /// 10,000 reconnects in 10 s.
    Storm,
    /// 10% of 1,000 subscribers stop reading.
    Slow,
}

/// How live push is measured.
#[derive(Debug, Clone, Args)]
pub struct LiveArgs {
    /// Only these cases; may be repeated.
    #[arg(long = "case", value_enum)]
    pub cases: Vec<Case>,
    /// How often what is compared is measured.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// How long a steady rate is kept, in seconds.
    #[arg(long, default_value_t = 4)]
    pub seconds: u64,
    /// Of the number of subscribers that the targets are about; less makes a rehearsal.
    #[arg(long, default_value_t = 1.0)]
    pub share: f64,
    /// Of the steps of `fan-out` only those with so many subscribers; may be repeated.
    #[arg(long)]
    pub subscribers: Vec<usize>,
}

impl LiveArgs {
    /// A number of subscribers.
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
pub async fn run(binary: &Path, place: &Place, args: &LiveArgs, mut show: impl FnMut(&Table)) -> Result<Vec<Target>> {
    ensure!(args.rounds > 0 && args.seconds > 0 && args.share > 0.0, "there must be something to measure");
    let mut targets = Vec::new();
    for case in Case::value_variants() {
        if !args.cases.is_empty() && !args.cases.contains(case) {
            continue;
        }
        let report = match case {
            Case::Latency => latency::run(binary, place, args).await?,
            Case::FanOut => fan_out::run(binary, place, args).await?,
            Case::Groups => groups::run(binary, place, args).await?,
            Case::Idle => idle::run(binary, place, args).await?,
            Case::Storm => storm::run(binary, place, args).await?,
            Case::Slow => slow::run(binary, place, args).await?,
        };
        report.tables.iter().for_each(&mut show);
        targets.extend(report.targets);
    }
    Ok(targets)
}
