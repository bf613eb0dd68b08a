//! How values are written: the texts of numbers, instants, days, decimals and ids.

use time::macros::date;
use time::{Date, Month, OffsetDateTime};
use uuid::Uuid;

/// The microseconds from the year 1 to the year 9999.
pub(super) const INSTANTS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

const EPOCH: Date = date!(1970 - 01 - 01);

/// Writes a JSON string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("writing to memory does not fail");
}

pub(super) fn write_plain(out: &mut Vec<u8>, value: &impl std::fmt::Display) {
    use std::io::Write;
    write!(out, "{value}").expect("writing to memory does not fail");
}

pub(super) fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

pub(super) fn write_uuid(out: &mut Vec<u8>, id: Uuid) {
    out.extend_from_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
}

/// Writes a whole number.
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    write_digits(out, value.unsigned_abs(), 1);
}

/// At least so many digits, with zeros before them; at most 20, which any number fits in.
fn write_digits(out: &mut Vec<u8>, mut value: u64, least: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while value > 0 {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - least)..]);
}

/// RFC 3339 in UTC with microseconds, `2026-01-31T12:00:00.000000Z`.
pub fn format_instant(micros: i64) -> String {
    let mut text = Vec::with_capacity(27);
    write_instant(&mut text, micros);
    String::from_utf8(text).expect("digits and marks are text")
}

pub(super) fn write_instant(out: &mut Vec<u8>, micros: i64) {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    let days = i32::try_from(micros.div_euclid(DAY)).ok();
    let date = days.and_then(|days| Date::from_julian_day(EPOCH.to_julian_day() + days).ok());
    let date = date.expect("an instant is between the years 1 and 9999");
    let time = micros.rem_euclid(DAY).unsigned_abs();
    let seconds = time / 1_000_000;
    for (value, least, mark) in [
        (u64::from(date.year().unsigned_abs()), 4, b'-'),
        (u64::from(u8::from(date.month())), 2, b'-'),
        (u64::from(date.day()), 2, b'T'),
        (seconds / 3600, 2, b':'),
        (seconds / 60 % 60, 2, b':'),
        (seconds % 60, 2, b'.'),
        (time % 1_000_000, 6, b'Z'),
    ] {
        write_digits(out, value, least);
        out.push(mark);
    }
}

/// Microseconds since 1970 of an RFC 3339 text; what is finer than a microsecond is cut off. A second 60 is none, since UTC
/// in the databases has no leap seconds.
pub fn parse_instant(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.strip_prefix(['T', 't'])?.split_at_checked(8)?;
    let [hour, minute, second] = numbers(time, b':')?;
    let end = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, offset) = rest.split_at(end);
    let micros = match fraction.strip_prefix('.') {
        Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => return None,
        Some(digits) => format!("{digits:0<6}")[..6].parse().ok()?,
        None if fraction.is_empty() => 0,
        None => return None,
    };
    let offset_minutes = match offset {
        "Z" | "z" => 0,
        offset => {
            let [hours, minutes] = numbers(&offset[1..], b':')?;
            let minutes = (hours < 24 && minutes < 60).then_some(i64::from(hours) * 60 + i64::from(minutes))?;
            if offset.starts_with('-') { -minutes } else { minutes }
        }
    };
    let instant = parse_date(date)?.with_hms_micro(hour, minute, second, micros).ok()?.assume_utc();
    let micros = instant.unix_timestamp_nanos() / 1000 - i128::from(offset_minutes) * 60_000_000;
    i64::try_from(micros).ok().filter(|micros| INSTANTS.contains(micros))
}

/// The day of `YYYY-MM-DD`, of the years 1 to 9999.
pub(super) fn parse_date(text: &str) -> Option<Date> {
    let (century, rest) = text.split_at_checked(2)?;
    let ([century], [year, month, day]) = (numbers(century, b'-')?, numbers(rest, b'-')?);
    let year = i32::from(century) * 100 + i32::from(year);
    Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok().filter(|_| year > 0)
}

/// Numbers of exactly two digits, and what stands between them.
fn numbers<const N: usize>(text: &str, separator: u8) -> Option<[u8; N]> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| byte - b'0');
    let mut found = [0; N];
    for (i, part) in text.as_bytes().chunks(3).enumerate() {
        let (tens, ones) = (digit(part.first()?)?, digit(part.get(1)?)?);
        let ends_well = if i + 1 < N { part.get(2) == Some(&separator) } else { part.len() == 2 };
        *found.get_mut(i).filter(|_| ends_well)? = tens * 10 + ones;
    }
    (text.len() == 3 * N - 1).then_some(found)
}

/// Now, in microseconds since 1970.
pub fn now_micros() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000) as i64
}

pub(super) fn format_decimal(units: i64, scale: u8) -> String {
    let mut text = Vec::with_capacity(24);
    write_decimal(&mut text, units, scale);
    String::from_utf8(text).expect("digits and marks are text")
}

/// Writes a decimal of so many units of its last digit.
pub fn write_decimal(out: &mut Vec<u8>, units: i64, scale: u8) {
    if units < 0 {
        out.push(b'-');
    }
    let scale = usize::from(scale);
    write_digits(out, units.unsigned_abs(), scale + 1);
    if scale > 0 {
        out.insert(out.len() - scale, b'.');
    }
}

/// Units of the last digit; `None` if the text is no plain decimal number, or has more digits than `scale` says.
pub(super) fn parse_decimal(text: &str, scale: u8) -> Option<i64> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    if whole.is_empty() || (fraction.is_empty() && whole.len() < rest.len()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let zeros = usize::from(scale).checked_sub(fraction.len())?;
    let mut units = 0_i64;
    for byte in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', zeros)) {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        units = units.checked_mul(10)?.checked_add(digit)?;
    }
    Some(if negative { -units } else { units })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, scale, shown) in
            [("0", 2, "0.00"), ("-0.05", 2, "-0.05"), ("12.5", 2, "12.50"), ("7", 0, "7"), ("1.500", 1, "1.5")]
        {
            assert_eq!(format_decimal(parse_decimal(text, scale).unwrap(), scale), shown);
        }
        assert_eq!(parse_decimal("999999999999999999", 0), Some(999_999_999_999_999_999));
        assert_eq!(format_decimal(-999_999_999_999_999_999, 18), "-0.999999999999999999");
        for text in ["", "-", ".5", "5.", "1e3", "1.005", "+1", " 1", "1..5", "92233720368547758.08"] {
            assert_eq!(parse_decimal(text, 2), None, "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_are_as_everywhere() {
        for value in [0, 7, -10, i64::MAX, i64::MIN, 1_000_000_007] {
            let mut out = Vec::new();
            write_int(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn instants_keep_microseconds_and_are_shown_in_utc() {
        let micros = parse_instant("2026-01-31T13:00:00.1234567+01:00").unwrap();
        assert_eq!(format_instant(micros), "2026-01-31T12:00:00.123456Z");
        assert_eq!(
            format_instant(parse_instant("1969-12-31T23:59:59.999999Z").unwrap()),
            "1969-12-31T23:59:59.999999Z"
        );
        for text in [
            "2026-02-30T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "2026-01-31 12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00.1é",
            "2026-01-31T12:00:00.+01:00",
            "2026-01-31T12:00:00+1:00",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00+01:00Z",
            "2026-01-31T1é:00:00Z",
            "+2026-01-31T12:00:00Z",
            "0000-12-31T23:59:59Z",
        ] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
        assert_eq!(parse_instant("0001-01-01T00:00:00Z"), Some(*INSTANTS.start()));
        assert_eq!(parse_instant("9999-12-31T23:59:59.999999Z"), Some(*INSTANTS.end()));
        assert_eq!(parse_instant("9999-12-31T23:59:59.999999-01:00"), None);
    }
}
