//! Names that cannot be used: because the API, the databases or Tandem itself use them, because they cannot become what
//! is made of them, or because two things would get the same.

use std::collections::HashMap;

use super::declare::{Declarations, Named, ResourceDecl};
use super::source::Report;
use super::syntax::{Name, Shape};
use super::vocabulary::Kind;
use crate::catalog::names;

/// Of a resource's prefix, which names its table and begins its ids.
const MAX_PREFIX_LENGTH: usize = 40;
/// Of the name of a field.
const MAX_FIELD_LENGTH: usize = 40;
/// Of an enum or one of its values.
const MAX_ENUM_LENGTH: usize = 80;
/// Identifiers of PostgreSQL have 63 bytes.
const MAX_COLUMN_LENGTH: usize = 63;

/// Types of the API that no resource makes. Those that begin with one of [`API_TYPE_PREFIXES`] are left out.
const API_TYPES: &[&str] = &[
    "BatchMode",
    "Change",
    "ChangeConnection",
    "ChangeEdge",
    "ChangeKind",
    "Mutation",
    "Node",
    "NodeIDFilter",
    "OrderDirection",
    "PageInfo",
    "Query",
    "Subscription",
    "Transition",
    "UserError",
    "UserErrorCode",
    "Viewer",
];
const API_TYPE_PREFIXES: &[&str] = &["Webhook", "Delivery"];
const WEBHOOK_MUTATIONS: &[&str] = &[
    "CreateWebhook",
    "UpdateWebhook",
    "DeleteWebhook",
    "RotateWebhookSecret",
    "PingWebhook",
    "RetryDelivery",
    "ReplayWebhook",
];
/// The scalar types, as the resource file names them.
pub const SCALARS: &[&str] =
    &["String", "Int", "Float", "Boolean", "ID", "BigInt", "Decimal", "DateTime", "Date", "UUID", "JSON"];

const API_QUERIES: &[&str] = &["node", "viewer", "changes", "webhook", "webhooks"];
/// What stands beside a resource's own name in a payload.
const PAYLOAD_FIELDS: &[&str] = &["change", "userErrors", "clientMutationId"];
const SYSTEM_FIELDS: &[&str] = &["id", "createdAt", "updatedAt", "version"];
const FILTER_FIELDS: &[&str] = &["and", "or", "not"];
const INPUT_FIELDS: &[&str] = &["clientMutationId", "idempotencyKey"];
/// System columns of PostgreSQL.
const SYSTEM_COLUMNS: &[&str] = &["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
/// Prefixes of ids that are no resource's.
const OWN_PREFIXES: &[&str] = &["evt", "tx", "txn", "dlv", "whk"];
/// Tables that begin like this belong to Tandem, its migrations or a database.
const TABLE_PREFIXES: &[&str] = &["tandem_", "seaql_", "sqlite_", "pg_"];

/// Of a type of the file.
pub fn check_type_name(name: &Name, is_resource: bool, report: &mut Report) {
    let text = name.text.as_str();
    if text.starts_with("__") {
        report.error(name.span, format!("`{text}`: names that begin with __ belong to GraphQL"));
    } else if SCALARS.contains(&text) {
        report.error(name.span, format!("`{text}` is a scalar type"));
    } else if API_TYPES.contains(&text) || API_TYPE_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
        report.error(name.span, format!("`{text}` is a type of the API itself"));
    } else if text.chars().count() > MAX_ENUM_LENGTH {
        report.error(name.span, format!("a type name has at most {MAX_ENUM_LENGTH} characters"));
    } else if is_resource {
        check_resource_name(name, report);
    }
}

fn check_resource_name(name: &Name, report: &mut Report) {
    let text = name.text.as_str();
    let starts_upper = text.starts_with(|c: char| c.is_ascii_uppercase());
    if !starts_upper || !text.chars().all(|c| c.is_ascii_alphabetic()) {
        // The prefix of a TypeID holds nothing else.
        let message = format!("`{text}`: the name of a resource begins with a capital and has letters only");
        report.error(name.span, message);
        return;
    }
    let prefix = names::prefix(text);
    if prefix.len() > MAX_PREFIX_LENGTH {
        report.error(
            name.span,
            format!("`{text}`: `{prefix}`, which names its table, has more than {MAX_PREFIX_LENGTH} characters"),
        );
    }
    if OWN_PREFIXES.contains(&prefix.as_str()) {
        report.error(name.span, format!("`{text}`: ids that begin with `{prefix}_` are those of Tandem itself"));
    }
    if let Some(start) = TABLE_PREFIXES.iter().find(|start| prefix.starts_with(*start)) {
        report.error(name.span, format!("`{text}`: tables that begin with `{start}` are not for resources"));
    }
    if PAYLOAD_FIELDS.contains(&names::singular(text).as_str()) {
        let message = format!("`{text}`: every payload has a field `{}` of its own", names::singular(text));
        report.error(name.span, message);
    }
}

/// Of a field.
pub fn check_field_name(name: &Name, report: &mut Report) {
    let text = name.text.as_str();
    let starts_lower = text.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts_lower || !text.chars().all(|c| c.is_ascii_alphanumeric()) {
        let message =
            format!("`{text}`: the name of a field begins with a small letter and has letters and digits only");
        report.error(name.span, message);
    } else if text.len() > MAX_FIELD_LENGTH {
        report.error(name.span, format!("the name of a field has at most {MAX_FIELD_LENGTH} characters"));
    } else if SYSTEM_FIELDS.contains(&text) {
        report.error(name.span, format!("every resource has a field `{text}` already"));
    } else if FILTER_FIELDS.contains(&text) {
        report.error(name.span, format!("`{text}` means something else in a filter"));
    } else if INPUT_FIELDS.contains(&text) {
        report.error(name.span, format!("`{text}` means something else in an input"));
    } else if SYSTEM_COLUMNS.contains(&text) {
        report.error(name.span, format!("`{text}` is a system column of PostgreSQL"));
    }
}

/// Of a value of an enum. That it is none of true, false and null, the parser has seen to.
pub fn check_enum_value(name: &Name, report: &mut Report) {
    if name.text.starts_with("__") {
        report.error(name.span, format!("`{}`: names that begin with __ belong to GraphQL", name.text));
    } else if name.text.len() > MAX_ENUM_LENGTH {
        report.error(name.span, format!("a value of an enum has at most {MAX_ENUM_LENGTH} characters"));
    }
}

/// Reports what would get the name of something else.
pub fn check_collisions(all: &Declarations, report: &mut Report) {
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

/// Whether the text can be a name in GraphQL, for names that stand in strings.
pub fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
