//! PostGraphile beside Tandem: the same rows of the same PostgreSQL database, the same client, in turn.
//!
//! It has less to do than Tandem: it checks no rights, and what it writes is in no log and found by no search. Its code is
//! compiled while it runs, for which it is given time before it is measured.
//!
//! - `server`: how it is installed and started
//! - `question`: the cases in its words

mod question;
mod server;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

pub use self::server::Installed;

use self::question::Question;
use super::asked::Asked;
use super::cases::{self, Case};
use super::{ReadsArgs, batched};
use crate::latency::Millis;
use crate::load::Outcome;
use crate::rounds::Rounds;
use crate::served::{Client, Tandem, request};
use crate::table::{Table, thousands};
use crate::target::Target;

/// Whether PostGraphile can be asked it.
pub fn has(case: Case) -> bool {
    Question::of(case).is_some()
}

/// What was measured of a case.
pub struct Pair {
    case: Case,
    tandem: Side,
    postgraphile: Side,
}

/// What was measured of one server.
#[derive(Default)]
struct Side {
    per_second: Rounds,
    p50_ms: Rounds,
    p99_ms: Rounds,
}

impl Side {
    fn push(&mut self, outcome: &Outcome) {
        self.per_second.push(outcome.per_second());
        self.p50_ms.push(outcome.p50.as_f64());
        self.p99_ms.push(outcome.p99.as_f64());
    }

    /// The cells of a table: requests per second, and the medians of percentiles.
    fn cells(&self) -> impl Iterator<Item = String> {
        let latencies = [&self.p50_ms, &self.p99_ms].map(|rounds| Millis::from_f64(rounds.median()).to_string());
        self.per_second.cells().into_iter().chain(latencies)
    }
}

impl Pair {
    /// How many times the rate of PostGraphile that of Tandem is.
    fn ratio(&self) -> f64 {
        self.tandem.per_second.median() / self.postgraphile.per_second.median()
    }

    /// What the project promises.
    pub fn target(&self) -> Option<Target> {
        let (_, least) = self.case.orientation()?;
        let (what, figure) = (format!("{} (beside PostGraphile)", self.case.name()), self.tandem.per_second.median());
        Some(Target::at_least(what, thousands(figure), self.ratio(), least))
    }
}

/// All of them, for people.
pub fn table(pairs: &[Pair]) -> Table {
    let mut table = Table::new(&["case, requests/s", "median", "min", "max", "p50", "p99", "Tandem's ratio"]);
    for pair in pairs {
        let name = pair.case.name();
        table.row([format!("{name}, PostGraphile")].into_iter().chain(pair.postgraphile.cells()));
        let ratio = format!("{:.2}", pair.ratio());
        table.row([format!("{name}, Tandem")].into_iter().chain(pair.tandem.cells()).chain([ratio]));
    }
    table
}

/// Measures cases that both can be asked, on the database of `tandem`.
pub async fn run(
    installed: &Installed,
    tandem: &Tandem,
    cases: impl Iterator<Item = Case>,
    args: &ReadsArgs,
) -> Result<Vec<Pair>> {
    let server = installed.start(tandem.database_url()).await?;
    let mut pairs = Vec::new();
    for case in cases {
        let pair = compare(server.address, tandem, case, args).await;
        pairs.push(pair.with_context(|| format!("{}, beside PostGraphile", case.name()))?);
    }
    server.stop().await?;
    Ok(pairs)
}

async fn compare(postgraphile: SocketAddr, tandem: &Tandem, case: Case, args: &ReadsArgs) -> Result<Pair> {
    let ours = cases::ask(tandem, case, args, args.seconds).await?;
    let theirs = ask(postgraphile, case, args).await?;
    let (our_answer, their_answer) = (without_ids(&ours.answer), without_ids(&theirs.answer));
    ensure!(case.writes() || our_answer == their_answer, "not the same answer:\n{our_answer}\n{their_answer}");
    let mut pair = Pair { case, tandem: Side::default(), postgraphile: Side::default() };
    let warm = Instant::now() + Duration::from_secs(args.warm_up_seconds);
    while Instant::now() < warm {
        theirs.measure().await?;
    }
    for _ in 0..args.rounds {
        pair.tandem.push(&ours.measure().await?);
        pair.postgraphile.push(&theirs.measure().await?);
    }
    Ok(pair)
}

/// The case as PostGraphile is asked it.
async fn ask(address: SocketAddr, case: Case, args: &ReadsArgs) -> Result<Asked> {
    let Question { document, variables, cursors } = Question::of(case).context("it cannot be asked this")?;
    let mut client = Client::open(address, None).await?;
    let cursors = match case.list(args).zip(cursors) {
        Some(((list, count), query)) => {
            batched::cursors(list, query, count, async |query, variables| client.ask(query, variables).await).await?
        }
        None => Vec::new(),
    };
    let body = move |number| request(document, &variables(number, &cursors));
    Asked::once(case, &mut client, args.load(address, args.seconds), body).await
}

/// What can be compared of an answer: each server writes ids in its own way.
fn without_ids(answer: &Value) -> Value {
    match answer {
        Value::Object(fields) => {
            let others = fields.iter().filter(|(name, _)| *name != "id");
            Value::Object(others.map(|(name, value)| (name.clone(), without_ids(value))).collect())
        }
        Value::Array(items) => items.iter().map(without_ids).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => answer.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_compared_but_for_ids() {
        let answer = |id: &str, sku: &str| json!({ "products": { "nodes": [{ "id": id, "sku": sku }] } });
        assert_eq!(without_ids(&answer("a", "x")), without_ids(&answer("b", "x")));
        assert_ne!(without_ids(&answer("a", "x")), without_ids(&answer("a", "y")));
    }

    #[test]
    fn ratios_are_of_medians() {
        let side = |figures: &[f64]| {
            let mut side = Side::default();
            figures.iter().for_each(|figure| side.per_second.push(*figure));
            side
        };
        let pair =
            Pair { case: Case::Tree, tandem: side(&[300.0, 900.0, 310.0]), postgraphile: side(&[100.0, 155.0, 200.0]) };
        let target = pair.target().unwrap();
        assert_eq!((pair.ratio(), target.is_met, target.target.as_str()), (2.0, true, "≥ 2"));
        assert!(table(&[pair]).to_string().lines().last().unwrap().ends_with("2.00"));
    }
}
