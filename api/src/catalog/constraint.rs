//! Whether a value keeps what `@constraint` asks of its field.
//!
//! Lengths count characters (Unicode scalar values). A null is checked by nobody: whether a field may be null is not a
//! matter of constraints.

use super::{Catalog, Constraint, Datum, FieldType, Format, ResourceId, datum::Prefixes};

/// How a value breaks a constraint. The kinds are those of `UserErrorCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViolationKind {
    /// Fewer characters or items than it must have.
    TooShort,
    /// More characters or items than it may have.
    TooLong,
    /// Less than the least value or more than the greatest.
    OutOfRange,
    /// The pattern does not match.
    PatternMismatch,
    /// Not of the named format.
    Invalid,
}

/// One broken constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// How.
    pub kind: ViolationKind,
    /// A sentence for the client that follows the name of the field: `must have at least 3 characters`.
    pub message: String,
}

impl Constraint {
    /// Everything that is wrong with a value of a field of this type.
    pub fn violations(&self, ty: &FieldType, value: &Datum) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut add = |broken: bool, kind: ViolationKind, message: &dyn Fn() -> String| {
            if broken {
                found.push(Violation { kind, message: message() });
            }
        };
        if let Some(min) = &self.min {
            let broken = value.compare(min).is_some_and(|order| order.is_lt());
            add(broken, ViolationKind::OutOfRange, &|| format!("must be at least {}", show(ty, min)));
        }
        if let Some(max) = &self.max {
            let broken = value.compare(max).is_some_and(|order| order.is_gt());
            add(broken, ViolationKind::OutOfRange, &|| format!("must be at most {}", show(ty, max)));
        }
        if let Datum::Text(text) = value {
            let length = text.chars().count();
            let (min, max) = (self.min_length, self.max_length);
            add(min.is_some_and(|min| length < min as usize), ViolationKind::TooShort, &|| {
                format!("must have at least {}", count(min, "character"))
            });
            add(max.is_some_and(|max| length > max as usize), ViolationKind::TooLong, &|| {
                format!("must have at most {}", count(max, "character"))
            });
            if let Some(pattern) = &self.pattern {
                add(!pattern.is_match(text), ViolationKind::PatternMismatch, &|| format!("must match {pattern}"));
            }
            if let Some(format) = self.format {
                add(!format.holds(text), ViolationKind::Invalid, &|| format!("must be {}", format.describe()));
            }
        }
        if let Datum::List(items) = value {
            let (min, max) = (self.min_items, self.max_items);
            add(min.is_some_and(|min| items.len() < min as usize), ViolationKind::TooShort, &|| {
                format!("must have at least {}", count(min, "item"))
            });
            add(max.is_some_and(|max| items.len() > max as usize), ViolationKind::TooLong, &|| {
                format!("must have at most {}", count(max, "item"))
            });
        }
        found
    }
}

impl Format {
    /// Whether the text has this format.
    pub fn holds(self, text: &str) -> bool {
        match self {
            Self::Email => is_email(text),
            Self::Url => is_url(text),
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Email => "an e-mail address",
            Self::Url => "an absolute URL, such as https://example.com/",
        }
    }
}

fn count(number: Option<u32>, noun: &str) -> String {
    match number.unwrap_or_default() {
        1 => format!("1 {noun}"),
        more => format!("{more} {noun}s"),
    }
}

/// A bound as clients write it.
fn show(ty: &FieldType, bound: &Datum) -> String {
    let mut out = Vec::new();
    // Only ids look at the catalog, and they have no bounds.
    bound.write_json(ty, &Prefixes::new(&Catalog::default(), ResourceId(0)), &mut out);
    String::from_utf8_lossy(&out).trim_matches('"').to_owned()
}

/// What `<input type=email>` accepts: <https://html.spec.whatwg.org/#valid-e-mail-address>.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_local = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    !local.is_empty() && local.chars().all(is_local) && domain.split('.').all(is_label)
}

/// A scheme, `://` and a host; without spaces.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let has_host = !host.is_empty() && !host.starts_with(':');
    is_scheme && has_host && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Scalar;

    fn check(constraint: &Constraint, ty: &FieldType, value: Datum, expected: &[(ViolationKind, &str)]) {
        let found = constraint.violations(ty, &value);
        let found: Vec<_> = found.iter().map(|v| (v.kind, v.message.as_str())).collect();
        assert_eq!(found, expected, "{value:?}");
    }

    #[test]
    fn all_violations_are_found() {
        let text = FieldType::Scalar(Scalar::String);
        let pattern = Some(regex::Regex::new("^[A-Z]+$").unwrap());
        let constraint = Constraint { min_length: Some(2), max_length: Some(3), pattern, ..Constraint::default() };
        check(&constraint, &text, Datum::Text("ÄÖ".into()), &[(ViolationKind::PatternMismatch, "must match ^[A-Z]+$")]);
        check(&constraint, &text, Datum::Text("ABC".into()), &[]);
        check(&constraint, &text, Datum::Null, &[]);
        check(
            &constraint,
            &text,
            Datum::Text("a".into()),
            &[
                (ViolationKind::TooShort, "must have at least 2 characters"),
                (ViolationKind::PatternMismatch, "must match ^[A-Z]+$"),
            ],
        );
    }

    #[test]
    fn bounds_are_shown_as_clients_write_them() {
        let ty = FieldType::Scalar(Scalar::Decimal { precision: 5, scale: 2 });
        let constraint = Constraint { min: Some(Datum::Decimal(50)), ..Constraint::default() };
        check(&constraint, &ty, Datum::Decimal(49), &[(ViolationKind::OutOfRange, "must be at least 0.50")]);
        check(&constraint, &ty, Datum::Decimal(50), &[]);
        let list = FieldType::ScalarList(Scalar::Int);
        let constraint = Constraint { max_items: Some(1), ..Constraint::default() };
        let value = Datum::List(vec![Datum::Int(1), Datum::Int(2)]);
        check(&constraint, &list, value, &[(ViolationKind::TooLong, "must have at most 1 item")]);
    }

    #[test]
    fn formats() {
        for (text, expected) in [
            ("a@example.com", true),
            ("a.b+c@localhost", true),
            ("@example.com", false),
            ("a@", false),
            ("a@-x.com", false),
            ("a@b@c", false),
            ("a b@example.com", false),
        ] {
            assert_eq!(is_email(text), expected, "{text}");
        }
        for (text, expected) in [
            ("https://example.com", true),
            ("http://user:pw@[::1]:8080/a?b#c", true),
            ("mailto:a@b", false),
            ("https://", false),
            ("https:///path", false),
            ("://host", false),
            ("https://exa mple.com", false),
            ("/path", false),
        ] {
            assert_eq!(is_url(text), expected, "{text}");
        }
    }
}
