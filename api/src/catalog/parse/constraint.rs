//! `@constraint` and `@default`: whether they fit what the field holds, and each other.

use super::source::Report;
use super::value::{Value, ValueKind};
use super::vocabulary::{Kind, Use, Uses};
use crate::catalog::filter_input::claim_path;
use crate::catalog::{Catalog, Constraint, Datum, DefaultValue, EnumId, FieldType, Format, ResourceId, Scalar};

/// The directives of one field, and what it holds.
#[derive(Debug, Clone, Copy)]
pub struct FieldContext<'a, 'v> {
    /// With the enums of the file.
    pub catalog: &'a Catalog,
    /// The resource of the field.
    pub owner: ResourceId,
    /// What the field holds.
    pub ty: &'a FieldType,
    /// Its directives.
    pub uses: &'a Uses<'v>,
}

impl FieldContext<'_, '_> {
    /// Reads `@constraint`. What is wrong is reported and left out.
    pub fn constraint(&self, report: &mut Report) -> Constraint {
        let mut constraint = Constraint::default();
        let Some(one) = self.uses.get(Kind::Constraint).filter(|_| !self.is_relation()) else { return constraint };
        if one.is_bare {
            let help = "allowed: min, max, minLength, maxLength, pattern, format, minItems, maxItems";
            report.error_help(one.span, "`@constraint` asks for nothing", help);
        }
        for (name, span, value) in one.arguments() {
            let (fits, what) = match name {
                "min" | "max" => (self.has_order(), "numbers and dates"),
                "minItems" | "maxItems" => (self.is_list(), "lists"),
                _ => (self.is_text(), "String and ID"),
            };
            if !fits {
                report.error(span, format!("`{name}` is for {what} only"));
                continue;
            }
            match name {
                "min" => constraint.min = self.bound(value, report),
                "max" => constraint.max = self.bound(value, report),
                "minLength" => constraint.min_length = one.count(name),
                "maxLength" => constraint.max_length = one.count(name),
                "minItems" => constraint.min_items = one.count(name),
                "maxItems" => constraint.max_items = one.count(name),
                "format" => constraint.format = one.text(name).and_then(|(format, _)| parse_format(format)),
                "pattern" => constraint.pattern = self.pattern(one, report),
                _ => {}
            }
        }
        self.check_order(one, &constraint, report);
        constraint
    }

    fn check_order(&self, one: &Use, constraint: &Constraint, report: &mut Report) {
        let crossed = [
            (
                "min",
                "max",
                constraint
                    .min
                    .as_ref()
                    .zip(constraint.max.as_ref())
                    .is_some_and(|(min, max)| min.compare(max).is_some_and(|order| order.is_gt())),
            ),
            ("minLength", "maxLength", constraint.min_length.zip(constraint.max_length).is_some_and(|(a, b)| a > b)),
            ("minItems", "maxItems", constraint.min_items.zip(constraint.max_items).is_some_and(|(a, b)| a > b)),
        ];
        for (min, max, _) in crossed.into_iter().filter(|(.., crossed)| *crossed) {
            let span = one.value(min).map_or(one.span, |value| value.span);
            report.error(span, format!("`{min}` is greater than `{max}`, so no value is right"));
        }
    }

    fn bound(&self, value: &Value, report: &mut Report) -> Option<Datum> {
        match value.to_item(self.catalog, self.owner, self.ty) {
            Ok(datum) => Some(datum),
            Err((span, message)) => {
                report.error(span, message);
                None
            }
        }
    }

    fn pattern(&self, one: &Use, report: &mut Report) -> Option<regex::Regex> {
        let (text, span) = one.text("pattern")?;
        match regex::Regex::new(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                // The last line says what is wrong; those before it draw where.
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
                report.error(span, format!("invalid regular expression: {reason}"));
                None
            }
        }
    }

    /// Reads `@default`; a literal must keep the constraint. What is wrong is reported and left out.
    pub fn default(&self, constraint: &Constraint, report: &mut Report) -> Option<DefaultValue> {
        let one = self.uses.get(Kind::Default).filter(|_| !self.is_relation())?;
        let help = "allowed: one of value, claim, sequence, now";
        if one.is_bare {
            report.error_help(one.span, "`@default` says no default", help);
        }
        let mut given = one.arguments();
        let (name, span, value) = given.next()?;
        if let Some((other, span, _)) = given.next() {
            report.error_help(span, format!("`{other}` beside `{name}`: a field has one default"), help);
            return None;
        }
        let scalar = match self.ty {
            FieldType::Scalar(scalar) => Some(*scalar),
            _ => None,
        };
        let (fits, what) = match name {
            "claim" => (matches!(scalar, Some(Scalar::String | Scalar::Id)), "String and ID"),
            "sequence" => (matches!(scalar, Some(Scalar::Int | Scalar::BigInt)), "Int and BigInt"),
            "now" => (matches!(scalar, Some(Scalar::DateTime | Scalar::Date)), "DateTime and Date"),
            _ => return self.literal(value, constraint, report).map(DefaultValue::Literal),
        };
        if !fits {
            report.error(span, format!("`{name}` is for {what} only"));
            return None;
        }
        if let ValueKind::Boolean(false) = value.kind {
            report.error_help(value.span, format!("`{name}: false` says no default"), "leave @default out");
            return None;
        }
        match (name, one.text("claim")) {
            ("sequence", _) => Some(DefaultValue::Sequence),
            ("now", _) => Some(DefaultValue::Now),
            (_, Some((path, _))) if claim_path(path) => Some(DefaultValue::Claim(path.to_owned())),
            (_, _) => {
                report.error_help(value.span, "this is no name of a claim", "such as \"sub\" or \"org.id\"");
                None
            }
        }
    }

    fn literal(&self, value: &Value, constraint: &Constraint, report: &mut Report) -> Option<Datum> {
        let datum = match value.to_datum(self.catalog, self.owner, self.ty) {
            Ok(datum) => datum,
            Err((span, message)) => {
                match self.enum_id().filter(|_| matches!(value.kind, ValueKind::Name(_))) {
                    Some(id) => self.unknown_value(id, value, message, report),
                    None => report.error(span, message),
                }
                return None;
            }
        };
        for violation in constraint.violations(self.ty, &datum) {
            report.error(value.span, format!("the default breaks the constraint: it {}", violation.message));
        }
        Some(datum)
    }

    fn unknown_value(&self, id: EnumId, value: &Value, message: String, report: &mut Report) {
        let ValueKind::Name(name) = &value.kind else { return report.error(value.span, message) };
        let ty = self.catalog.enum_type(id);
        let allowed = ty.values.iter().map(|value| value.name.as_str());
        report.unknown(value.span, format!("`{name}` is no value of `{}`", ty.name), name, allowed);
    }

    fn enum_id(&self) -> Option<EnumId> {
        match self.ty {
            FieldType::Enum(id) => Some(*id),
            _ => None,
        }
    }

    fn is_relation(&self) -> bool {
        matches!(self.ty, FieldType::ToOne { .. } | FieldType::ToMany { .. })
    }

    fn is_list(&self) -> bool {
        matches!(self.ty, FieldType::ScalarList(_) | FieldType::EnumList(_))
    }

    fn is_text(&self) -> bool {
        matches!(self.ty, FieldType::Scalar(Scalar::String | Scalar::Id))
    }

    fn has_order(&self) -> bool {
        let FieldType::Scalar(scalar) = self.ty else { return false };
        match scalar {
            Scalar::Int | Scalar::BigInt | Scalar::Float | Scalar::Decimal { .. } | Scalar::DateTime | Scalar::Date => {
                true
            }
            Scalar::String | Scalar::Boolean | Scalar::Id | Scalar::Uuid | Scalar::Json => false,
        }
    }
}

fn parse_format(name: &str) -> Option<Format> {
    match name {
        "EMAIL" => Some(Format::Email),
        "URL" => Some(Format::Url),
        _ => None,
    }
}
