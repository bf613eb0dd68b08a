//! What `@constraint` asks of a value, as violations of an input.

use super::writer::{Code, Violation};
use crate::catalog::constraint::ViolationKind;
use crate::catalog::{Datum, Field};

/// Adds what is wrong with a value of a field to `violations`, at `path` and the field's name. Null is fine here; that a
/// value is required is the writer's business.
pub fn value(field: &Field, value: &Datum, path: &[String], violations: &mut Vec<Violation>) {
    for violation in field.constraint.violations(&field.ty, value) {
        let code = match violation.kind {
            ViolationKind::TooShort => Code::TooShort,
            ViolationKind::TooLong => Code::TooLong,
            ViolationKind::OutOfRange => Code::OutOfRange,
            ViolationKind::PatternMismatch => Code::PatternMismatch,
            ViolationKind::Invalid => Code::Invalid,
        };
        let message = format!("{} {}.", field.name, violation.message);
        violations.push(Violation::at(path, &field.name, code, message));
    }
}
