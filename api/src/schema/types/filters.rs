//! Filters: one input object per resource, made of one per type of column.

use crate::catalog::{Catalog, FieldType, Quantifier, Resource, ResourceId, Scalar};

use super::builder::{Builder, Input, input};
use super::describe::{self, words};
use super::names::{self, Names};

/// `ProductFilter`.
pub(super) fn add_resource(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    let resource = catalog.resource(id);
    let filter = Names::of(resource).filter;
    let mut fields = vec![
        input("and", format!("[{filter}!]"), "All of these match; of an empty list, every row does."),
        input("or", format!("[{filter}!]"), "At least one of these matches; of an empty list, no row does."),
        input("not", filter.clone(), "This does not match."),
    ];
    for (field_id, field) in resource.fields().filter(|(_, field)| !field.private) {
        let text = describe::field(resource, field_id);
        if let Some((target, _)) = field.to_many() {
            let list = Names::of(catalog.resource(target)).list_filter;
            fields.push(input(&field.name, list, describe::sentences([text.as_str(), LIST])));
        }
        let Some(ty) = names::filter_type(catalog, &field.ty) else { continue };
        if let FieldType::ToOne { target, .. } = field.ty {
            let related = Names::of(catalog.resource(target)).filter;
            let nested = "There is a related row that the caller may see, and it matches.";
            fields.push(input(&field.name, related, describe::sentences([text.as_str(), nested])));
            let by_id = format!("By the id of the {} alone.", words(&catalog.resource(target).name));
            fields.push(input(names::column_name(field), ty, by_id));
        } else {
            fields.push(input(&field.name, ty, text));
        }
    }
    builder.input_object(&filter, resource_description(resource), fields);
}

const LIST: &str = "What is asked of those that the caller may see.";

/// `OrderLineListFilter`.
pub(super) fn add_related_list(builder: &mut Builder, resource: &Resource) {
    let names = Names::of(resource);
    let quantifiers = Quantifier::ALL.map(|quantifier| {
        let text = match quantifier {
            Quantifier::Some => "At least one of them matches; `some: {}` asks for at least one.",
            Quantifier::Every => "All of them match; of no rows, all do.",
            Quantifier::None => "None of them matches; `none: {}` asks for no rows.",
        };
        input(quantifier.name(), &names.filter, text)
    });
    let rows = words(&resource.plural);
    let description = format!("Tests the {rows} of a row, those that the caller may see; all that is given must hold.");
    builder.input_object(&names.list_filter, description, quantifiers.into());
}

fn resource_description(resource: &Resource) -> String {
    format!(
        "Which rows of {} are meant: those for which all of these fields hold. A comparison with a field that is null \
         is false, and `not` makes it true.",
        resource.name
    )
}

/// The filters of columns that the filters of resources use.
pub(super) fn add_columns(builder: &mut Builder, catalog: &Catalog) {
    if builder.uses("NodeIDFilter") {
        let fields = equality("ID", "").chain([is_null()]).collect();
        builder.input_object("NodeIDFilter", "Tests the id of a row.", fields);
    }
    for scalar in SCALARS {
        let name = format!("{}Filter", scalar.name());
        if builder.uses(&name) {
            let description = format!("Tests a field of type {}; all that is given must hold.", scalar.name());
            builder.input_object(&name, description, scalar_tests(scalar));
        }
        add_list(builder, scalar.name(), scalar != Scalar::Json);
    }
    for (_, ty) in catalog.enums() {
        let name = format!("{}Filter", ty.name);
        if builder.uses(&name) {
            let fields = equality(&ty.name, "").chain([is_null()]).collect();
            builder.input_object(
                &name,
                format!("Tests a field of type {}; all that is given must hold.", ty.name),
                fields,
            );
        }
        add_list(builder, &ty.name, true);
    }
}

fn add_list(builder: &mut Builder, item: &str, comparable: bool) {
    let name = format!("{item}ListFilter");
    if !builder.uses(&name) {
        return;
    }
    let mut fields = Vec::new();
    if comparable {
        fields.push(input("has", item, "The list has this item."));
        fields.push(input("hasSome", format!("[{item}!]"), "The list has at least one of these items."));
        fields.push(input("hasEvery", format!("[{item}!]"), "The list has all of these items."));
    }
    fields.push(input("isEmpty", "Boolean", "The list has no items if true, it has some if false."));
    fields.push(is_null());
    builder.input_object(&name, format!("Tests a list of {item}; all that is given must hold."), fields);
}

/// One of each; the numbers of a Decimal do not matter here.
const SCALARS: [Scalar; 11] = [
    Scalar::String,
    Scalar::Id,
    Scalar::Int,
    Scalar::Float,
    Scalar::Boolean,
    Scalar::BigInt,
    Scalar::Decimal { precision: 1, scale: 0 },
    Scalar::DateTime,
    Scalar::Date,
    Scalar::Uuid,
    Scalar::Json,
];

fn scalar_tests(scalar: Scalar) -> Vec<Input> {
    let ty = scalar.name();
    match scalar {
        Scalar::String => equality(ty, " Upper and lower case differ.")
            .chain(order(ty, " By code point."))
            .chain(text())
            .chain([is_null()])
            .collect(),
        Scalar::Id => equality(ty, "").chain(order(ty, " By code point.")).chain([is_null()]).collect(),
        Scalar::Int | Scalar::Float | Scalar::BigInt | Scalar::Decimal { .. } | Scalar::DateTime | Scalar::Date => {
            equality(ty, "").chain(order(ty, "")).chain([is_null()]).collect()
        }
        Scalar::Uuid => equality(ty, "").chain([is_null()]).collect(),
        Scalar::Boolean => equality(ty, "").take(2).chain([is_null()]).collect(),
        Scalar::Json => vec![is_null()],
    }
}

fn equality(ty: &str, note: &str) -> impl Iterator<Item = Input> {
    [
        input("eq", ty, format!("Equal to this.{note}")),
        input("neq", ty, "Not null, and not equal to this."),
        input("in", format!("[{ty}!]"), "Equal to one of these."),
        input("notIn", format!("[{ty}!]"), "Not null, and equal to none of these."),
    ]
    .into_iter()
}

fn order(ty: &str, note: &str) -> impl Iterator<Item = Input> {
    [
        input("lt", ty, format!("Less than this.{note}")),
        input("lte", ty, format!("Less than this, or equal to it.{note}")),
        input("gt", ty, format!("Greater than this.{note}")),
        input("gte", ty, format!("Greater than this, or equal to it.{note}")),
    ]
    .into_iter()
}

fn text() -> impl Iterator<Item = Input> {
    [
        input("contains", "String", "Has this text somewhere in it. `%` and `_` stand for themselves."),
        input("startsWith", "String", "Begins with this text."),
        input("endsWith", "String", "Ends with this text."),
        input(
            "containsIgnoreCase",
            "String",
            "Has this text somewhere in it; A and a are the same, for ASCII letters.",
        ),
        input("eqIgnoreCase", "String", "Equal to this; A and a are the same, for ASCII letters."),
    ]
    .into_iter()
}

fn is_null() -> Input {
    input("isNull", "Boolean", "Null if true, not null if false.")
}
