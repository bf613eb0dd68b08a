//! Steps that are allowed by name although they lose data or change rows.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What can be allowed: the words before the colon.
const KINDS: [&str; 5] = ["drop", "narrow", "fill", "remove", "remake"];

/// Names of steps as the plan prints them, `drop:Product.cost`, some with a value, `fill:Product.weight=0`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed(BTreeMap<String, Option<String>>);

impl Allowed {
    /// All of several.
    pub fn all(lists: impl IntoIterator<Item = Self>) -> Self {
        Self(lists.into_iter().flat_map(|list| list.0).collect())
    }

    /// Whether a step is allowed.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value given with a step.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_deref()
    }

    /// The names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromStr for Allowed {
    type Err = String;

    /// Separated by commas. A comma that no name follows belongs to the value before it: `fill:Product.tags=["a","b"]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts: Vec<String> = Vec::new();
        for part in text.split(',') {
            let is_name = KINDS.iter().any(|kind| part.trim_start().starts_with(&format!("{kind}:")));
            match parts.last_mut().filter(|last| !is_name && last.contains('=')) {
                Some(last) => *last += &format!(",{part}"),
                None => parts.push(part.trim_start().to_owned()),
            }
        }
        let one = |part: String| {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(value.trim_end().to_owned())),
                None => (part.trim_end(), None),
            };
            let wrong = || format!("`{part}` is no name of a step, such as drop:Product.cost; the plan prints them");
            let (kind, subject) = name.split_once(':').ok_or_else(wrong)?;
            let is_subject = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
            if !KINDS.contains(&kind) || subject.is_empty() || !subject.chars().all(is_subject) {
                return Err(wrong());
            }
            Ok((name.to_owned(), value))
        };
        Ok(Self(parts.into_iter().filter(|part| !part.is_empty()).map(one).collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        });
        f.write_str(&shown.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_read() {
        for (text, shown) in [
            ("", ""),
            ("drop:Product.cost", "drop:Product.cost"),
            ("drop:Product.cost, narrow:Order.number", "drop:Product.cost,narrow:Order.number"),
            ("fill:P.tags=[\"a\",\"b\"],drop:P", "drop:P,fill:P.tags=[\"a\",\"b\"]"),
            ("fill:P.note=a, b", "fill:P.note=a, b"),
            ("fill:P.note=", "fill:P.note="),
        ] {
            assert_eq!(text.parse::<Allowed>().unwrap().to_string(), shown);
        }
        for text in ["drop", "drop:", "cut:Product", "drop:Product.cost,yes", "drop:Product cost"] {
            assert!(text.parse::<Allowed>().is_err(), "{text}");
        }
    }
}
