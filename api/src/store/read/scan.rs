//! Takes what a statement gave apart, part by part. The form is told in `part`.

use uuid::Uuid;

use super::part::is_sized;
use crate::catalog::{Datum, FieldType, Scalar};
use crate::database::{Dialect, Packed, Whole, unpack};

/// What is left to be read, from the left to the right. `None` anywhere means that it is not what was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scanner<'t> {
    /// Of PostgreSQL.
    Text(&'t str),
    /// Of SQLite.
    Packed(&'t [u8]),
}

/// Where rows stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// There is nothing else.
    All,
    /// Among the parts of a list.
    OfList,
    /// In brackets.
    InBrackets,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(whole: Whole<'t>) -> Self {
        match whole {
            Whole::Text(text) => Self::Text(text),
            Whole::Packed(bytes) => Self::Packed(bytes),
        }
    }

    /// Which database made it.
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Text(_) => Dialect::Postgres,
            Self::Packed(_) => Dialect::Sqlite,
        }
    }

    /// Whether all of it is read.
    pub(super) fn is_at_end(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Packed(bytes) => bytes.is_empty(),
        }
    }

    /// Takes this character of a text if it comes next.
    pub(super) fn take(&mut self, character: u8) -> bool {
        let Self::Text(text) = self else { return false };
        let is_next = text.as_bytes().first() == Some(&character);
        if is_next {
            *text = &text[1..];
        }
        is_next
    }

    /// Takes this character of a text, which must come next.
    fn expect(&mut self, character: u8) -> Option<()> {
        self.take(character).then_some(())
    }

    /// To be called between two parts.
    pub(super) fn separate(&mut self) -> Option<()> {
        match self {
            Self::Text(_) => self.expect(b','),
            Self::Packed(_) => Some(()),
        }
    }

    /// Takes the mark in front of an object.
    pub(super) fn mark(&mut self) -> Option<()> {
        match self {
            Self::Text(_) => self.expect(b'1'),
            Self::Packed(bytes) => (unpack(bytes)? == Packed::Int(1)).then_some(()),
        }
    }

    /// Goes into a part that has parts itself; gives what is around it, `None` inside if there is no such part.
    pub(super) fn enter(&mut self) -> Option<Option<Self>> {
        let Self::Packed(bytes) = self else { return Some(Some(*self)) };
        match unpack(bytes)? {
            Packed::Null => Some(None),
            Packed::Bytes(inside) => Some(Some(std::mem::replace(self, Self::Packed(inside)))),
            Packed::Int(_) | Packed::Float(_) | Packed::Text(_) => None,
        }
    }

    /// Leaves it again, all of it having been read.
    pub(super) fn leave(&mut self, around: Self) -> Option<()> {
        if let Self::Packed(inside) = self {
            inside.is_empty().then_some(())?;
            *self = around;
        }
        Some(())
    }

    /// Goes into rows; gives what is around them, `None` inside if there are none.
    pub(super) fn enter_rows(&mut self, rows: Rows) -> Option<Option<Self>> {
        let are_none = match (&self, rows) {
            (_, Rows::All) => return Some(Some(*self)),
            (Self::Packed(_), Rows::OfList | Rows::InBrackets) => return self.enter(),
            (Self::Text(_), Rows::OfList) => self.take(b']'),
            (Self::Text(_), Rows::InBrackets) => {
                self.expect(b'[')?;
                self.take(b']')
            }
        };
        Some((!are_none).then_some(*self))
    }

    /// Whether one more row follows.
    pub(super) fn has_row(&mut self) -> bool {
        match self {
            Self::Text(_) => self.take(b';'),
            Self::Packed(bytes) => !bytes.is_empty(),
        }
    }

    /// Leaves the rows again, all of them having been read.
    pub(super) fn leave_rows(&mut self, rows: Rows, around: Self) -> Option<()> {
        match (&self, rows) {
            (_, Rows::All) => Some(()),
            (Self::Packed(_), Rows::OfList | Rows::InBrackets) => self.leave(around),
            (Self::Text(_), Rows::OfList) => {
                self.expect(b',')?;
                self.expect(b']')
            }
            (Self::Text(_), Rows::InBrackets) => self.expect(b']'),
        }
    }

    /// Takes the part of a text that ends before the next mark.
    fn plain(&mut self) -> Option<&'t str> {
        let Self::Text(text) = self else { return None };
        let end = text.bytes().position(|byte| matches!(byte, b',' | b';' | b']'));
        let (part, rest) = text.split_at(end.unwrap_or(text.len()));
        *text = rest;
        (!part.is_empty()).then_some(part)
    }

    /// A whole number; `None` inside for null.
    pub(super) fn whole(&mut self) -> Option<Option<i64>> {
        if self.take(b'!') {
            return Some(None);
        }
        match self {
            Self::Text(_) => Some(Some(self.plain()?.parse().ok()?)),
            Self::Packed(bytes) => match unpack(bytes)? {
                Packed::Null => Some(None),
                Packed::Int(int) => Some(Some(int)),
                Packed::Float(_) | Packed::Text(_) | Packed::Bytes(_) => None,
            },
        }
    }

    /// A whole number that is not null.
    pub(super) fn number(&mut self) -> Option<i64> {
        self.whole()?
    }

    /// What is written as a text without marks; `None` inside for null.
    pub(super) fn word(&mut self) -> Option<Option<&'t str>> {
        if self.take(b'!') {
            return Some(None);
        }
        match self {
            Self::Text(_) => self.plain().map(Some),
            Self::Packed(bytes) => match unpack(bytes)? {
                Packed::Null => Some(None),
                Packed::Text(text) => Some(Some(text)),
                Packed::Int(_) | Packed::Float(_) | Packed::Bytes(_) => None,
            },
        }
    }

    /// Whether a test holds.
    pub(super) fn boolean(&mut self) -> Option<bool> {
        match self {
            Self::Text(_) => boolean(self.plain()?),
            Self::Packed(bytes) => match unpack(bytes)? {
                Packed::Int(int @ (0 | 1)) => Some(int == 1),
                Packed::Int(_) | Packed::Null | Packed::Float(_) | Packed::Text(_) | Packed::Bytes(_) => None,
            },
        }
    }

    /// A text behind its length; `None` inside for null.
    fn sized(&mut self) -> Option<Option<&'t str>> {
        let length: i64 = self.plain()?.parse().ok()?;
        let Ok(length) = usize::try_from(length) else { return Some(None) };
        self.expect(b',')?;
        let Self::Text(text) = self else { return None };
        let (part, rest) = text.split_at_checked(length)?;
        *text = rest;
        Some(Some(part))
    }

    /// A value of a field of this type.
    pub(super) fn datum(&mut self, ty: &FieldType) -> Option<Datum> {
        if let Self::Packed(bytes) = self {
            return of_packed(ty, unpack(bytes)?);
        }
        if is_sized(ty) {
            return match self.sized()? {
                None => Some(Datum::Null),
                Some(text) => of_text(ty, text),
            };
        }
        if self.take(b'!') {
            return Some(Datum::Null);
        }
        match ty {
            FieldType::RowId | FieldType::ToOne { .. } | FieldType::Scalar(Scalar::Uuid) => {
                self.uuid().map(Datum::Uuid)
            }
            FieldType::Scalar(scalar) => postgres_scalar(*scalar, self.plain()?),
            FieldType::ToMany { .. } | FieldType::Enum(_) | FieldType::ScalarList(_) | FieldType::EnumList(_) => None,
        }
    }

    /// Takes a UUID, whose length is known.
    fn uuid(&mut self) -> Option<Uuid> {
        let Self::Text(text) = self else { return None };
        let length = "0190a0b0-1111-7222-8333-444455556666".len();
        let id = Uuid::try_parse_ascii(text.as_bytes().get(..length)?).ok()?;
        *text = text.get(length..)?;
        Some(id)
    }
}

/// What SQLite holds.
fn of_packed(ty: &FieldType, value: Packed<'_>) -> Option<Datum> {
    Some(match (value, ty) {
        (Packed::Null, _) => Datum::Null,
        (Packed::Bytes(id), FieldType::RowId | FieldType::ToOne { .. } | FieldType::Scalar(Scalar::Uuid)) => {
            Datum::Uuid(Uuid::from_slice(id).ok()?)
        }
        (Packed::Int(int), FieldType::Scalar(Scalar::Int | Scalar::BigInt)) => Datum::Int(int),
        (Packed::Int(int @ (0 | 1)), FieldType::Scalar(Scalar::Boolean)) => Datum::Bool(int == 1),
        (Packed::Int(units), FieldType::Scalar(Scalar::Decimal { .. })) => Datum::Decimal(units),
        (Packed::Int(micros), FieldType::Scalar(Scalar::DateTime)) => Datum::instant(micros)?,
        (Packed::Float(float), FieldType::Scalar(Scalar::Float)) if float.is_finite() => Datum::Float(float),
        (Packed::Text(date), FieldType::Scalar(Scalar::Date)) => Datum::Text(date.to_owned()),
        (Packed::Text(text), ty) => of_text(ty, text)?,
        (Packed::Int(_) | Packed::Float(_) | Packed::Bytes(_), _) => return None,
    })
}

/// What both databases hold as a text.
fn of_text(ty: &FieldType, text: &str) -> Option<Datum> {
    match ty {
        FieldType::Enum(_) | FieldType::Scalar(Scalar::String | Scalar::Id) => Some(Datum::Text(text.to_owned())),
        // The JSON value null is not the absence of a value, which is told otherwise.
        FieldType::Scalar(Scalar::Json) | FieldType::ScalarList(_) | FieldType::EnumList(_) => {
            Datum::from_image(ty, &serde_json::from_str(text).ok()?)
        }
        FieldType::Scalar(_) | FieldType::RowId | FieldType::ToOne { .. } | FieldType::ToMany { .. } => None,
    }
}

fn postgres_scalar(scalar: Scalar, text: &str) -> Option<Datum> {
    Some(match scalar {
        Scalar::Int | Scalar::BigInt => Datum::Int(text.parse().ok()?),
        Scalar::Float => Datum::Float(text.parse().ok().filter(|float: &f64| float.is_finite())?),
        Scalar::Boolean => Datum::Bool(boolean(text)?),
        Scalar::Decimal { scale, .. } => Datum::decimal(text, scale)?,
        Scalar::DateTime => Datum::instant(postgres_instant(text)?)?,
        Scalar::Date => Datum::Text(text.to_owned()),
        Scalar::Uuid | Scalar::String | Scalar::Id | Scalar::Json => return None,
    })
}

/// PostgreSQL writes a boolean as one letter, and one that is cast as a word.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "t" | "true" => Some(true),
        "f" | "false" => Some(false),
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
    use crate::database::packed;

    const PRICE: FieldType = FieldType::Scalar(Scalar::Decimal { precision: 12, scale: 2 });

    #[test]
    fn parts_of_a_text_are_read_one_after_the_other() {
        let mut scanner = Scanner::Text("12.50,-1,5,a,;]é,t,!]");
        assert_eq!(scanner.datum(&PRICE), Some(Datum::Decimal(1250)));
        scanner.separate().unwrap();
        assert_eq!(scanner.sized(), Some(None));
        scanner.separate().unwrap();
        assert_eq!(scanner.sized(), None, "five bytes end inside of a character");

        let mut scanner = Scanner::Text("6,a,;]é,t,!]");
        assert_eq!(scanner.sized(), Some(Some("a,;]é")));
        scanner.separate().unwrap();
        assert_eq!(scanner.boolean(), Some(true));
        scanner.separate().unwrap();
        assert_eq!(scanner.datum(&PRICE), Some(Datum::Null));
        assert!(!scanner.is_at_end() && scanner.take(b']') && scanner.is_at_end());
        assert_eq!(scanner.plain(), None);
    }

    #[test]
    fn packed_values_have_to_be_of_their_type() {
        let of = |scalar| FieldType::Scalar(scalar);
        let id = Uuid::from_u128(7);
        for (ty, value, expected) in [
            (PRICE, Packed::Int(1250), Some(Datum::Decimal(1250))),
            (PRICE, Packed::Null, Some(Datum::Null)),
            (PRICE, Packed::Text("12.50"), None),
            (FieldType::RowId, Packed::Bytes(id.as_bytes()), Some(Datum::Uuid(id))),
            (FieldType::RowId, Packed::Bytes(&[7]), None),
            (of(Scalar::Boolean), Packed::Int(1), Some(Datum::Bool(true))),
            (of(Scalar::Boolean), Packed::Int(2), None),
            (of(Scalar::Float), Packed::Float(5e-324), Some(Datum::Float(5e-324))),
            (of(Scalar::Float), Packed::Float(f64::INFINITY), None),
            (of(Scalar::DateTime), Packed::Int(-1), Some(Datum::Instant(-1))),
            (of(Scalar::DateTime), Packed::Int(i64::MAX), None),
            (of(Scalar::Date), Packed::Text("2026-01-31"), Some(Datum::Text("2026-01-31".to_owned()))),
            (of(Scalar::String), Packed::Text("a,;]é"), Some(Datum::Text("a,;]é".to_owned()))),
            (of(Scalar::String), Packed::Bytes(b"a"), None),
            (of(Scalar::Json), Packed::Text("[1]"), Some(Datum::Json(Box::new(serde_json::json!([1]))))),
            (of(Scalar::Json), Packed::Text("{"), None),
        ] {
            assert_eq!(Scanner::Packed(&packed(&[value])).datum(&ty), expected, "{ty:?}, {value:?}");
        }
        let inner = packed(&[Packed::Int(1), Packed::Int(2)]);
        let bytes = packed(&[Packed::Bytes(&inner), Packed::Null, Packed::Int(3)]);
        let mut scanner = Scanner::Packed(&bytes);
        let around = scanner.enter_rows(Rows::OfList).unwrap().unwrap();
        assert_eq!(scanner.number(), Some(1));
        assert!(scanner.has_row() && scanner.leave_rows(Rows::OfList, around).is_none(), "a row is left");
        assert_eq!(scanner.number(), Some(2));
        assert!(!scanner.has_row());
        scanner.leave_rows(Rows::OfList, around).unwrap();
        assert!(scanner.enter().unwrap().is_none());
        assert!(scanner.enter().is_none(), "a number has no parts");
        assert!(scanner.is_at_end());
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
