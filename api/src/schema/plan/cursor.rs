//! Cursors of rows: the values of an order's terms, and a mark of the order itself.
//!
//! A cursor is a place in an order, so it serves under another filter and below another parent, and when its row is gone.
//! In another order, or among the rows of another resource, it would be taken for some other place without a word; the
//! mark tells that it is not from there.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::catalog::{Catalog, Datum, FieldType, ResourceId, Scalar};
use crate::store::read::{OrderTerm, order_type};

/// The cursor of the row with these values of the order's terms.
pub(super) fn encode(catalog: &Catalog, resource: ResourceId, order: &[OrderTerm], keys: &[Datum]) -> String {
    let images = order.iter().zip(keys).map(|(term, key)| key.to_image(order_type(catalog, resource, term)));
    let parts = std::iter::once(Value::from(mark(catalog, resource, order))).chain(images);
    BASE64_URL_SAFE_NO_PAD.encode(Value::Array(parts.collect()).to_string())
}

/// The values in a cursor; `None` if it is not one of this order.
pub(super) fn decode(catalog: &Catalog, resource: ResourceId, order: &[OrderTerm], text: &str) -> Option<Vec<Datum>> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let parts: Vec<Value> = serde_json::from_slice(&bytes).ok()?;
    let (found, values) = parts.split_first()?;
    if values.len() != order.len() || found.as_u64() != Some(mark(catalog, resource, order).into()) {
        return None;
    }
    let value = |(term, value)| {
        let ty = order_type(catalog, resource, term);
        // What is a text in an image is anything; from a client it must be one that a database can compare with.
        let is_text = matches!(ty, FieldType::Enum(_) | FieldType::Scalar(Scalar::Date | Scalar::String | Scalar::Id));
        if is_text { Datum::parse(catalog, resource, ty, value).ok() } else { Datum::from_image(ty, value) }
    };
    order.iter().zip(values).map(value).collect()
}

/// A number for a resource and an order, the same in every process: FNV-1a of their names. That two orders share one is
/// unlikely, and harmless: their values have to fit as well.
fn mark(catalog: &Catalog, resource: ResourceId, order: &[OrderTerm]) -> u32 {
    let mut mark = 0x811c_9dc5_u32;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0]) {
            mark = (mark ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    };
    add(&catalog.resource(resource).name);
    for term in order {
        let mut resource = catalog.resource(resource);
        for (field, _) in &term.through {
            let field = resource.field(*field);
            add(&field.name);
            resource = catalog.resource(field.to_one().expect("an order goes through to-one fields"));
        }
        add(&resource.field(term.field).name);
        add(if term.is_descending { "-" } else { "+" });
    }
    mark
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SOURCE: &str = r#"
enum Colour { RED GREEN }
type Shelf @resource @auth(rules: [{ allow: PUBLIC }]) { label: String }
type Thing @resource @auth(rules: [{ allow: PUBLIC }]) {
  text: String
  int: Int
  float: Float
  at: DateTime
  day: Date
  dec: Decimal @decimal(precision: 5, scale: 2)
  colour: Colour
  shelf: Shelf @relation(onDelete: SET_NULL)
}
"#;

    fn order(catalog: &Catalog, names: &[&str]) -> Vec<OrderTerm> {
        let thing = catalog.resource(catalog.find("Thing").unwrap());
        let term = |name: &&str| OrderTerm {
            through: Vec::new(),
            field: thing.find(name.trim_start_matches('-')).unwrap(),
            is_descending: name.starts_with('-'),
            is_nullable: true,
        };
        names.iter().map(term).collect()
    }

    #[test]
    fn a_cursor_is_one_of_its_order_alone() {
        let catalog = crate::catalog::parse("resources.graphql", SOURCE).unwrap();
        let (thing, shelf) = (catalog.find("Thing").unwrap(), catalog.find("Shelf").unwrap());
        let keys = [Datum::Text("ä".to_owned()), Datum::Float(0.1)];
        let terms = order(&catalog, &["text", "-float"]);
        let cursor = encode(&catalog, thing, &terms, &keys);
        assert_eq!(decode(&catalog, thing, &terms, &cursor).as_deref(), Some(&keys[..]));
        for other in
            [&["text", "float"][..], &["-text", "-float"], &["text"], &["-float", "text"], &["colour", "-float"]]
        {
            assert_eq!(decode(&catalog, thing, &order(&catalog, other), &cursor), None, "{other:?}");
        }
        let by_id = |resource: ResourceId| {
            let id = crate::catalog::Resource::ID;
            let term = OrderTerm { through: Vec::new(), field: id, is_descending: false, is_nullable: false };
            encode(&catalog, resource, &[term], &[Datum::Uuid(uuid::Uuid::nil())])
        };
        assert_ne!(by_id(thing), by_id(shelf));
    }

    /// Cursors come from clients, so what is in them is checked before a database sees it.
    #[test]
    fn forged_values_are_refused() {
        let catalog = crate::catalog::parse("resources.graphql", SOURCE).unwrap();
        let thing = catalog.find("Thing").unwrap();
        for (name, value, is_good) in [
            ("text", json!("x"), true),
            ("text", json!("\u{0}"), false),
            ("text", json!(1), false),
            ("int", json!(1), true),
            ("int", json!(1.5), false),
            ("int", json!("1"), false),
            ("float", json!("NaN"), false),
            ("float", json!("inf"), false),
            ("at", json!(i64::MAX), false),
            ("at", json!("2026-01-31T12:00:00Z"), false),
            ("day", json!("2026-01-31"), true),
            ("day", json!("x"), false),
            ("dec", json!("1.50"), true),
            ("dec", json!("1.505"), false),
            ("colour", json!("RED"), true),
            ("colour", json!("\u{0}"), false),
            ("shelf", json!("no id"), false),
            ("int", json!([1]), false),
            ("int", json!(null), true),
        ] {
            let terms = order(&catalog, &[name]);
            let forged = |parts: Value| BASE64_URL_SAFE_NO_PAD.encode(parts.to_string());
            let mark = mark(&catalog, thing, &terms);
            let decoded = decode(&catalog, thing, &terms, &forged(json!([mark, value])));
            assert_eq!(decoded.is_some(), is_good, "{name}: {value}");
            assert_eq!(decode(&catalog, thing, &terms, &forged(json!([mark, value, value]))), None);
            assert_eq!(decode(&catalog, thing, &terms, &forged(json!([value]))), None);
            assert_eq!(decode(&catalog, thing, &terms, &forged(json!({"mark": mark}))), None);
        }
    }
}
