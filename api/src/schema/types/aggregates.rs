//! Numbers about the rows of a list: its aggregate, and its groups. Which fields have which numbers is said here once, for
//! the types and for the plans.

use super::builder::{Builder, Output, input, output};
use super::describe::{self, words};
use super::names::{self, Names};
use crate::catalog::{Catalog, Field, FieldId, FieldType, Resource, ResourceId, Scalar};
use crate::store::read::aggregate::MEAN_EXTRA_DIGITS;
use crate::store::read::{DatePart, GroupKey};

/// A kind of number about many values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// All of them together.
    Sum,
    /// Their mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

impl Function {
    /// All of them, in the order of the API.
    pub const ALL: [Self; 4] = [Self::Sum, Self::Avg, Self::Min, Self::Max];

    /// The field of an aggregate that holds it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    /// The type that holds it for each field.
    pub fn type_name(self, names: &Names) -> &str {
        match self {
            Self::Sum => &names.sum,
            Self::Avg => &names.avg,
            Self::Min => &names.min,
            Self::Max => &names.max,
        }
    }

    /// The GraphQL type of the number about a field; `None` if there is none.
    pub fn result(self, resource: &Resource, id: FieldId) -> Option<&'static str> {
        let field = resource.field(id);
        let FieldType::Scalar(scalar) = field.ty else { return None };
        if field.private {
            return None;
        }
        match (self, scalar) {
            // What a row counts by itself is nothing to add up.
            (Self::Sum | Self::Avg, _) if id == resource.version() => None,
            (Self::Sum, Scalar::Int) => Some(Scalar::BigInt.name()),
            // It may not fit into 64 bits.
            (Self::Sum, Scalar::BigInt) => Some("Decimal"),
            (Self::Avg, Scalar::Int | Scalar::BigInt) => Some(Scalar::Float.name()),
            (Self::Sum | Self::Avg, Scalar::Float | Scalar::Decimal { .. }) => Some(scalar.name()),
            (
                Self::Min | Self::Max,
                Scalar::String
                | Scalar::Int
                | Scalar::BigInt
                | Scalar::Float
                | Scalar::Decimal { .. }
                | Scalar::DateTime
                | Scalar::Date,
            ) => Some(scalar.name()),
            (
                Self::Sum | Self::Avg,
                Scalar::String
                | Scalar::Boolean
                | Scalar::Id
                | Scalar::DateTime
                | Scalar::Date
                | Scalar::Uuid
                | Scalar::Json,
            )
            | (Self::Min | Self::Max, Scalar::Boolean | Scalar::Id | Scalar::Uuid | Scalar::Json) => None,
        }
    }

    fn fields(self, resource: &Resource) -> impl Iterator<Item = (FieldId, &Field, &'static str)> {
        resource.columns().filter_map(move |(id, field)| Some((id, field, self.result(resource, id)?)))
    }

    fn describe(self, resource: &Resource, id: FieldId) -> String {
        let what = format!("`{}`", resource.field(id).name);
        let is = |expected: &str| resource.field(id).ty == FieldType::Scalar(Scalar::Float) && expected == "Float";
        match (self, resource.field(id).ty.clone()) {
            (Self::Sum, FieldType::Scalar(Scalar::BigInt)) => {
                format!("The sum of {what}: a whole number that may be greater than a BigInt.")
            }
            (Self::Sum, _) if is("Float") => format!(
                "The sum of {what}, added as decimal numbers and rounded once. Null, with an error, if it is beyond the \
                 greatest Float."
            ),
            (Self::Sum, _) => format!("The sum of {what}."),
            (Self::Avg, FieldType::Scalar(Scalar::Decimal { scale, .. })) => {
                format!(
                    "The mean of {what}, rounded to {} digits after the point, halves away from zero.",
                    scale + MEAN_EXTRA_DIGITS
                )
            }
            (Self::Avg, _) => format!("The mean of {what}."),
            (Self::Min, FieldType::Scalar(Scalar::String)) => format!("The least {what}, by code point."),
            (Self::Max, FieldType::Scalar(Scalar::String)) => format!("The greatest {what}, by code point."),
            (Self::Min, _) => format!("The least {what}."),
            (Self::Max, _) => format!("The greatest {what}."),
        }
    }
}

/// Something that rows can be grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouper {
    /// Its value in `OrderGroupBy`: `CREATED_AT_DAY`.
    pub value: String,
    /// Its field in `OrderGroupKey`: `createdAtDay`.
    pub name: String,
    /// What it means for the database.
    pub key: GroupKey,
}

/// What the rows of a resource can be grouped by: columns that many rows can have in common, and the days, weeks, months
/// and years of dates and times.
pub fn groupers(resource: &Resource) -> Vec<Grouper> {
    let mut groupers = Vec::new();
    let public = resource.columns().filter(|(id, field)| !field.private && *id != resource.version());
    for (id, field) in public {
        let (whole, parts): (bool, &[DatePart]) = match field.ty {
            FieldType::ToOne { .. }
            | FieldType::Enum(_)
            | FieldType::Scalar(Scalar::Boolean | Scalar::String | Scalar::Id | Scalar::Int) => (true, &[]),
            FieldType::Scalar(Scalar::Date) => (true, &DatePart::ALL[1..]),
            FieldType::Scalar(Scalar::DateTime) => (false, &DatePart::ALL),
            FieldType::RowId
            | FieldType::Scalar(
                Scalar::Float | Scalar::BigInt | Scalar::Decimal { .. } | Scalar::Uuid | Scalar::Json,
            )
            | FieldType::ScalarList(_)
            | FieldType::EnumList(_)
            | FieldType::ToMany { .. } => (false, &[]),
        };
        let name = names::column_name(field);
        let column = field.column.to_ascii_uppercase();
        if whole {
            groupers.push(Grouper {
                value: column.clone(),
                name: name.clone(),
                key: GroupKey { field: id, part: None },
            });
        }
        for part in parts {
            let (first, rest) = part.name().split_at(1);
            groupers.push(Grouper {
                value: format!("{column}_{}", part.name().to_ascii_uppercase()),
                name: format!("{name}{}{rest}", first.to_ascii_uppercase()),
                key: GroupKey { field: id, part: Some(*part) },
            });
        }
    }
    // A field of the file may be called like a part of another one; it comes first.
    let is_of_file = |grouper: &Grouper| grouper.key.part.is_none();
    let taken: Vec<String> = resource.columns().map(|(_, field)| field.column.to_ascii_uppercase()).collect();
    groupers.retain(|grouper| is_of_file(grouper) || !taken.contains(&grouper.value));
    groupers
}

/// `ProductAggregate` and what it holds.
pub(super) fn add_aggregate(builder: &mut Builder, resource: &Resource) {
    let names = Names::of(resource);
    let description = format!("Numbers about all rows of {} that match, those that the caller may see.", resource.name);
    builder.object(&names.aggregate, description, &[], aggregate_fields(resource));
    for function in Function::ALL {
        let fields: Vec<_> = function
            .fields(resource)
            .map(|(id, field, ty)| output(&field.name, ty, function.describe(resource, id)))
            .collect();
        if fields.is_empty() {
            continue;
        }
        let what = match function {
            Function::Sum => "Sums",
            Function::Avg => "Means",
            Function::Min => "Least values",
            Function::Max => "Greatest values",
        };
        let description = format!("{what} of fields of {}; null where no row has a value.", resource.name);
        builder.object(function.type_name(&names), description, &[], fields);
    }
}

/// `count`, and an object for each function that some field has.
fn aggregate_fields(resource: &Resource) -> Vec<Output> {
    let names = Names::of(resource);
    let mut fields = vec![output("count", "Int!", "How many rows there are.")];
    for function in Function::ALL {
        if function.fields(resource).next().is_some() {
            let text = match function {
                Function::Sum => "What fields add up to.",
                Function::Avg => "The means of fields.",
                Function::Min => "The least values of fields.",
                Function::Max => "The greatest values of fields.",
            };
            fields.push(output(function.name(), function.type_name(&names), text));
        }
    }
    fields
}

/// `ProductGroupBy`, `ProductGroupPage`, `ProductGroup` and `ProductGroupKey`.
pub(super) fn add_groups(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    let resource = catalog.resource(id);
    let names = Names::of(resource);
    let groupers = groupers(resource);
    let values = groupers.iter().map(|grouper| {
        let what = format!("`{}`", resource.field(grouper.key.field).name);
        let text = match grouper.key.part {
            None => format!("The same {what}."),
            Some(DatePart::Week) => format!("The same week of {what}, from Monday to Sunday, in UTC."),
            Some(part) => format!("The same {} of {what}, in UTC.", part.name()),
        };
        (grouper.value.clone(), text)
    });
    let description = format!("What the rows of a group of {} have in common.", words(&resource.plural));
    builder.enumeration(&names.group_by, description, values);
    let fields = vec![
        output("nodes", format!("[{}!]!", names.group), "The groups, in the order of their keys; null comes first."),
        output("hasMore", "Boolean!", "Whether there are more groups than `first` asks for, which are left out."),
    ];
    builder.object(&names.group_page, format!("Groups of {}.", words(&resource.plural)), &[], fields);
    let mut fields = vec![output("key", format!("{}!", names.group_key), "What its rows have in common.")];
    fields.extend(aggregate_fields(resource));
    builder.object(&names.group, format!("A group of {}, and numbers about it.", words(&resource.plural)), &[], fields);
    let mut fields = Vec::new();
    for grouper in &groupers {
        let field = resource.field(grouper.key.field);
        let what = format!("`{}`", field.name);
        let ty = match grouper.key.part {
            None => names::value_type(catalog, &field.ty).unwrap_or_default(),
            Some(_) => Scalar::Date.name(),
        };
        let text = match (grouper.key.part, field.to_one()) {
            (Some(DatePart::Day), _) => format!("The day of {what}, in UTC."),
            (Some(part), _) => format!("The first day of the {} of {what}, in UTC.", part.name()),
            (None, Some(target)) => format!("The id of the {}.", words(&catalog.resource(target).name)),
            (None, None) => describe::field(resource, grouper.key.field),
        };
        fields.push(output(&grouper.name, ty, text));
        if let Some(target) = field.to_one() {
            let text = "The same row itself, if the caller may see it.";
            fields.push(output(&field.name, &catalog.resource(target).name, text));
        }
    }
    let description = "What the rows of a group have in common. Fields by which the rows are not grouped are null.";
    builder.object(&names.group_key, description, &[], fields);
}

/// The fields of a connection for all rows that match.
pub(super) fn connection_fields(names: &Names) -> Vec<Output> {
    let groups = output(
        "groupBy",
        format!("{}!", names.group_page),
        "All rows that match the filter, whatever the page, in groups.",
    );
    vec![
        output(
            "aggregate",
            format!("{}!", names.aggregate),
            "Numbers about all rows that match the filter, whatever the page, of those that the caller may see.",
        ),
        groups.arguments([
            input("by", format!("[{}!]!", names.group_by), "What the rows of a group have in common; 1 to 8 of them."),
            input("first", "Int", "How many groups at most; 50 if left out, and at most 1,000."),
        ]),
    ]
}
