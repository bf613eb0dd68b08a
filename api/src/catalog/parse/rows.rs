//! Whether rows can come to exist and be found: what can only be said once everything else is known.

use super::draft::Draft;
use super::source::Report;
use super::vocabulary::Kind;
use crate::catalog::{Access, Allow, FieldId, FieldType, Operation, ResourceId};

/// Reports resources of which no row could ever be created, or none be reached. `access` is by [`ResourceId`].
pub fn check(draft: &Draft, access: &[&Access], report: &mut Report) {
    for ((id, _), access) in draft.resources().zip(access) {
        check_unwritable(draft, id, access, report);
    }
    check_inherit_cycles(draft, access, report);
    // A field of an unknown type may be the one that is missed.
    if !draft.has_broken() {
        check_required_cycles(draft, report);
        check_reach(draft, report);
    }
}

/// A field that no client writes must get its value from somewhere.
fn check_unwritable(draft: &Draft, id: ResourceId, access: &Access, report: &mut Report) {
    for (field, decl, drafted) in draft.fields(id).filter(|(.., drafted)| drafted.is_column()) {
        if let (Some(_), Some(write_once)) = (decl.uses.get(Kind::ReadOnly), decl.uses.get(Kind::WriteOnce)) {
            let message = format!("`{}` is @readOnly: clients never write it, not even once", drafted.name);
            report.error_help(write_once.span, message, "leave one of both out");
        }
        let Some(one) = decl.uses.get(Kind::Private).or(decl.uses.get(Kind::ReadOnly)) else { continue };
        let has_value = drafted.nullable || decl.uses.has(Kind::Default) || is_filled_with_owner(access, field);
        if !has_value {
            let what = one.name();
            let message = format!("`{}` is required and {what}, so no row could ever be created", drafted.name);
            report.error_help(one.span, message, "give it a @default, or make it nullable");
        }
    }
}

/// A create by an owner fills in their `sub`.
fn is_filled_with_owner(access: &Access, field: FieldId) -> bool {
    match access {
        Access::Rules(rules) => rules.iter().any(|rule| {
            rule.operations.contains(Operation::Create) && matches!(rule.allow, Allow::Owner(owner) if owner == field)
        }),
        Access::Inherit(_) => false,
    }
}

fn check_inherit_cycles(draft: &Draft, access: &[&Access], report: &mut Report) {
    let step = |id: ResourceId| match access[usize::from(id.0)] {
        Access::Inherit(field) => draft.catalog.resource(id).field(*field).to_one().map(|target| (*field, target)),
        Access::Rules(_) => None,
    };
    for cycle in cycles(draft, step) {
        let decl = draft.declared.resource(cycle[0].0);
        let span =
            decl.uses.get(Kind::Auth).and_then(|one| one.text("inherit")).map_or(decl.name.span, |(_, span)| span);
        report.error(span, format!("rights are inherited in a circle: {}", describe(draft, &cycle)));
    }
}

/// Rows that each require the other cannot be created one after the other.
fn check_required_cycles(draft: &Draft, report: &mut Report) {
    let count = draft.resources().count();
    let required = |id: ResourceId| {
        let fields = draft.catalog.resource(id).fields().filter(|(_, field)| !field.nullable);
        fields.filter_map(|(id, field)| Some((id, field.to_one()?)))
    };
    let mut creatable = vec![false; count];
    loop {
        let before = creatable.clone();
        for (id, _) in draft.resources() {
            creatable[usize::from(id.0)] = required(id).all(|(_, target)| before[usize::from(target.0)]);
        }
        if creatable == before {
            break;
        }
    }
    let step = |id| required(id).find(|(_, target): &(_, ResourceId)| !creatable[usize::from(target.0)]);
    for cycle in cycles(draft, step) {
        let (id, field) = cycle[0];
        let decl = draft.declared.resource(id);
        let span = decl.fields().find(|(id, _)| *id == field).map_or(decl.name.span, |(_, field)| field.decl.name.span);
        let message = format!("no row could ever be created, each requires another: {}", describe(draft, &cycle));
        report.error_help(span, message, "make one of the relations nullable");
    }
}

/// Follows one step from each resource, and returns the circles that it runs into, each once, from its first resource
/// on.
fn cycles(
    draft: &Draft,
    step: impl Fn(ResourceId) -> Option<(FieldId, ResourceId)>,
) -> Vec<Vec<(ResourceId, FieldId)>> {
    let mut seen = vec![false; draft.resources().count()];
    let mut found = Vec::new();
    for (start, _) in draft.resources() {
        let mut path: Vec<(ResourceId, FieldId)> = Vec::new();
        let mut at = start;
        while let Some((field, next)) = step(at).filter(|_| !seen[usize::from(at.0)]) {
            seen[usize::from(at.0)] = true;
            path.push((at, field));
            at = next;
        }
        if let Some(first) = path.iter().position(|(id, _)| *id == at) {
            found.push(path.split_off(first));
        }
    }
    found
}

/// `Order.customer → Customer.favourite → Order`
fn describe(draft: &Draft, cycle: &[(ResourceId, FieldId)]) -> String {
    let catalog = &draft.catalog;
    let steps = cycle.iter().map(|(id, field)| {
        let resource = catalog.resource(*id);
        format!("{}.{} → ", resource.name, resource.field(*field).name)
    });
    let end = cycle.first().map_or("", |(id, _)| catalog.resource(*id).name.as_str());
    steps.collect::<String>() + end
}

/// A resource without root fields lives under a parent that lists it.
fn check_reach(draft: &Draft, report: &mut Report) {
    let parents = |id: ResourceId| {
        draft.catalog.resource(id).fields().filter(|(_, field)| !field.nullable).filter_map(move |(via, field)| {
            let target = field.to_one()?;
            let mut others = draft.catalog.resource(target).fields.iter();
            let lists = others.any(|other| other.ty == FieldType::ToMany { target: id, via } && !other.private);
            lists.then_some(target)
        })
    };
    let mut reached: Vec<bool> = draft.catalog.resources().map(|(_, resource)| resource.root).collect();
    loop {
        let before = reached.clone();
        for (id, _) in draft.resources() {
            reached[usize::from(id.0)] |= parents(id).any(|parent| before[usize::from(parent.0)]);
        }
        if reached == before {
            break;
        }
    }
    // What is listed by an unreachable type alone is not reported beside it.
    let is_orphan = |id: ResourceId| !reached[usize::from(id.0)] && parents(id).next().is_none();
    let has_orphan = draft.resources().any(|(id, _)| is_orphan(id));
    for (id, decl) in draft.resources().filter(|(id, _)| !reached[usize::from(id.0)]) {
        if is_orphan(id) || !has_orphan {
            let message = format!("`{}` has root: false, but nothing leads to its rows", decl.name.text);
            let help = "give it a required relation to a type that can be reached and lists it with @inverse";
            report.error_help(decl.name.span, message, help);
        }
    }
}
