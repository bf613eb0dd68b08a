//! The sum of floats that does not depend on their order: `tandem_float_sum(x)` for SQLite.
//!
//! Databases add floats one after the other and round each time, each in its own order and manner, so that the same rows
//! have different sums. Here they are added as the decimal numbers that clients see, exactly, and whoever reads the sum
//! rounds it once. PostgreSQL does the same with `numeric`.

use rusqlite::functions::{Aggregate, Context};

/// 10 to this power is the unit of the first bin: less than the last digit of the least float.
const LEAST_EXPONENT: i32 = -345;

/// A bin for each power of ten up to beyond the greatest float, and as many as the sum of 2^63 of them may need.
const BINS: usize = 700;

/// Numbers of units of each power of ten. A float has at most 17 digits, so no number of rows makes a bin overflow.
#[derive(Clone)]
pub(super) struct Sum(Box<[i128; BINS]>);

impl Sum {
    pub(super) fn new() -> Self {
        Self(Box::new([0; BINS]))
    }

    /// Adds a finite float.
    pub(super) fn add(&mut self, float: f64) {
        // The shortest digits that are this float again: `-1.2345e-7`.
        let text = format!("{float:e}");
        let (digits, exponent) = text.split_once('e').expect("a finite float has an exponent in this form");
        let places = digits.split_once('.').map_or(0, |(_, places)| places.len());
        let units = digits.bytes().filter(u8::is_ascii_digit).fold(0, |n, digit| n * 10 + i128::from(digit - b'0'));
        let exponent: i32 = exponent.parse().expect("the exponent of a float is a small number");
        let bin = exponent - places as i32 - LEAST_EXPONENT;
        let bin = usize::try_from(bin).expect("no float has digits below the first bin");
        self.0[bin] += if float < 0.0 { -units } else { units };
    }

    /// The sum as a decimal number with an exponent.
    pub(super) fn text(&self) -> String {
        let (digits, carry) = self.digits(1);
        let (sign, digits) = if carry < 0 { ("-", self.digits(-1).0) } else { ("", digits) };
        let digits: String = digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect();
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}e{LEAST_EXPONENT}") }
    }

    /// The digits of the sum, or of its opposite, from the last one on; and what is left over, which is negative if it is.
    fn digits(&self, sign: i128) -> ([u8; BINS], i128) {
        let mut digits = [0; BINS];
        let mut carry = 0;
        for (digit, bin) in digits.iter_mut().zip(&*self.0) {
            let units = sign * bin + carry;
            *digit = u8::try_from(units.rem_euclid(10)).expect("a remainder of ten is a digit");
            carry = units.div_euclid(10);
        }
        (digits, carry)
    }
}

/// The function: of no floats, or only nulls, null.
pub(super) struct FloatSum;

impl Aggregate<Option<Sum>, Option<String>> for FloatSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<Sum>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Option<Sum>) -> rusqlite::Result<()> {
        if let Some(float) = context.get::<Option<f64>>(0)?.filter(|float| float.is_finite()) {
            sum.get_or_insert_with(Sum::new).add(float);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Option<Sum>>) -> rusqlite::Result<Option<String>> {
        Ok(sum.flatten().map(|sum| sum.text()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(floats: &[f64]) -> f64 {
        let mut sum = Sum::new();
        floats.iter().for_each(|float| sum.add(*float));
        sum.text().parse().unwrap()
    }

    #[test]
    fn decimals_are_added_as_they_are_written() {
        for (floats, expected) in [
            (&[][..], 0.0),
            (&[0.1, 0.2], 0.3),
            (&[-0.1, -0.2], -0.3),
            (&[1e308, 1.0, -1e308], 1.0),
            (&[5e-324, 5e-324], 1e-323),
            (&[1e22, -1e22, 0.5, -0.5], 0.0),
            (&[f64::MAX, f64::MAX], f64::INFINITY),
            (&[f64::MIN, f64::MAX], 0.0),
            (&[-1.5, 0.25], -1.25),
        ] {
            assert_eq!(sum(floats).to_bits(), expected.to_bits(), "{floats:?}");
        }
    }

    proptest! {
        #[test]
        fn one_float_is_its_own_sum(float in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL) {
            prop_assert_eq!(sum(&[float]), float);
            prop_assert_eq!(sum(&[float, float, -float]), float);
        }

        #[test]
        fn the_order_does_not_matter(mut floats in prop::collection::vec(prop::num::f64::NORMAL, 0..20)) {
            let forward = sum(&floats);
            floats.reverse();
            prop_assert_eq!(sum(&floats), forward);
        }
    }
}
