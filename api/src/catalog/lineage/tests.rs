use std::sync::Arc;

use serde_json::{Value, json};

use super::{Era, Lineage};
use crate::catalog::{Datum, Row, parse};

const NOW: &str = r#"
enum Phase { NEW LATE }
type Thing @resource { name: String  phase: Phase!  title: Int  size: BigInt!  at: DateTime }
type Item @resource { a: Int }
"#;

fn lineage(eras: &[(i64, Value)]) -> Lineage {
    let eras: Vec<_> =
        eras.iter().map(|(until, era)| (*until, serde_json::from_value::<Era>(era.clone()).unwrap())).collect();
    Lineage::new(Arc::new(parse("resources.graphql", NOW).unwrap()), &eras)
}

/// Type and row of an image, the fields that are null left out.
fn read(lineage: &Lineage, position: i64, name: &str, mut image: Value) -> Option<(String, Vec<(String, Datum)>)> {
    let system = json!({"id": uuid::Uuid::nil().to_string(), "createdAt": 5, "updatedAt": 5, "version": 1});
    image.as_object_mut().unwrap().extend(system.as_object().unwrap().clone());
    let view = lineage.view(position, name)?;
    let resource = lineage.catalog().resource(view.resource);
    let Row(values) = lineage.read(view, image.as_object().unwrap())?;
    let declared = resource.fields.iter().zip(values).filter(|(field, value)| !field.read_only && !value.is_null());
    Some((resource.name.clone(), declared.map(|(field, value)| (field.name.clone(), value)).collect()))
}

fn text(text: &str) -> Datum {
    Datum::Text(text.to_owned())
}

fn row(name: &str, fields: &[(&str, Datum)]) -> Option<(String, Vec<(String, Datum)>)> {
    Some((name.to_owned(), fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()))
}

#[test]
fn names_mean_what_they_meant() {
    // Item became Thing and its title name; then another Item came, and another title.
    let lineage = lineage(&[
        (10, json!({"types": {"Item": {"to": "Thing", "fields": {"title": {"to": "name"}}}, "Gone": {"to": null}}})),
        (20, json!({"types": {"Thing": {"to": "Thing", "fields": {"title": {"to": null}}}}})),
    ]);
    assert_eq!(read(&lineage, 10, "Item", json!({"title": "x"})), row("Thing", &[("name", text("x"))]));
    assert_eq!(read(&lineage, 10, "Thing", json!({})), None);
    assert_eq!(read(&lineage, 10, "Gone", json!({})), None);
    // This title is not that of today: it was dropped later.
    let between = json!({"name": "x", "title": "y"});
    assert_eq!(read(&lineage, 11, "Thing", between), row("Thing", &[("name", text("x"))]));
    assert_eq!(read(&lineage, 21, "Thing", json!({"title": 7})), row("Thing", &[("title", Datum::Int(7))]));
    assert_eq!(read(&lineage, 21, "Item", json!({"a": 7})), row("Item", &[("a", Datum::Int(7))]));
    let thing = lineage.catalog().find("Thing").unwrap();
    assert_eq!(lineage.names(thing), ["Thing", "Item"]);
    assert_eq!(lineage.view(10, "Item").unwrap().find("title"), lineage.catalog().resource(thing).find("name"));
}

#[test]
fn fields_have_what_the_rows_got() {
    let lineage = lineage(&[
        (10, json!({"fills": {"Thing": {"size": {"absent": {"value": 7}}, "at": {"absent": "createdAt"}}}})),
        (
            20,
            json!({"types": {"Thing": {"to": "Thing", "fields": {"was": {"to": "phase"}}}},
                    "fills": {"Thing": {"phase": {"null": {"value": "LATE"}}}}}),
        ),
    ]);
    let filled = &[("phase", text("LATE")), ("size", Datum::Int(7)), ("at", Datum::Instant(5))];
    assert_eq!(read(&lineage, 1, "Thing", json!({"was": null})), row("Thing", filled));
    // A node with the older file may write for a while what lacks the field.
    assert_eq!(read(&lineage, 21, "Thing", json!({"phase": "LATE", "at": null})), row("Thing", &filled[..2]));
}

#[test]
fn values_become_those_of_the_type() {
    let lineage = lineage(&[
        (
            10,
            json!({"types": {"Thing": {"to": "Thing", "fields": {"phase": {"to": "phase", "values": {"OLD": "OVER"}}}}}}),
        ),
        (
            20,
            json!({"types": {"Thing": {"to": "Thing", "fields": {"phase": {"to": "phase", "values": {"OVER": "LATE"}}}}}}),
        ),
    ]);
    let phase = |position, name: &str| read(&lineage, position, "Thing", json!({"phase": name})).unwrap().1;
    for (position, name) in [(10, "OLD"), (10, "OVER"), (20, "OVER"), (21, "LATE")] {
        assert_eq!(phase(position, name), [("phase".to_owned(), text("LATE"))], "{name} at {position}");
    }
    // No value of the enum any more, so none at all.
    assert_eq!(phase(20, "OLD"), []);
    for (image, expected) in [
        (json!({"name": 7}), vec![("name", text("7"))]),
        (json!({"size": "7.00"}), vec![("size", Datum::Int(7))]),
        (json!({"size": "7.50", "title": 4_000_000_000_i64}), vec![]),
        (
            json!({"size": 7.0, "at": "1970-01-02"}),
            vec![("size", Datum::Int(7)), ("at", Datum::Instant(86_400_000_000))],
        ),
        (json!({"title": {"no": "number"}, "name": ["x"]}), vec![]),
    ] {
        assert_eq!(read(&lineage, 21, "Thing", image), row("Thing", &expected));
    }
}
