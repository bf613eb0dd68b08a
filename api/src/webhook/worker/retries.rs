//! Deliveries that are tried again, from the table into the hands of a worker.

use std::collections::HashSet;
use std::time::Duration;

use entity::{DeliveryId, WebhookId};
use tokio::time::Instant;

use super::Worker;
use crate::webhook::clock::micros;
use crate::webhook::ledger::waiting::Due;
use crate::webhook::ledger::{self, Ledger};

/// Retries that are read at a time at least, however few may be in flight: each look costs a statement.
const READ_AHEAD: usize = 64;
/// How long a worker waits after a failure of the database.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// Others may ask for retries, so no timer is longer than this.
const MAX_TIMER: Duration = Duration::from_secs(60);

impl Worker {
    /// When retries are to be loaded; `None` while there is no room for any, or nothing may be sent.
    pub(super) fn due_at(&self) -> Option<Instant> {
        if !self.due.is_empty() || !self.may_start() {
            return None;
        }
        let now = Instant::now();
        let due_at = now + self.shared.clock.until(self.next_due).min(MAX_TIMER);
        Some(due_at.max(self.pace.opens_at(now)?))
    }

    pub(super) async fn load_due(&mut self) {
        self.count_pending().await;
        let now = self.shared.clock.now();
        let (max_in_flight, is_batched) = {
            let target = self.target.borrow();
            (target.max_in_flight, target.batching.is_some())
        };
        // Rows of busy deliveries still look due, so as many more are read.
        let limit = max_in_flight.max(READ_AHEAD) + self.busy.len();
        let (id, ledger) = (self.lease.webhook, self.shared.ledger.clone());
        match read_due(&ledger, id, now, limit, is_batched, &self.busy).await {
            Ok((due, next_due)) => {
                self.busy.extend(due.requests.iter().flatten().map(|job| job.delivery));
                self.due.extend(due.requests);
                let look_again_at = now + micros(MAX_TIMER);
                self.next_due = next_due.map_or(look_again_at, |at| at.min(look_again_at));
            }
            Err(error) => {
                tracing::warn!(webhook.id = %id, %error, "retries cannot be read; trying again");
                self.next_due = now + micros(PAUSE_AFTER_ERROR);
            }
        }
    }

    /// Counts the deliveries that wait, after others may have put some in line. What is being committed would be counted
    /// wrongly, so then it is left for later.
    async fn count_pending(&mut self) {
        if !self.must_count || self.commit.is_some() || !self.outcomes.is_empty() {
            return;
        }
        match self.shared.ledger.pending(self.lease.webhook).await {
            Ok(pending) => {
                self.gauges.set_pending(pending);
                self.must_count = false;
            }
            Err(error) => tracing::warn!(webhook.id = %self.lease.webhook, %error, "deliveries cannot be counted"),
        }
    }
}

/// What is due, and when the next look is to be taken.
async fn read_due(
    ledger: &Ledger,
    id: WebhookId,
    now: i64,
    limit: usize,
    is_batched: bool,
    busy: &HashSet<DeliveryId>,
) -> Result<(Due, Option<i64>), ledger::Error> {
    let due = ledger.due(id, now, limit, is_batched, busy).await?;
    let next_due = match due.is_all {
        true => ledger.next_due(id, now).await?,
        false => Some(now),
    };
    Ok((due, next_due))
}
