//! Takes the text of a statement apart, part by part. The form is told in `part`.

use uuid::Uuid;

use super::part::is_sized;
use crate::catalog::{Datum, FieldType, Scalar};
use crate::database::Dialect;

/// Reads from the left to the right. `None` anywhere means that the text is not what was asked for.
pub(super) struct Scanner<'t> {
    rest: &'t str,
    dialect: Dialect,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(dialect: Dialect, text: &'t str) -> Self {
        Self { rest: text, dialect }
    }

    /// Which database wrote it.
    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether all of it is read.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes this character if it comes next.
    pub(super) fn take(&mut self, character: u8) -> bool {
        let is_next = self.rest.as_bytes().first() == Some(&character);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    /// Takes this character, which must come next.
    pub(super) fn expect(&mut self, character: u8) -> Option<()> {
        self.take(character).then_some(())
    }

    /// Takes what is before the next mark.
    pub(super) fn plain(&mut self) -> Option<&'t str> {
        let end = self.rest.bytes().position(|byte| matches!(byte, b',' | b';' | b']'));
        let (part, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!part.is_empty()).then_some(part)
    }

    /// Takes a UUID, whose length is known.
    fn uuid(&mut self) -> Option<Uuid> {
        let length = match self.dialect {
            Dialect::Sqlite => "0190a0b0111172228333444455556666".len(),
            Dialect::Postgres => "0190a0b0-1111-7222-8333-444455556666".len(),
        };
        let id = Uuid::try_parse_ascii(self.rest.as_bytes().get(..length)?).ok()?;
        self.rest = self.rest.get(length..)?;
        Some(id)
    }

    /// A whole number.
    pub(super) fn number(&mut self) -> Option<i64> {
        self.plain()?.parse().ok()
    }

    /// Whether a test holds.
    pub(super) fn boolean(&mut self) -> Option<bool> {
        boolean(self.plain()?)
    }

    /// A text behind its length; `None` inside for null.
    pub(super) fn sized(&mut self) -> Option<Option<&'t str>> {
        let length = self.number()?;
        let Ok(length) = usize::try_from(length) else { return Some(None) };
        self.expect(b',')?;
        let text = self.rest.get(..length)?;
        self.rest = &self.rest[length..];
        Some(Some(text))
    }

    /// A value of a field of this type.
    pub(super) fn datum(&mut self, ty: &FieldType) -> Option<Datum> {
        if is_sized(ty) {
            return match self.sized()? {
                None => Some(Datum::Null),
                Some(text) => sized_datum(ty, text),
            };
        }
        if self.take(b'!') {
            return Some(Datum::Null);
        }
        match ty {
            FieldType::RowId | FieldType::ToOne { .. } | FieldType::Scalar(Scalar::Uuid) => {
                self.uuid().map(Datum::Uuid)
            }
            FieldType::Scalar(scalar) => {
                let text = self.plain()?;
                self.scalar(*scalar, text)
            }
            FieldType::ToMany { .. } | FieldType::Enum(_) | FieldType::ScalarList(_) | FieldType::EnumList(_) => None,
        }
    }

    fn scalar(&self, scalar: Scalar, text: &str) -> Option<Datum> {
        Some(match scalar {
            Scalar::Int | Scalar::BigInt => Datum::Int(text.parse().ok()?),
            Scalar::Float => Datum::Float(text.parse().ok().filter(|float: &f64| float.is_finite())?),
            Scalar::Boolean => Datum::Bool(boolean(text)?),
            Scalar::Decimal { scale, .. } => match self.dialect {
                Dialect::Sqlite => Datum::Decimal(text.parse().ok()?),
                Dialect::Postgres => Datum::decimal(text, scale)?,
            },
            Scalar::DateTime => Datum::instant(match self.dialect {
                Dialect::Sqlite => text.parse().ok()?,
                Dialect::Postgres => postgres_instant(text)?,
            })?,
            Scalar::Date => Datum::Text(text.to_owned()),
            Scalar::Uuid | Scalar::String | Scalar::Id | Scalar::Json => return None,
        })
    }
}

fn sized_datum(ty: &FieldType, text: &str) -> Option<Datum> {
    match ty {
        FieldType::Enum(_) | FieldType::Scalar(Scalar::String | Scalar::Id) => Some(Datum::Text(text.to_owned())),
        // The JSON value null is not the absence of a value, which the length tells.
        FieldType::Scalar(_) | FieldType::ScalarList(_) | FieldType::EnumList(_) => {
            Datum::from_image(ty, &serde_json::from_str(text).ok()?)
        }
        FieldType::RowId | FieldType::ToOne { .. } | FieldType::ToMany { .. } => None,
    }
}

/// PostgreSQL writes a boolean as one letter, and one that is cast as a word.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "true" => Some(true),
        "0" | "f" | "false" => Some(false),
        _ => None,
    }
}

/// Microseconds since 1970 of what PostgreSQL writes in UTC: `2026-01-31 12:00:00.5+00`.
fn postgres_instant(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix("+00")?.split_once(' ')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i64>().ok())?;
    let mut date = date.split('-');
    let (year, month, day) = (digits(date.next()?)?, digits(date.next()?)?, digits(date.next()?)?);
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut time = time.split(':');
    let (hour, minute, second) = (digits(time.next()?)?, digits(time.next()?)?, digits(time.next()?)?);
    let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = time::Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    let days = i64::from(date.to_julian_day()) - i64::from(time::macros::date!(1970 - 01 - 01).to_julian_day());
    let micros = match fraction.len() {
        0 => 0,
        length @ 1..=6 => digits(fraction)? * 10_i64.pow(6 - length as u32),
        _ => return None,
    };
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_one_after_the_other() {
        let mut scanner = Scanner::new(Dialect::Postgres, "12.50,-1,5,a,;]é,t,!]");
        let price = FieldType::Scalar(Scalar::Decimal { precision: 12, scale: 2 });
        assert_eq!(scanner.datum(&price), Some(Datum::Decimal(1250)));
        scanner.expect(b',').unwrap();
        assert_eq!(scanner.sized(), Some(None));
        scanner.expect(b',').unwrap();
        assert_eq!(scanner.sized(), None, "five bytes end inside of a character");

        let mut scanner = Scanner::new(Dialect::Postgres, "6,a,;]é,t,!]");
        assert_eq!(scanner.sized(), Some(Some("a,;]é")));
        scanner.expect(b',').unwrap();
        assert_eq!(scanner.boolean(), Some(true));
        scanner.expect(b',').unwrap();
        assert_eq!(scanner.datum(&price), Some(Datum::Null));
        assert!(!scanner.is_at_end() && scanner.take(b']') && scanner.is_at_end());
        assert_eq!(scanner.plain(), None);
    }

    #[test]
    fn instants_of_postgresql() {
        for text in [
            "2026-01-31T12:00:00.123456Z",
            "1969-12-31T23:59:59.5Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            let written = text.replace('T', " ").replace('Z', "+00");
            assert_eq!(postgres_instant(&written), crate::catalog::datum::parse_instant(text), "{text}");
        }
        for text in
            ["", "2026-01-31", "2026-01-31 12:00:00", "2026-02-30 00:00:00+00", "0044-03-15 00:00:00+00 BC", "infinity"]
        {
            assert_eq!(postgres_instant(text), None, "{text}");
        }
    }
}
