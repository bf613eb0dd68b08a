//! Numbers about the running server, in the text format of OpenMetrics, which Prometheus reads.
//!
//! Each part registers what it counts when it is made; what is only known when somebody asks is a collector. Names begin
//! with `tandem_` and the part. Labels are ids of Tandem's own things, never data, names or addresses. Knows no other part.

use std::sync::{Arc, Mutex};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// The type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All numbers of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// Adds what a part counts.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().expect("nobody panics while holding the registry"));
    }

    /// All of them, as they are now.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().expect("nobody panics while holding the registry");
        encode(&mut text, &registry).expect("writing to a string does not fail");
        text
    }
}
