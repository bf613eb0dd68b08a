//! Fields that merge have the same arguments, lists included.
//!
//! FieldsInSetCanMerge of <https://spec.graphql.org/September2025/#sec-Field-Selection-Merging>, as far as
//! apollo-compiler leaves it out: it compares lists only up to the end of the shorter one. Everything else about merging
//! has been checked already, so documents without two such lists, which is nearly all of them, cost one look.

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::Value;
use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};

use super::visit::visit;

/// A field that does not merge with another one of its response key.
pub(super) struct Conflict<'d> {
    /// The response key of both.
    pub key: &'d str,
    /// Where one of them stands.
    pub span: Option<SourceSpan>,
}

/// The conflicts in the operation that selects this.
pub(super) fn check<'d>(
    schema: &'d Schema,
    document: &'d ExecutableDocument,
    selections: &'d SelectionSet,
) -> Vec<Conflict<'d>> {
    if !may_conflict(document, selections) {
        return Vec::new();
    }
    let mut merging = Merging { schema, document, seen: HashSet::new(), conflicts: Vec::new() };
    merging.set(&[selections]);
    merging.conflicts
}

/// Whether two fields anywhere differ in their lists alone.
fn may_conflict(document: &ExecutableDocument, selections: &SelectionSet) -> bool {
    let mut with_lists: HashMap<(&Name, &Name), Vec<&Node<Field>>> = HashMap::new();
    visit(document, selections, &mut |selection| {
        if let Selection::Field(field) = selection
            && field.arguments.iter().any(|argument| has_list(&argument.value))
        {
            with_lists.entry((field.response_key(), &field.name)).or_default().push(field);
        }
    });
    with_lists.values().any(|fields| fields.iter().any(|field| !same_lists(fields[0], field)))
}

struct Merging<'d> {
    schema: &'d Schema,
    document: &'d ExecutableDocument,
    /// Sets that were looked at, by the addresses of what they are made of.
    seen: HashSet<Vec<*const SelectionSet>>,
    conflicts: Vec<Conflict<'d>>,
}

/// A field, and the type on which it is selected.
type Selected<'d> = (&'d Name, &'d Node<Field>);

impl<'d> Merging<'d> {
    /// Looks at what these selections have in common, and below.
    fn set(&mut self, sets: &[&'d SelectionSet]) {
        let mut addresses: Vec<_> = sets.iter().map(|set| std::ptr::from_ref(*set)).collect();
        addresses.sort_unstable();
        if !self.seen.insert(addresses) {
            return;
        }
        let (mut fields, mut spread) = (Vec::new(), HashSet::new());
        sets.iter().for_each(|set| self.flatten(set, &mut spread, &mut fields));
        let mut by_key: HashMap<&Name, Vec<Selected<'d>>> = HashMap::new();
        for field in fields {
            by_key.entry(field.1.response_key()).or_default().push(field);
        }
        for (key, fields) in by_key.iter().filter(|(_, fields)| fields.len() > 1) {
            for group in self.with_common_parents(fields) {
                if let Some(other) = group.iter().find(|field| !same_lists(group[0], field)) {
                    self.conflicts.push(Conflict { key, span: other.location() });
                }
                self.set(&group.iter().map(|field| &field.selection_set).collect::<Vec<_>>());
            }
        }
        for (_, field) in by_key.values().filter(|fields| fields.len() == 1).flatten() {
            self.set(&[&field.selection_set]);
        }
    }

    fn flatten(&self, set: &'d SelectionSet, spread: &mut HashSet<&'d Name>, fields: &mut Vec<Selected<'d>>) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => fields.push((&set.ty, field)),
                Selection::InlineFragment(inline) => self.flatten(&inline.selection_set, spread, fields),
                Selection::FragmentSpread(fragment) => {
                    if spread.insert(&fragment.fragment_name)
                        && let Some(fragment) = self.document.fragments.get(&fragment.fragment_name)
                    {
                        self.flatten(&fragment.selection_set, spread, fields);
                    }
                }
            }
        }
    }

    /// The fields that one object may have, for each concrete type; those of interfaces and unions are in every group.
    fn with_common_parents(&self, fields: &[Selected<'d>]) -> Vec<Vec<&'d Node<Field>>> {
        let is_object = |ty: &Name| self.schema.get_object(ty).is_some();
        let objects: HashSet<_> = fields.iter().map(|(ty, _)| *ty).filter(|ty| is_object(ty)).collect();
        if objects.is_empty() {
            return vec![fields.iter().map(|(_, field)| *field).collect()];
        }
        let of = |object: &Name| {
            fields.iter().filter(|(ty, _)| *ty == object || !is_object(ty)).map(|(_, field)| *field).collect()
        };
        objects.into_iter().map(of).collect()
    }
}

fn has_list(value: &Value) -> bool {
    match value {
        Value::List(_) => true,
        Value::Object(fields) => fields.iter().any(|(_, value)| has_list(value)),
        _ => false,
    }
}

/// Whether the lists in the arguments of both have the same lengths. That all else is the same is known, or will be
/// checked with another pair of fields.
fn same_lists(left: &Field, right: &Field) -> bool {
    let same = |name: &Name, value: &Value| {
        let other = right.arguments.iter().find(|argument| argument.name == *name);
        other.is_none_or(|other| same_lengths(value, &other.value))
    };
    left.arguments.iter().all(|argument| same(&argument.name, &argument.value))
}

fn same_lengths(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same_lengths(left, right))
        }
        (Value::Object(left), Value::Object(right)) => left.iter().all(|(name, value)| {
            right.iter().find(|(other, _)| other == name).is_none_or(|(_, other)| same_lengths(value, other))
        }),
        _ => true,
    }
}
