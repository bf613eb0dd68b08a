//! Things of a resource file that would get the same name in the API or in the database.

use std::collections::HashMap;

use super::declare::{Declarations, Named, ResourceDecl};
use super::reserved::{API_QUERIES, SCALARS, SYSTEM_FIELDS, WEBHOOK_MUTATIONS};
use super::source::Report;
use super::syntax::Shape;
use super::vocabulary::Kind;
use crate::catalog::names;

/// Identifiers of PostgreSQL have 63 bytes.
const MAX_COLUMN_LENGTH: usize = 63;

/// Reports what would get the name of something else.
pub fn check(all: &Declarations, report: &mut Report) {
    let reported = check_root_fields(all, report);
    check_types(all, &reported, report);
    let mut prefixes: HashMap<String, &str> = HashMap::new();
    for resource in &all.resources {
        let name = resource.name;
        let prefix = names::prefix(&name.text);
        if let Some(other) = prefixes.insert(prefix.clone(), &name.text) {
            let message = format!("`{}` and `{other}` would both have the table `{prefix}`", name.text);
            report.error(name.span, message);
        }
    }
    for resource in &all.resources {
        check_fields(all, resource, report);
    }
}

/// `reported` are types whose names are known to be too near to another one's: more of the same would follow.
fn check_types(all: &Declarations, reported: &[&str], report: &mut Report) {
    // By name, the type of the file that it is made for; `None` if it is the API's own.
    let mut made: HashMap<String, Option<&str>> = HashMap::new();
    let scalars = SCALARS.iter().flat_map(|scalar| names::types_of_scalar(scalar));
    let webhooks = WEBHOOK_MUTATIONS.iter().flat_map(|name| ["Input", "Payload"].map(|end| format!("{name}{end}")));
    made.extend(scalars.chain(webhooks).map(|name| (name, None)));
    // A scalar's name has been reported.
    for name in all.type_names.iter().filter(|name| !SCALARS.contains(&name.text.as_str())) {
        for ty in made_types(all, &name.text) {
            let message = match made.get(&ty) {
                Some(Some(owner)) if *owner == name.text => continue,
                Some(Some(owner)) => format!("`{}` and `{owner}` would both make the API type `{ty}`", name.text),
                Some(None) => format!("`{}` would make `{ty}`, which is a type of the API itself", name.text),
                None => {
                    made.insert(ty, Some(&name.text));
                    continue;
                }
            };
            if !reported.contains(&name.text.as_str()) {
                report.error(name.span, message);
            }
            // The others would be the same in other words.
            break;
        }
    }
    for name in &all.type_names {
        match made.get(&name.text) {
            Some(Some(owner)) => {
                report.error(name.span, format!("`{}` is also what the API makes for `{owner}`", name.text));
            }
            Some(None) => report.error(name.span, format!("`{}` is a type of the API itself", name.text)),
            None => {}
        }
    }
}

/// What the API makes for a resource or an enum, its own type left out.
fn made_types(all: &Declarations, name: &str) -> Vec<String> {
    let Some(Named::Resource(id)) = all.find(name) else { return names::types_of_scalar(name).to_vec() };
    let resource = all.resource(id);
    let mut types = names::types_of_resource(name);
    for (_, field) in resource.fields() {
        let is_list = field.decl.ty.shape != Shape::Single;
        if is_list && matches!(all.find(&field.decl.ty.name), Some(Named::Resource(_))) {
            types.extend(names::types_of_list(name, &field.decl.name.text));
        }
    }
    for key in resource.uses.all(Kind::Unique) {
        let fields: Vec<_> = key.texts("fields").into_iter().map(|(field, _)| field).collect();
        types.extend((fields.len() > 1).then(|| names::type_of_key(name, &fields)));
    }
    types
}

/// Returns the types that it has reported.
fn check_root_fields<'a>(all: &Declarations<'a>, report: &mut Report) -> Vec<&'a str> {
    let mut reported = Vec::new();
    let mut taken: HashMap<String, Option<&str>> = API_QUERIES.iter().map(|name| ((*name).to_owned(), None)).collect();
    for resource in all.resources.iter().filter(|resource| resource.is_root()) {
        let name = resource.name;
        let singular = names::singular(&name.text);
        for field in [names::plural(&singular), singular] {
            let message = match taken.insert(field.clone(), Some(&name.text)) {
                Some(Some(other)) => {
                    format!("`{}` and `{other}` would both have the root field `{field}`", name.text)
                }
                Some(None) => format!("`{}` would have the root field `{field}`, which is the API's own", name.text),
                None => continue,
            };
            report.error(name.span, message);
            reported.push(name.text.as_str());
        }
    }
    reported
}

fn check_fields(all: &Declarations, resource: &ResourceDecl, report: &mut Report) {
    let is_relation = |ty: &str| matches!(all.find(ty), Some(Named::Resource(_)));
    let mut columns: HashMap<String, &str> = SYSTEM_FIELDS.iter().map(|name| (names::column(name), *name)).collect();
    for (_, field) in resource.fields() {
        let (decl, name) = (field.decl, &field.decl.name);
        let is_relation = is_relation(&decl.ty.name);
        let is_list = decl.ty.shape != Shape::Single;
        if is_relation && is_list || SYSTEM_FIELDS.contains(&name.text.as_str()) {
            continue;
        }
        if is_relation && let Some((_, other)) = resource.find(&names::foreign_key_field(&name.text)) {
            let other = &other.decl.name;
            report.error(other.span, format!("the foreign key of `{}` is called `{}`", name.text, other.text));
            continue;
        }
        let column = if is_relation { names::foreign_key_column(&name.text) } else { names::column(&name.text) };
        if column.len() > MAX_COLUMN_LENGTH {
            report.error(name.span, format!("the column `{column}` has more than {MAX_COLUMN_LENGTH} characters"));
        }
        if let Some(other) = columns.insert(column.clone(), &name.text) {
            let message = format!("`{}` and `{other}` would both have the column `{column}`", name.text);
            report.error(name.span, message);
        }
    }
}
