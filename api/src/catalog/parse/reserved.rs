//! Names that cannot be used: because the API, the databases or Tandem itself use them, because they cannot become what
//! is made of them.

use super::source::Report;
use super::syntax::Name;
use crate::catalog::names;

/// Of a resource's prefix, which names its table and begins its ids.
const MAX_PREFIX_LENGTH: usize = 40;
/// Of the name of a field.
const MAX_FIELD_LENGTH: usize = 40;
/// Of an enum or one of its values.
const MAX_ENUM_LENGTH: usize = 80;

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
/// Of the API itself.
pub const WEBHOOK_MUTATIONS: &[&str] = &[
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

/// Root fields of queries that no resource makes.
pub const API_QUERIES: &[&str] = &["node", "viewer", "changes", "webhook", "webhooks"];
/// What stands beside a resource's own name in a payload.
const PAYLOAD_FIELDS: &[&str] = &["change", "userErrors", "clientMutationId"];
/// Of every resource.
pub const SYSTEM_FIELDS: &[&str] = &["id", "createdAt", "updatedAt", "version"];
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

/// Whether the text can be a name in GraphQL, for names that stand in strings.
pub fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
