//! Keeps one worker running for each enabled webhook whose lease this process can get.
//!
//! It learns of new, changed and deleted webhooks by a [`Wake`] from the registry of this process, and looks by itself
//! every second for what other nodes did. Losing a wake-up costs latency only.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use entity::WebhookId;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::ledger::{self, LEASE, Ledger, Listed};
use super::registry::events;
use super::render::Render;
use super::retry::Schedule;
use super::row::Webhook;
use super::send::Sender;
use super::target::Target;
use super::wake::Wake;
use super::worker::{self, Shared};
use crate::catalog::Catalog;
use crate::database::Database;
use crate::log::Hub;
use crate::store::writer::Writer;

/// How often it looks for what other nodes did.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often leases are prolonged, and how long that may take.
const RENEW_INTERVAL: Duration = Duration::from_millis(LEASE.as_millis() as u64 / 3);
/// Requests of all webhooks at the same time, besides one for each webhook.
const MAX_SHARED_IN_FLIGHT: usize = 2048;

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
    /// Runs the documents.
    pub render: Arc<dyn Render>,
    /// Sends the messages.
    pub sender: Sender,
    /// Shared with the registry.
    pub wake: Wake,
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
}

impl Default for Settings {
    fn default() -> Self {
        Self { schedule: Schedule::default(), timeout: Duration::from_secs(15), grace: Duration::from_secs(10) }
    }
}

/// The dispatcher of one process.
pub struct Dispatcher {
    shared: Arc<Shared>,
    render: Arc<dyn Render>,
    wake: Wake,
    grace: Duration,
    workers: JoinSet<()>,
    running: HashMap<WebhookId, Running>,
    renewed_at: Instant,
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
    /// A dispatcher that does nothing yet.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let shared = Shared {
            ledger: Ledger::new(parts.database, parts.writer),
            hub: parts.hub,
            catalog: parts.catalog,
            sender: parts.sender,
            schedule: settings.schedule,
            timeout: settings.timeout,
            permits: Arc::new(Semaphore::new(MAX_SHARED_IN_FLIGHT)),
        };
        Self {
            shared: Arc::new(shared),
            render: parts.render,
            wake: parts.wake,
            grace: settings.grace,
            workers: JoinSet::new(),
            running: HashMap::new(),
            renewed_at: Instant::now(),
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
                Some(_) = self.workers.join_next() => {
                    // A worker that ended is started again by the next look, not at once: it may have failed.
                    self.forget_ended();
                    continue;
                }
            }
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

    /// Prolongs the leases in time; ends all workers if that has failed for too long, since others may have them by now.
    async fn keep_leases(&mut self) {
        if self.renewed_at.elapsed() < RENEW_INTERVAL {
            return;
        }
        let begun_at = Instant::now();
        match timeout(RENEW_INTERVAL, self.shared.ledger.renew()).await {
            Ok(Ok(())) => self.renewed_at = begun_at,
            Ok(Err(error)) => tracing::warn!(%error, "the leases of webhooks cannot be renewed; trying again"),
            Err(_) => tracing::warn!("the leases of webhooks cannot be renewed in time; trying again"),
        }
        if self.renewed_at.elapsed() > LEASE && !self.workers.is_empty() {
            tracing::error!("the leases of webhooks are lost; sending begins again when the database answers");
            self.workers.abort_all();
        }
    }

    /// Compares the webhooks with the workers.
    async fn look(&mut self) -> Result<(), ledger::Error> {
        let enabled = self.shared.ledger.enabled().await?;
        let ids: HashSet<_> = enabled.iter().map(|listed| listed.id).collect();
        for (_, running) in self.running.iter().filter(|(id, _)| !ids.contains(id)) {
            running.stop.cancel();
        }
        for listed in enabled {
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
            Some((updated_at, target)) => {
                running.updated_at = updated_at;
                running.target.send_replace(target);
            }
            None => running.stop.cancel(),
        }
        Ok(())
    }

    /// What the worker of a webhook needs; `None` if nothing can be sent for it. Then it is gone, or disabled now.
    async fn target(&self, id: WebhookId) -> Result<Option<(i64, Arc<Target>)>, ledger::Error> {
        let Some(mut webhook) = self.shared.ledger.load(id).await? else { return Ok(None) };
        let mut target = Target::new(&webhook, &*self.render);
        if target.is_err()
            && let Some(query) = self.rewritten(&webhook)
        {
            webhook.query = query;
            target = Target::new(&webhook, &*self.render);
            if target.is_ok() {
                tracing::info!(webhook.id = %id, "the document of a webhook is written anew from its events");
                self.shared.ledger.rewrite(id, webhook.updated_at, &webhook.query).await?;
            }
        }
        match target {
            Ok(target) => Ok(Some((webhook.updated_at, Arc::new(target)))),
            Err(reason) => {
                tracing::warn!(webhook.id = %id, reason, "a webhook is disabled");
                self.shared.ledger.disable(id, webhook.updated_at, &reason).await?;
                Ok(None)
            }
        }
    }

    /// The document that the event names of a webhook are short for now: the resource file has changed since it was
    /// written. `None` if the document was given, or if the names select nothing any more.
    fn rewritten(&self, webhook: &Webhook) -> Option<String> {
        let (names, catalog) = (webhook.events.as_ref()?, &self.shared.catalog);
        let selected = events::resources(catalog, names).ok()?;
        Some(events::document(catalog, names, &selected, &webhook.principal))
    }
}

#[cfg(test)]
mod tests;
