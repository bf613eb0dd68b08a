//! `@auth` rules → predicates.
//!
//! A rule becomes a [`Filter`] for one principal and one operation. The filter has two readings, SQL and images, so a
//! query, a nested field, an event and a webhook all decide by the same predicate (DESIGN: one access rule).

use super::Principal;
use crate::catalog::filter::{CompareOp, Test};
use crate::catalog::{Access, Allow, Catalog, Datum, FieldId, Filter, Operation, ResourceId, Rule};

/// Which rows of a resource the principal may do this with.
pub fn row_filter(catalog: &Catalog, resource: ResourceId, operation: Operation, principal: &Principal) -> Filter {
    if principal.is_admin {
        return Filter::Const(true);
    }
    match &catalog.resource(resource).access {
        Access::Rules(rules) => any_rule(catalog, resource, rules, operation, principal),
        Access::Inherit(field) => {
            let parent = catalog.resource(resource).field(*field).to_one().expect("inherit names a to-one field");
            match row_filter(catalog, parent, operation, principal) {
                Filter::Const(value) => Filter::Const(value),
                filter => Filter::Related(*field, Box::new(filter)),
            }
        }
    }
}

/// For which rows the principal may do this with one field. Fields without rules of their own follow the row.
pub fn field_filter(
    catalog: &Catalog,
    resource: ResourceId,
    field: FieldId,
    operation: Operation,
    principal: &Principal,
) -> Filter {
    match &catalog.resource(resource).field(field).rules {
        Some(rules) if !principal.is_admin => any_rule(catalog, resource, rules, operation, principal),
        _ => Filter::Const(true),
    }
}

/// Whether the principal may name this field in a filter, an order or a lookup: only if it could be read in every row,
/// or else the answer would tell what the field hides.
pub fn may_name(catalog: &Catalog, resource: ResourceId, field: FieldId, principal: &Principal) -> bool {
    field_filter(catalog, resource, field, Operation::Read, principal) == Filter::Const(true)
}

/// The String or ID fields that a create fills in with the caller's `sub`.
pub fn owner_fields(catalog: &Catalog, resource: ResourceId) -> impl Iterator<Item = FieldId> {
    let rules = match &catalog.resource(resource).access {
        Access::Rules(rules) => rules.as_slice(),
        Access::Inherit(_) => &[],
    };
    rules.iter().filter(|rule| rule.operations.contains(Operation::Create)).filter_map(|rule| match rule.allow {
        Allow::Owner(field) => Some(field),
        _ => None,
    })
}

fn any_rule(
    catalog: &Catalog,
    resource: ResourceId,
    rules: &[Rule],
    operation: Operation,
    principal: &Principal,
) -> Filter {
    let mut any = Vec::new();
    for rule in rules.iter().filter(|rule| rule.operations.contains(operation)) {
        match rule_filter(catalog, resource, &rule.allow, principal) {
            Filter::Const(true) => return Filter::Const(true),
            Filter::Const(false) => {}
            filter => any.push(filter),
        }
    }
    match any.len() {
        0 => Filter::Const(false),
        1 => any.remove(0),
        _ => Filter::Or(any),
    }
}

fn rule_filter(catalog: &Catalog, resource: ResourceId, allow: &Allow, principal: &Principal) -> Filter {
    match allow {
        Allow::Public => Filter::Const(true),
        Allow::Authenticated => Filter::Const(!principal.is_anonymous()),
        Allow::Role(roles) => Filter::Const(roles.iter().any(|role| principal.has_role(role))),
        Allow::Owner(field) => match &principal.sub {
            Some(sub) => Filter::Field(*field, Test::Compare(CompareOp::Eq, Datum::Text(sub.clone()))),
            None => Filter::Const(false),
        },
        // A rule that names a claim which the caller does not have admits nobody.
        Allow::Where(filter) => {
            filter.bind(catalog, resource, &|path| principal.claim(path).cloned()).unwrap_or(Filter::Const(false))
        }
    }
}
