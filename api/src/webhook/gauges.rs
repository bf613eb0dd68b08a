//! How the webhooks of this process fare, in numbers: for `/metrics`.
//!
//! | name | |
//! |---|---|
//! | `tandem_webhook_attempts_total{outcome}` | requests that ended: `succeeded`, or the code of the error in lower case |
//! | `tandem_webhook_lag_events{webhook}` | events of the log after the webhook's durable position |
//! | `tandem_webhook_lag_seconds{webhook}` | the age of the first of them; 0 if there is none |
//! | `tandem_webhook_in_flight{webhook}` | requests that are on their way |
//! | `tandem_webhook_retry_queue{webhook}` | deliveries that wait for their time or their turn |
//! | `tandem_webhook_breaker_state{webhook}` | 0 closed, 1 half-open, 2 open |
//!
//! A webhook is there as long as this process sends for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use entity::{Position, WebhookId};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;

use super::pace::State;
use super::row::Webhook;
use super::send::Attempt;
use crate::catalog::datum::now_micros;
use crate::catalog::type_id;
use crate::log::Hub;
use crate::metrics::Metrics;

/// The numbers of all webhooks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Counters {
    attempts: Family<[(&'static str, String); 1], Counter>,
    webhooks: Arc<Mutex<HashMap<WebhookId, Weak<Gauges>>>>,
}

/// The numbers of one webhook, which its worker keeps true.
#[derive(Debug, Default)]
pub struct Gauges {
    position: AtomicI64,
    /// When the newest message that was taken from the log happened.
    taken_at: AtomicI64,
    in_flight: AtomicI64,
    pending: AtomicI64,
    breaker: AtomicI64,
}

impl Counters {
    /// Shows them among the metrics of the process.
    pub fn new(metrics: &Metrics, hub: Hub) -> Self {
        let counters = Self { attempts: Family::default(), webhooks: Arc::default() };
        metrics.register(|registry| {
            let attempts = "Requests to webhooks that ended, by what came of them";
            registry.register("tandem_webhook_attempts", attempts, counters.attempts.clone());
            registry.register_collector(Box::new(Webhooks { webhooks: Arc::clone(&counters.webhooks), hub }));
        });
        counters
    }

    /// A request has ended.
    pub fn attempted(&self, attempt: &Attempt) {
        let outcome = match &attempt.error {
            None => "succeeded".to_owned(),
            Some(error) => error.code.name().to_ascii_lowercase(),
        };
        self.attempts.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// The numbers of a webhook that this process sends for from now on, as long as they are kept.
    pub fn webhook(&self, id: WebhookId, pending: i64, position: Position) -> Arc<Gauges> {
        let gauges = Arc::new(Gauges::default());
        gauges.pending(pending);
        gauges.handled(position);
        let mut webhooks = self.webhooks.lock().expect("nobody panics while holding the numbers");
        webhooks.retain(|_, gauges| gauges.strong_count() > 0);
        webhooks.insert(id, Arc::downgrade(&gauges));
        gauges
    }
}

impl Gauges {
    /// Requests in flight, and the breaker.
    pub fn show(&self, in_flight: usize, breaker: State) {
        self.in_flight.store(in_flight as i64, Ordering::Relaxed);
        self.breaker.store(breaker.number(), Ordering::Relaxed);
    }

    /// So many more deliveries are pending.
    pub fn pending(&self, more: i64) {
        self.pending.fetch_add(more, Ordering::Relaxed);
    }

    /// So many deliveries are pending.
    pub fn set_pending(&self, count: i64) {
        self.pending.store(count, Ordering::Relaxed);
    }

    /// Everything up to here is durable.
    pub fn handled(&self, position: Position) {
        self.position.store(position.get(), Ordering::Relaxed);
    }

    /// An event of this time, in microseconds since 1970, was taken from the log.
    pub fn took(&self, at: i64) {
        self.taken_at.store(at, Ordering::Relaxed);
    }

    fn lag_events(&self, hub: &Hub) -> i64 {
        (hub.tail().get() - self.position.load(Ordering::Relaxed)).max(0)
    }

    fn lag_s(&self, hub: &Hub) -> f64 {
        let Ok(position) = Position::new(self.position.load(Ordering::Relaxed)) else { return 0.0 };
        if hub.tail() <= position {
            return 0.0;
        }
        // Far behind, the time of what was taken last is close enough, and needs no look at the database.
        let since = hub.recent(position.next()).map_or_else(|| self.taken_at.load(Ordering::Relaxed), |event| event.at);
        if since == 0 { 0.0 } else { now_micros().saturating_sub(since).max(0) as f64 / 1e6 }
    }
}

/// What is asked for when the metrics are.
struct Webhooks {
    webhooks: Arc<Mutex<HashMap<WebhookId, Weak<Gauges>>>>,
    hub: Hub,
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhooks").finish_non_exhaustive()
    }
}

impl Collector for Webhooks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let all: Vec<_> = {
            let webhooks = self.webhooks.lock().expect("nobody panics while holding the numbers");
            let label = |id: &WebhookId| [("webhook", type_id::format(Webhook::PREFIX, id.get()))];
            webhooks.iter().filter_map(|(id, gauges)| Some((label(id), gauges.upgrade()?))).collect()
        };
        let hub = &self.hub;
        let mut show = |name: &str, help: &str, value: &dyn Fn(&Gauges) -> f64| {
            let mut descriptor = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            all.iter().try_for_each(|(label, gauges)| {
                let encoder: MetricEncoder<'_> = descriptor.encode_family(label)?;
                ConstGauge::new(value(gauges)).encode(encoder)
            })
        };
        let load = |number: &AtomicI64| number.load(Ordering::Relaxed) as f64;
        show("tandem_webhook_lag_events", "Events after the durable position", &|g| g.lag_events(hub) as f64)?;
        show("tandem_webhook_lag_seconds", "Age of the first event after the durable position", &|g| g.lag_s(hub))?;
        show("tandem_webhook_in_flight", "Requests on their way", &|g| load(&g.in_flight))?;
        show("tandem_webhook_retry_queue", "Deliveries that wait", &|g| load(&g.pending).max(0.0))?;
        show("tandem_webhook_breaker_state", "0 closed, 1 half-open, 2 open", &|g| load(&g.breaker))
    }
}
