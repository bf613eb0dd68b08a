//! What is removed by age.

use std::time::Duration;

use clap::Args;

use super::values::duration;
use crate::retention;

/// What is kept for how long.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retention")]
pub struct RetentionSettings {
    /// How long the log keeps an event, at least 1d; older cursors get CURSOR_EXPIRED. 0s keeps all
    #[arg(long, env = "TANDEM_LOG_RETENTION", value_name = "DURATION", default_value = "30d", value_parser = duration)]
    pub log_retention: Duration,

    /// How many events the log keeps, beside those of the last day; 0 for no limit
    #[arg(long, env = "TANDEM_LOG_MAX_EVENTS", value_name = "COUNT", default_value_t = 0)]
    pub log_max_events: u64,

    /// How long deliveries of webhooks and their attempts are kept, those that failed as well; 0s keeps all
    #[arg(long, env = "TANDEM_WEBHOOK_RETENTION", value_name = "DURATION", default_value = "14d",
          value_parser = duration)]
    pub webhook_retention: Duration,
}

impl RetentionSettings {
    /// As the job takes them.
    pub fn options(&self) -> retention::Settings {
        let age = |age: Duration| (age > Duration::ZERO).then_some(age);
        retention::Settings {
            log_age: age(self.log_retention),
            log_events: (self.log_max_events > 0).then_some(self.log_max_events),
            delivery_age: age(self.webhook_retention),
        }
    }
}
