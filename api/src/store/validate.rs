//! What `@constraint` asks of a value.

use std::cmp::Ordering;

use super::writer::{Code, Violation};
use crate::catalog::{Datum, Field, Format};

/// Adds what is wrong with a value of a field to `violations`, at `path` and the field's name. Null is fine here; that a
/// value is required is the writer's business.
pub fn value(field: &Field, value: &Datum, path: &[String], violations: &mut Vec<Violation>) {
    let constraint = &field.constraint;
    let mut violate = |code, message: String| violations.push(Violation::at(path, &field.name, code, message));
    let name = &field.name;
    let shown = |limit: &Datum| {
        let image = limit.to_image(&field.ty);
        match limit {
            Datum::Instant(micros) => crate::catalog::datum::format_instant(*micros),
            _ => image.as_str().map_or_else(|| image.to_string(), str::to_owned),
        }
    };
    if let Some(min) = &constraint.min
        && value.compare(min) == Some(Ordering::Less)
    {
        violate(Code::OutOfRange, format!("{name} must be at least {}.", shown(min)));
    }
    if let Some(max) = &constraint.max
        && value.compare(max) == Some(Ordering::Greater)
    {
        violate(Code::OutOfRange, format!("{name} must be at most {}.", shown(max)));
    }
    if let Datum::Text(text) = value {
        let length = text.chars().count() as u64;
        if let Some(min) = constraint.min_length.filter(|min| length < u64::from(*min)) {
            violate(Code::TooShort, format!("{name} must have at least {min} characters."));
        }
        if let Some(max) = constraint.max_length.filter(|max| length > u64::from(*max)) {
            violate(Code::TooLong, format!("{name} must have at most {max} characters."));
        }
        if let Some(pattern) = constraint.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            violate(Code::PatternMismatch, format!("{name} must match {pattern}."));
        }
        match constraint.format {
            Some(Format::Email) if !is_email(text) => {
                violate(Code::PatternMismatch, format!("{name} must be an e-mail address."));
            }
            Some(Format::Url) if !is_url(text) => {
                violate(Code::PatternMismatch, format!("{name} must be a URL such as https://example.com/."));
            }
            Some(Format::Email | Format::Url) | None => {}
        }
    }
    if let Datum::List(items) = value {
        let count = items.len() as u64;
        if let Some(min) = constraint.min_items.filter(|min| count < u64::from(*min)) {
            violate(Code::TooShort, format!("{name} must have at least {min} items."));
        }
        if let Some(max) = constraint.max_items.filter(|max| count > u64::from(*max)) {
            violate(Code::TooLong, format!("{name} must have at most {max} items."));
        }
    }
}

/// `local@domain`, as the HTML standard's "valid e-mail address" has it.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_atom = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    !local.is_empty() && local.chars().all(is_atom) && domain.split('.').all(is_label)
}

fn is_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_addresses() {
        for good in ["a@b", "first.last+tag@shop.example"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@-b", "a@b..c"] {
            assert!(!is_email(bad), "{bad}");
        }
        assert!(is_url("https://shop.example/x?y"));
        assert!(!is_url("/x") && !is_url("mailto:a@b"));
    }
}
