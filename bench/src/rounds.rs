//! Two cases that take turns in one run, so that whatever else the machine does hits both.

use anyhow::Result;

use crate::table::thousands;

/// What was measured, one figure for each round.
#[derive(Debug, Clone, Default)]
pub struct Rounds {
    figures: Vec<f64>,
}

impl Rounds {
    /// Adds the figure of a round.
    pub fn push(&mut self, figure: f64) {
        self.figures.push(figure);
    }

    /// The least figure; zero if there is none.
    pub fn min(&self) -> f64 {
        self.sorted().first().copied().unwrap_or_default()
    }

    /// The greatest figure; zero if there is none.
    pub fn max(&self) -> f64 {
        self.sorted().last().copied().unwrap_or_default()
    }

    /// The middle figure, or the mean of the two in the middle; zero if there is none.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let at = |i: usize| sorted.get(i).copied().unwrap_or_default();
        let half = sorted.len() / 2;
        if sorted.len() % 2 == 1 { at(half) } else { (at(half.saturating_sub(1)) + at(half)) / 2.0 }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.figures.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The cells of a table: median, least and greatest.
    pub fn cells(&self) -> [String; 3] {
        [self.median(), self.min(), self.max()].map(thousands)
    }
}

/// Measures `ours` and `theirs` in turn, so many times each.
pub async fn alternate(
    rounds: usize,
    mut ours: impl AsyncFnMut() -> Result<f64>,
    mut theirs: impl AsyncFnMut() -> Result<f64>,
) -> Result<(Rounds, Rounds)> {
    let (mut a, mut b) = (Rounds::default(), Rounds::default());
    for _ in 0..rounds {
        a.push(ours().await?);
        b.push(theirs().await?);
    }
    Ok((a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn cases_take_turns() {
        let order = std::cell::RefCell::new(Vec::new());
        let case = async |figure: f64| {
            order.borrow_mut().push(figure);
            Ok(figure)
        };
        let (a, b) = alternate(2, async || case(3.0).await, async || case(1.0).await).await.unwrap();
        assert_eq!(*order.borrow(), [3.0, 1.0, 3.0, 1.0]);
        assert_eq!((a.median(), b.median()), (3.0, 1.0));
    }

    #[test]
    fn medians_stand_in_the_middle() {
        let rounds = |figures: &[f64]| Rounds { figures: figures.to_vec() };
        assert_eq!(rounds(&[]).median(), 0.0);
        assert_eq!(rounds(&[5.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(rounds(&[5.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert_eq!(rounds(&[4000.0, 1000.0]).cells(), ["2,500", "1,000", "4,000"]);
    }
}
