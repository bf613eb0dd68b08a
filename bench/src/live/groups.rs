//! Many different subscriptions: what an event costs that concerns one of 10,000 groups, against one of 10.
//!
//! Each group follows one row by its `id`. The same mutations change rows that are followed, ten rows each, so in both
//! cases each event goes to one subscriber.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::stage::Stage;
use super::{LiveArgs, Report};
use crate::follow::message::Message;
use crate::follow::socket::{Connection, Dial, Frame, Socket};
use crate::place::Place;
use crate::rounds::{Rounds, alternate};
use crate::table::{Table, thousands};
use crate::target::Target;

const FEW: usize = 10;
const MANY: usize = 10_000;
/// Subscriptions over one socket; as many as a server takes.
const PER_SOCKET: usize = 100;
/// Rows that one mutation changes.
const ROWS: usize = 10;
const MUTATIONS: usize = 100;
const MOST: f64 = 3.0;
const PATIENCE: Duration = Duration::from_secs(60);
const BATCH: usize = 1_000;

const SUBSCRIBE: &str = "subscription($id: ID!, $after: String) { productChanged(filter: { id: { eq: $id } }, after: $after) { kind cursor \
     after { id stock version } } }";
const UPDATE: &str =
    "mutation($input: UpdateProductsInput!) { updateProducts(input: $input) { products { id } userErrors { code } } }";

/// Measures.
pub async fn run(binary: &Path, place: &Place, args: &LiveArgs) -> Result<Report> {
    let mut few = Groups::start(binary, place, FEW).await?;
    let mut many = Groups::start(binary, place, args.scaled(MANY)).await?;
    let (mut few_processor, mut many_processor) = (Rounds::default(), Rounds::default());
    few.events(MUTATIONS).await?;
    many.events(MUTATIONS).await?;
    let (many_elapsed, few_elapsed) = alternate(
        args.rounds,
        async || {
            let (elapsed, processor) = many.events(MUTATIONS).await?;
            many_processor.push(processor);
            Ok(elapsed)
        },
        async || {
            let (elapsed, processor) = few.events(MUTATIONS).await?;
            few_processor.push(processor);
            Ok(elapsed)
        },
    )
    .await?;
    let size = many.ids.len();
    few.stage.stop().await?;
    many.stage.stop().await?;

    let title = format!("cost of an event, {}", place.name());
    let mut table = Table::new(&[&title, "µs", "µs of processors", "ratio"]);
    let ratio = many_processor.median() / few_processor.median();
    for (name, elapsed, processor, ratio) in [
        (format!("{FEW} groups"), few_elapsed, few_processor, String::new()),
        (format!("{} groups", thousands(size as f64)), many_elapsed, many_processor.clone(), format!("{ratio:.2}")),
    ] {
        table.row([name, thousands(elapsed.median()), thousands(processor.median()), ratio]);
    }
    let what = format!("processor time of an event, {size} groups of {FEW}, {}", place.name());
    let figure = format!("{} µs", thousands(many_processor.median()));
    Ok(Report { tables: vec![table], targets: vec![Target::ratio_at_most(what, figure, ratio, MOST)] })
}

/// A server whose every row is followed by somebody.
struct Groups {
    stage: Stage,
    ids: Rc<Vec<String>>,
    shared: Rc<Shared>,
    members: JoinSet<Result<()>>,
    /// The row that is changed next, and how often the rows have been changed.
    next: usize,
    expected: usize,
}

#[derive(Default)]
struct Shared {
    received: RefCell<usize>,
    progress: Notify,
}

impl Groups {
    async fn start(binary: &Path, place: &Place, count: usize) -> Result<Self> {
        let mut stage = Stage::start(binary, place, &[]).await?;
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            ids.extend(stage.burst(BATCH.min(count - ids.len())).await?);
        }
        let ids = Rc::new(ids);
        let after = stage.as_of().await?;
        let shared = Rc::<Shared>::default();
        let mut members = JoinSet::new();
        for first in (0..count).step_by(PER_SOCKET) {
            let mut socket = Socket::connect(stage.tandem.address, &Dial::default()).await?;
            for (number, id) in ids.iter().enumerate().skip(first).take(PER_SOCKET) {
                socket.subscribe(&number.to_string(), SUBSCRIBE, &json!({ "id": id, "after": after })).await?;
            }
            members.spawn_local(receive(socket, Rc::clone(&ids), Rc::clone(&shared)));
        }
        let mut groups = Self { stage, ids, shared, members, next: 0, expected: 0 };
        // So that all of them have begun.
        for _ in 0..count.div_ceil(ROWS) {
            groups.change().await?;
        }
        groups.until(groups.expected).await?;
        Ok(groups)
    }

    /// Changes the next rows.
    async fn change(&mut self) -> Result<()> {
        let rows = ROWS.min(self.ids.len());
        // Far from each other, so that they are of different sockets if there are several.
        let stride = self.ids.len().div_ceil(rows);
        let chosen: Vec<&String> =
            (0..rows).map(|row| &self.ids[(self.next + row * stride) % self.ids.len()]).collect();
        self.next = (self.next + 1) % stride;
        let patch = json!({ "stock": self.expected });
        let input = json!({ "filter": { "id": { "in": chosen } }, "patch": patch, "atMost": ROWS });
        self.stage.ask(UPDATE, json!({ "input": input })).await?;
        self.expected += rows;
        Ok(())
    }

    /// Makes events and waits until they have arrived. Microseconds for each: elapsed, and of the server's processors.
    async fn events(&mut self, mutations: usize) -> Result<(f64, f64)> {
        let before = self.expected;
        let processor = self.stage.tandem.server.usage()?.processor;
        let started = Instant::now();
        for _ in 0..mutations {
            self.change().await?;
        }
        self.until(self.expected).await?;
        let elapsed = started.elapsed();
        let processor = self.stage.tandem.server.usage()?.processor - processor;
        let each = |total: Duration| total.as_secs_f64() * 1e6 / (self.expected - before) as f64;
        Ok((each(elapsed), each(processor)))
    }

    async fn until(&mut self, expected: usize) -> Result<()> {
        let shared = Rc::clone(&self.shared);
        let wait = async {
            loop {
                let progress = shared.progress.notified();
                if *shared.received.borrow() >= expected {
                    return Ok(());
                }
                tokio::select! {
                    () = progress => {}
                    Some(ended) = self.members.join_next() => {
                        ended??;
                        bail!("a socket was closed");
                    }
                }
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, wait).await;
        outcome.with_context(|| format!("{} of {expected} events arrived", *shared.received.borrow()))??;
        ensure!(*self.shared.received.borrow() == expected, "more events than there were");
        Ok(())
    }
}

/// Counts what arrives. Every event must be of the row that its operation follows.
async fn receive(mut socket: Socket, ids: Rc<Vec<String>>, shared: Rc<Shared>) -> Result<()> {
    let mut state = Connection::Open;
    while state == Connection::Open {
        state = socket
            .receive(|frame| match frame {
                Frame::Text(text) => match Message::parse(text)? {
                    Message::Next(number, payload) => {
                        let id = ids.get(number.parse::<usize>()?).context("an event of nobody's operation")?;
                        let is_right = payload.windows(id.len()).any(|window| window == id.as_bytes());
                        ensure!(is_right, "another row's event: {}", String::from_utf8_lossy(payload));
                        *shared.received.borrow_mut() += 1;
                        Ok(())
                    }
                    Message::Ack | Message::Ping | Message::Notice => Ok(()),
                    Message::Error(..) | Message::Complete(_) => bail!("refused: {}", String::from_utf8_lossy(text)),
                },
                Frame::Close(code, reason) => bail!("closed with {code} {reason}"),
                Frame::Ping | Frame::Pong => Ok(()),
            })
            .await?;
        shared.progress.notify_waiters();
    }
    Ok(())
}
