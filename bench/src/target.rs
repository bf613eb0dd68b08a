//! What was asked for, and whether it was reached.

use std::time::Duration;

use crate::latency::Millis;
use crate::table::{Table, thousands};

/// One of the figures that the project promises.
#[derive(Debug)]
pub struct Target {
    /// What was measured.
    pub what: String,
    /// As measured.
    pub figure: String,
    /// Against what it is compared with; empty if the figure stands alone.
    pub ratio: String,
    /// `≥ 5`
    pub target: String,
    /// Whether it was reached.
    pub is_met: bool,
}

impl Target {
    /// A ratio that must not be less.
    pub fn at_least(what: String, figure: String, ratio: f64, least: f64) -> Self {
        let (shown, target) = (format!("{ratio:.2}"), format!("≥ {least}"));
        Self { what, figure, ratio: shown, target, is_met: ratio >= least }
    }

    /// A ratio that must not be more.
    pub fn ratio_at_most(what: String, figure: String, ratio: f64, most: f64) -> Self {
        let (shown, target) = (format!("{ratio:.2}"), format!("≤ {most}"));
        Self { what, figure, ratio: shown, target, is_met: ratio <= most }
    }

    /// A figure that must not be more.
    pub fn at_most(what: String, figure: String, value: f64, most: f64) -> Self {
        Self { what, figure, ratio: String::new(), target: format!("≤ {}", thousands(most)), is_met: value <= most }
    }

    /// A latency that must be shorter.
    pub fn under(what: String, latency: Millis, limit: Duration) -> Self {
        let target = format!("< {} ms", limit.as_secs_f64() * 1000.0);
        Self { what, figure: latency.to_string(), ratio: String::new(), target, is_met: latency.is_under(limit) }
    }

    /// A time that must be shorter.
    pub fn under_seconds(what: String, time: Duration, limit: Duration) -> Self {
        let (figure, target) = (format!("{:.2} s", time.as_secs_f64()), format!("< {} s", limit.as_secs()));
        Self { what, figure, ratio: String::new(), target, is_met: time < limit }
    }
}

/// One row per target.
pub fn table(targets: &[Target]) -> Table {
    let mut table = Table::new(&["target", "measured", "ratio", "target", "met"]);
    for target in targets {
        let met = if target.is_met { "yes" } else { "NO" };
        let cells = [&target.what, &target.figure, &target.ratio, &target.target].map(Clone::clone);
        table.row(cells.into_iter().chain([met.to_owned()]));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_not_met() {
        let target = |ratio| Target::at_least("x".to_owned(), "1".to_owned(), ratio, 5.0);
        assert!(target(5.0).is_met);
        let text = table(&[target(5.0), target(4.99)]).to_string();
        assert!(Target::ratio_at_most(String::new(), String::new(), 1.2, 1.2).is_met);
        assert!(!Target::at_most(String::new(), String::new(), 10.1, 10.0).is_met);
        assert!(!Target::under_seconds(String::new(), Duration::from_secs(2), Duration::from_secs(2)).is_met);
        assert_eq!((text.matches("yes").count(), text.matches("NO").count(), text.matches("4.99").count()), (1, 1, 1));
    }
}
