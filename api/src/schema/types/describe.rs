//! Sentences for what the resource file does not describe itself, and about what it demands of a field.

use crate::catalog::datum::Prefixes;
use crate::catalog::{Catalog, Datum, DefaultValue, Field, FieldId, FieldType, Format, Resource, ResourceId, Scalar};

use super::names;

/// `unitPrice` and `OrderLine` as words: `unit price`, `order line`.
pub(super) fn words(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push(' ');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// `ON_HOLD` as a sentence: `On hold.`
pub(super) fn enum_value(name: &str) -> String {
    let text = name.to_ascii_lowercase().replace('_', " ");
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}

/// With its article: `an order line`.
pub(super) fn a(words: &str) -> String {
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {words}")
}

/// Sentences as one paragraph; a full stop is put where one is missing.
pub(super) fn sentences(parts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut out = String::new();
    for part in parts {
        let part = part.as_ref().trim();
        if part.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(part);
        if !part.ends_with(['.', '!', '?', ':', ')']) {
            out.push('.');
        }
    }
    out
}

/// What a resource is.
pub(super) fn resource(resource: &Resource) -> String {
    resource.description.clone().unwrap_or_else(|| sentences([capitalized(&a(&words(&resource.name)))]))
}

/// What a field of a resource is, without anything about how it is read or written.
pub(super) fn field(resource: &Resource, id: FieldId) -> String {
    let field = resource.field(id);
    let owner = words(&resource.name);
    if let Some(description) = &field.description {
        return sentences([description]);
    }
    if id == Resource::ID {
        return format!("`{}_` and 26 more characters; the same string in every channel.", resource.prefix);
    }
    if id == resource.created_at() {
        return format!("When the {owner} was created.");
    }
    if id == resource.updated_at() {
        return format!("When the {owner} was last written.");
    }
    if id == resource.version() {
        return format!("How often the {owner} was written: 1 at creation, plus 1 at each update.");
    }
    match field.ty {
        FieldType::Scalar(Scalar::Boolean) => format!("The flag `{}` of the {owner}.", field.name),
        _ => format!("The {} of the {owner}.", words(&field.name)),
    }
}

/// What a reader of a field should know besides [`field`].
pub(super) fn reading(field: &Field) -> String {
    let mut parts = Vec::new();
    if let FieldType::Scalar(Scalar::Decimal { scale, .. }) | FieldType::ScalarList(Scalar::Decimal { scale, .. }) =
        field.ty
    {
        parts.push(format!("{scale} digits after the point."));
    }
    if field.rules.is_some() {
        parts.push("Null, with a FORBIDDEN error, for callers who may not read it.".to_owned());
    }
    sentences(parts)
}

/// What a field demands of a value.
pub(super) fn writing(catalog: &Catalog, owner: ResourceId, id: FieldId) -> String {
    let field = catalog.resource(owner).field(id);
    let constraint = &field.constraint;
    let show = |datum: &Datum| literal(catalog, owner, &field.ty, datum);
    let mut parts = Vec::new();
    if let FieldType::Scalar(Scalar::Decimal { precision, scale })
    | FieldType::ScalarList(Scalar::Decimal { precision, scale }) = field.ty
    {
        parts.push(format!("At most {} digits before and {scale} after the point.", precision - scale));
    }
    parts.extend(range("", constraint.min.as_ref().map(show), constraint.max.as_ref().map(show)));
    let number = |limit: Option<u32>| limit.map(|n| n.to_string());
    parts.extend(range("characters", number(constraint.min_length), number(constraint.max_length)));
    parts.extend(range("items", number(constraint.min_items), number(constraint.max_items)));
    parts.extend(constraint.pattern.as_ref().map(|pattern| format!("Matches `{}`.", pattern.as_str())));
    parts.extend(constraint.format.map(|format| match format {
        Format::Email => "An e-mail address.".to_owned(),
        Format::Url => "An absolute URL.".to_owned(),
    }));
    sentences(parts)
}

/// What a create makes of a field that it leaves out.
pub(super) fn default(catalog: &Catalog, owner: ResourceId, id: FieldId) -> String {
    let resource = catalog.resource(owner);
    let field = resource.field(id);
    match &field.default {
        Some(DefaultValue::Literal(datum)) => format!("Default: `{}`.", literal(catalog, owner, &field.ty, datum)),
        Some(DefaultValue::Claim(claim)) => format!("Default: the claim `{claim}` of the caller's token."),
        Some(DefaultValue::Sequence) => "Default: the next number.".to_owned(),
        Some(DefaultValue::Now) => "Default: the time of the write.".to_owned(),
        None if names::is_owner_field(resource, id) => "Default: the `sub` of the caller's token.".to_owned(),
        None => String::new(),
    }
}

fn range(unit: &str, min: Option<String>, max: Option<String>) -> Option<String> {
    let text = match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max} {unit}"),
        (Some(min), None) => format!("At least {min} {unit}"),
        (None, Some(max)) => format!("At most {max} {unit}"),
        (None, None) => return None,
    };
    Some(format!("{}.", text.trim_end()))
}

/// A value as clients write it, without the quotes of a string.
fn literal(catalog: &Catalog, owner: ResourceId, ty: &FieldType, datum: &Datum) -> String {
    let mut json = Vec::new();
    datum.write_json(ty, &Prefixes::new(catalog, owner), &mut json);
    let text = String::from_utf8_lossy(&json);
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&text).to_owned()
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
