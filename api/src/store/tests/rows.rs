//! A catalog with every type of field, values at the edges of each, and rows made of them.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::catalog::{self, Catalog, Datum, FieldId, FieldType, ResourceId, Row};
use crate::log::Event;
use crate::store::writer::{Command, Create, Mutation, Outcome};
use crate::testing::{TestApp, admin};

/// Every scalar type, nullable, and a list of each; and relations in both directions.
pub(super) const EVERYTHING: &str = r#"
enum Colour { RED GREEN BLUE }

type Shelf @resource @auth(rules: [{ allow: PUBLIC }]) {
  label: String
  level: Int
  above: Shelf @relation(onDelete: SET_NULL)
  below: [Shelf!]! @inverse(field: "above")
  things: [Thing!]! @inverse(field: "shelf")
}

type Thing @resource @auth(rules: [{ allow: PUBLIC }]) {
  text: String
  code: ID
  int: Int
  big: BigInt
  dec: Decimal @decimal(precision: 18, scale: 3)
  float: Float
  flag: Boolean
  at: DateTime
  day: Date
  uuid: UUID
  json: JSON
  colour: Colour
  shelf: Shelf @relation(onDelete: SET_NULL)
  texts: [String!]
  codes: [ID!]
  ints: [Int!]
  bigs: [BigInt!]
  decs: [Decimal!] @decimal(precision: 18, scale: 3)
  floats: [Float!]
  flags: [Boolean!]
  ats: [DateTime!]
  days: [Date!]
  uuids: [UUID!]
  jsons: [JSON!]
  colours: [Colour!]
}
"#;

pub(super) fn catalog() -> Catalog {
    catalog::parse("everything.graphql", EVERYTHING).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Values that clients may give for fields of this type, by the name of the type in the resource file.
pub(super) fn edges(ty: &str) -> Vec<Value> {
    let values = match ty {
        "String" | "ID" => json!([
            "",
            "a",
            "A",
            "ab",
            "aB",
            "AB",
            "b",
            "É",
            "é",
            "ß",
            "ẞ",
            "İ",
            "%",
            "_",
            "a%b",
            "\\",
            "'",
            "\"",
            "日本語",
            "😀",
            " a ",
            "a\nb",
            "z",
            "\u{10FFFF}",
            "\u{FFFF}",
            "1",
            "1.0",
            "true",
            "null",
            "[]",
            "$1",
            "?"
        ]),
        "Int" => json!([0, 1, -1, 2, 7, i32::MAX, i32::MIN]),
        "BigInt" => json!(["0", "1", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808"]),
        "Decimal" => json!(["0", "0.001", "-0.001", "1.5", "-1", "10", "999999999999999.999", "-999999999999999.999"]),
        "Float" => json!([
            0.0,
            -0.0,
            1.0,
            0.1,
            0.30000000000000004,
            -2.5,
            1e21,
            1e22,
            1e-7,
            123456789.12345679,
            9007199254740993.0,
            1.7976931348623157e308,
            2.2250738585072014e-308,
            5e-324,
            3.0000000000000004,
            51.248178375505404,
            8.41e21,
            9.5e-320,
            0.6660000000000001,
            1e-5,
            100000.0
        ]),
        "Boolean" => json!([true, false]),
        "DateTime" => json!([
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999999Z",
            "2026-01-31T12:00:00.123456+02:00",
            "2026-01-31T12:00:00Z"
        ]),
        "Date" => json!(["0001-01-01", "9999-12-31", "1970-01-01", "2024-02-29", "2026-01-31"]),
        "UUID" => json!([
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "0190A0B0-1111-7222-8333-444455556666"
        ]),
        "JSON" => json!([
            1, 1.0, 1e22, -0.0, "x", "", true, {}, [], {"b": 1, "a": [1.0, 1e5, null], "é": "\"'\\"}, [[[]]],
            {"long": {"z": 1e300, "aa": 5e-324}, "y": 12345678901234567890_u64}
        ]),
        "Colour" => json!(["RED", "GREEN", "BLUE"]),
        other => panic!("no values of type {other}"),
    };
    values.as_array().unwrap().clone()
}

fn item(ty: &str) -> BoxedStrategy<Value> {
    let edge = prop::sample::select(edges(ty));
    match ty {
        // Not all floats come back from a text, so that a few are not enough.
        "Float" => {
            let random = (-9.9..9.9_f64, -323..308_i32).prop_map(|(digits, exponent)| {
                let float: f64 = format!("{digits}e{exponent}").parse().unwrap();
                json!(float)
            });
            prop_oneof![edge, random].boxed()
        }
        _ => edge.boxed(),
    }
}

/// The name in the resource file of the type of a field, or of the items of a list field.
pub(super) fn type_name(catalog: &Catalog, ty: &FieldType) -> Option<String> {
    match ty {
        FieldType::Scalar(scalar) | FieldType::ScalarList(scalar) => Some(scalar.name().to_owned()),
        FieldType::Enum(id) | FieldType::EnumList(id) => Some(catalog.enum_type(*id).name.clone()),
        FieldType::RowId | FieldType::ToOne { .. } | FieldType::ToMany { .. } => None,
    }
}

pub(super) fn is_list(ty: &FieldType) -> bool {
    matches!(ty, FieldType::ScalarList(_) | FieldType::EnumList(_))
}

/// What a client may give for a row of this resource: each field left out, or an edge value, or a list of some.
pub(super) fn row(catalog: &Catalog, resource: ResourceId) -> BoxedStrategy<Map<String, Value>> {
    let definition = catalog.resource(resource);
    let declared = definition.fields().filter(|(id, _)| !definition.is_system(*id));
    let fields: Vec<_> = declared
        .filter_map(|(_, field)| {
            let item = item(&type_name(catalog, &field.ty)?);
            let value = match is_list(&field.ty) {
                true => prop::collection::vec(item, 0..4).prop_map(Value::Array).boxed(),
                false => item,
            };
            let name = field.name.clone();
            Some(prop::option::weighted(0.8, value).prop_map(move |value| value.map(|value| (name.clone(), value))))
        })
        .collect();
    fields.prop_map(|fields| fields.into_iter().flatten().collect()).boxed()
}

/// The values of a row that [`row`] made.
pub(super) fn values(catalog: &Catalog, resource: ResourceId, row: &Map<String, Value>) -> Vec<(FieldId, Datum)> {
    let value = |(name, value): (&String, &Value)| {
        let id = catalog.resource(resource).find(name).unwrap();
        (id, Datum::parse(catalog, resource, &catalog.resource(resource).field(id).ty, value).unwrap())
    };
    row.iter().map(value).collect()
}

/// Makes a row; gives its image in the log.
pub(super) async fn insert(app: &TestApp, resource: ResourceId, values: Vec<(FieldId, Datum)>) -> Arc<Row> {
    let create = Create { resource, values, children: Vec::new(), path: Vec::new(), violations: Vec::new() };
    let events = mutate(app, Command::Create(create)).await;
    events[0].after.clone().unwrap()
}

/// Does it as the admin; gives the events.
pub(super) async fn mutate(app: &TestApp, command: Command) -> Vec<Arc<Event>> {
    let mutation = Mutation { principal: admin(), command, violations: Vec::new(), key: None };
    match app.parts.writer.mutate(mutation).await.unwrap() {
        Outcome::Done { events, .. } => events,
        refused => panic!("{refused:?}"),
    }
}
