//! Keeps one worker running for each enabled webhook whose lease this process can get.
//!
//! It learns of new, changed and deleted webhooks by a [`Wake`] from the registry of this process, and looks by itself
//! every second for what other nodes did, and when the lease of another one ends. Losing a wake-up costs latency only.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use entity::WebhookId;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::gauges::Counters;
use super::ledger::committer::Committer;
use super::ledger::{self, LEASE, Ledger, Listed};
use super::registry::events;
use super::retry::Schedule;
use super::row::Webhook;
use super::send::Sender;
use super::target::{Target, TargetError, Targets};
use super::term::Term;
use super::wake::Wake;
use super::worker::{self, Shared};
use crate::catalog::Catalog;
use crate::database::Database;
use crate::log::Hub;
use crate::metrics::Metrics;
use crate::store::writer::Writer;

/// How often it looks for what other nodes did.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long after the end of another one's lease it looks.
const LOOK_AFTER: Duration = Duration::from_millis(20);
/// How often leases are prolonged, and how long that may take.
const RENEW_INTERVAL: Duration = Duration::from_millis(LEASE.as_millis() as u64 / 4);

/// What the dispatcher works with.
pub struct Parts {
    /// To read from.
    pub database: Database,
    /// To write with.
    pub writer: Writer,
    /// The log.
    pub hub: Hub,
    /// Names the resources.
    pub catalog: Arc<Catalog>,
    /// What is sent for each webhook.
    pub targets: Targets,
    /// Sends the messages.
    pub sender: Sender,
    /// Shared with the registry.
    pub wake: Wake,
    /// The time of the database.
    pub clock: Clock,
    /// Shows how the webhooks fare.
    pub metrics: Metrics,
}

/// What may be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When the attempts of a delivery are made.
    pub schedule: Schedule,
    /// The deadline of one attempt.
    pub timeout: Duration,
    /// How long attempts that are in flight may go on after the server was told to stop. What is cut off is sent again
    /// after the next start.
    pub grace: Duration,
    /// Requests of all webhooks at the same time, besides one for each webhook.
    pub max_in_flight: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            timeout: Duration::from_secs(15),
            grace: Duration::from_secs(10),
            max_in_flight: 2048,
        }
    }
}

/// The dispatcher of one process.
pub struct Dispatcher {
    shared: Arc<Shared>,
    catalog: Arc<Catalog>,
    targets: Targets,
    wake: Wake,
    /// Webhooks whose secrets this process cannot read, as they were when it tried.
    unreadable: HashMap<WebhookId, i64>,
    grace: Duration,
    /// Ends after the last worker.
    _committing: JoinSet<()>,
    workers: JoinSet<()>,
    running: HashMap<WebhookId, Running>,
    renewed_at: Instant,
    /// When the first lease of another process ends, if that does not prolong it.
    free_at: Option<Instant>,
}

/// A worker, as seen from outside.
struct Running {
    /// Of the row that its target was made from.
    updated_at: i64,
    nudges: i64,
    target: watch::Sender<Arc<Target>>,
    stop: CancellationToken,
    task: AbortHandle,
}

impl Dispatcher {
    /// A dispatcher that sends nothing yet. To be made inside a runtime.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let ledger = Ledger::new(parts.database, parts.writer);
        let (committer, committing) = Committer::new(ledger.clone());
        let mut committer_task = JoinSet::new();
        committer_task.spawn(committing);
        let term = if ledger.has_terms() { Term::new(LEASE) } else { Term::endless() };
        let shared = Shared {
            term,
            ledger,
            committer,
            hub: parts.hub.clone(),
            sender: parts.sender,
            schedule: settings.schedule,
            timeout: settings.timeout,
            clock: parts.clock,
            counters: Counters::new(&parts.metrics, parts.hub),
            permits: Arc::new(Semaphore::new(settings.max_in_flight)),
        };
        Self {
            shared: Arc::new(shared),
            targets: parts.targets,
            catalog: parts.catalog,
            wake: parts.wake,
            unreadable: HashMap::new(),
            grace: settings.grace,
            _committing: committer_task,
            workers: JoinSet::new(),
            running: HashMap::new(),
            renewed_at: Instant::now(),
            free_at: None,
        }
    }

    /// Sends until it is told to stop; then finishes what is in flight, within the grace, and gives its leases back.
    /// Needs the hub and the writer until it returns.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = interval(POLL_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wake = self.wake.clone();
        let mut waking = wake.listen();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
                () = waking.woken() => {}
                () = sleep_until(self.free_at.unwrap_or_else(Instant::now)), if self.free_at.is_some() => {}
                Some(_) = self.workers.join_next() => {
                    // A worker that ended is started again by the next look, not at once: it may have failed.
                    self.forget_ended();
                    continue;
                }
            }
            self.free_at = None;
            self.keep_leases().await;
            let asked = waking.asked();
            match self.look().await {
                Ok(()) => waking.answer(asked),
                Err(error) => tracing::warn!(%error, "webhooks cannot be read; trying again"),
            }
        }
        drop(waking);
        self.drain().await;
    }

    async fn drain(mut self) {
        self.running.values().for_each(|running| running.stop.cancel());
        let deadline = Instant::now() + self.grace;
        let mut tick = interval(POLL_INTERVAL);
        loop {
            tokio::select! {
                ended = self.workers.join_next() => if ended.is_none() { return },
                _ = tick.tick() => self.keep_leases().await,
                () = sleep_until(deadline) => break,
            }
        }
        tracing::info!(
            webhooks = self.workers.len(),
            "messages still in flight will be sent again after the next start"
        );
        self.workers.shutdown().await;
    }

    fn forget_ended(&mut self) {
        self.running.retain(|_, running| !running.task.is_finished());
    }

    /// Prolongs the leases in time; ends all workers if that has failed for too long, or if this process stood still for
    /// so long, since others may have them by now.
    async fn keep_leases(&mut self) {
        if !self.shared.ledger.has_terms() || self.renewed_at.elapsed() < RENEW_INTERVAL {
            return;
        }
        self.end_lapsed().await;
        let begun_at = Instant::now();
        match timeout(RENEW_INTERVAL, self.shared.ledger.renew()).await {
            Ok(Ok(())) => {
                self.renewed_at = begun_at;
                self.shared.term.prolong(begun_at, LEASE);
            }
            Ok(Err(error)) => tracing::warn!(%error, "the leases of webhooks cannot be renewed; trying again"),
            Err(_) => tracing::warn!("the leases of webhooks cannot be renewed in time; trying again"),
        }
        self.end_lapsed().await;
    }

    /// No worker of before sees a new term.
    async fn end_lapsed(&mut self) {
        if self.shared.term.is_over() && !self.workers.is_empty() {
            tracing::error!("the leases of webhooks are lost; sending begins again when the database answers");
            self.workers.shutdown().await;
            self.running.clear();
        }
    }

    /// Compares the webhooks with the workers.
    async fn look(&mut self) -> Result<(), ledger::Error> {
        let enabled = self.shared.ledger.enabled().await?;
        let others = enabled.iter().filter(|listed| !listed.is_free).map(|listed| listed.free_in);
        // A little later: a lease is free after its end, not at it.
        self.free_at = others.min().map(|rest| Instant::now() + rest + LOOK_AFTER);
        let ids: HashSet<_> = enabled.iter().map(|listed| listed.id).collect();
        for (_, running) in self.running.iter().filter(|(id, _)| !ids.contains(id)) {
            running.stop.cancel();
        }
        self.unreadable.retain(|id, _| ids.contains(id));
        for listed in enabled {
            if self.unreadable.get(&listed.id) == Some(&listed.updated_at) {
                continue;
            }
            match self.running.get(&listed.id) {
                None if listed.is_free => self.start(listed).await?,
                None => {}
                // The next look comes after it has ended.
                Some(running) if running.stop.is_cancelled() => {}
                Some(running) if !listed.is_free => running.task.abort(),
                Some(running) if running.updated_at != listed.updated_at => self.change(listed).await?,
                Some(_) => {}
            }
            self.nudge(listed);
        }
        Ok(())
    }

    /// Has a worker look for due deliveries, if somebody has made one due.
    fn nudge(&mut self, listed: Listed) {
        if let Some(running) = self.running.get_mut(&listed.id)
            && running.nudges != listed.nudges
        {
            running.nudges = listed.nudges;
            running.target.send_modify(|_| ());
        }
    }

    async fn start(&mut self, listed: Listed) -> Result<(), ledger::Error> {
        let Some((updated_at, target)) = self.target(listed.id).await? else { return Ok(()) };
        let (target, targets) = watch::channel(target);
        let stop = CancellationToken::new();
        let task = self.workers.spawn(worker::run(Arc::clone(&self.shared), listed.id, targets, stop.clone()));
        self.running.insert(listed.id, Running { updated_at, nudges: listed.nudges, target, stop, task });
        Ok(())
    }

    async fn change(&mut self, listed: Listed) -> Result<(), ledger::Error> {
        let changed = self.target(listed.id).await?;
        let Some(running) = self.running.get_mut(&listed.id) else { return Ok(()) };
        match changed {
            // What it holds is arranged anew by the next worker, when this one has ended.
            Some((_, target)) if target.is_arranged_unlike(&running.target.borrow()) => running.stop.cancel(),
            Some((updated_at, target)) => {
                running.updated_at = updated_at;
                running.target.send_replace(target);
            }
            None => running.stop.cancel(),
        }
        Ok(())
    }

    /// What the worker of a webhook needs; `None` if nothing can be sent for it. Then it is gone, or disabled now, or another
    /// process may read its secrets.
    async fn target(&mut self, id: WebhookId) -> Result<Option<(i64, Arc<Target>)>, ledger::Error> {
        let Some(mut webhook) = self.shared.ledger.load(id).await? else { return Ok(None) };
        let mut target = self.targets.of(&webhook);
        if matches!(target, Err(TargetError::Invalid(_)))
            && let Some(query) = self.rewritten(&webhook)
        {
            webhook.query = query;
            target = self.targets.of(&webhook);
            if target.is_ok() {
                tracing::info!(webhook.id = %id, "the document of a webhook is written anew from its events");
                self.shared.ledger.rewrite(id, webhook.updated_at, &webhook.query).await?;
            }
        }
        match target {
            Ok(target) => Ok(Some((webhook.updated_at, Arc::new(target)))),
            Err(error @ TargetError::Sealed(_)) => {
                tracing::error!(webhook.id = %id, %error, "this server cannot send for a webhook");
                self.unreadable.insert(id, webhook.updated_at);
                Ok(None)
            }
            Err(TargetError::Invalid(reason)) => {
                tracing::warn!(webhook.id = %id, reason, "a webhook is disabled");
                self.shared.ledger.disable(id, webhook.updated_at, &reason).await?;
                Ok(None)
            }
        }
    }

    /// The document that the event names of a webhook are short for now: the resource file has changed since it was
    /// written. `None` if the document was given, or if the names select nothing any more.
    fn rewritten(&self, webhook: &Webhook) -> Option<String> {
        let (names, catalog) = (webhook.events.as_ref()?, &self.catalog);
        let selected = events::resources(catalog, names).ok()?;
        Some(events::document(catalog, names, &selected, &webhook.principal))
    }
}

#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod tests;
