//! What was asked for, and whether it was reached.

use crate::table::Table;

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
        assert_eq!((text.matches("yes").count(), text.matches("NO").count(), text.matches("4.99").count()), (1, 1, 1));
    }
}
