//! One row, and a row together with the related rows that a predicate or a rendering looks at.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{Datum, FieldId, Resource, datum};

/// The columns of one row, in the order of [`Resource::fields`]; to-many fields hold [`Datum::Null`].
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub Vec<Datum>);

impl Row {
    /// The value of a field.
    pub fn get(&self, field: FieldId) -> &Datum {
        &self.0[usize::from(field.0)]
    }

    /// Sets the value of a field.
    pub fn set(&mut self, field: FieldId, value: Datum) {
        self.0[usize::from(field.0)] = value;
    }

    /// The row's id.
    pub fn id(&self) -> Uuid {
        self.get(Resource::ID).as_uuid().expect("every row has an id")
    }

    /// How often it was written: 1 at creation.
    pub fn version(&self, resource: &Resource) -> i64 {
        self.get(resource.version()).as_int().expect("every row has a version")
    }

    /// The image that the log holds: a JSON object by field name. A [`Lineage`](super::Lineage) reads it again.
    pub fn image_text(&self, resource: &Resource) -> String {
        let mut text = Vec::with_capacity(512);
        self.write_image(resource, &mut text);
        String::from_utf8(text).expect("JSON is text")
    }

    /// Writes [`Row::image_text`].
    pub fn write_image(&self, resource: &Resource, out: &mut Vec<u8>) {
        for (i, (id, field)) in resource.columns().enumerate() {
            out.push(if i == 0 { b'{' } else { b',' });
            datum::write_text(out, &field.name);
            out.push(b':');
            self.get(id).write_image(&field.ty, out);
        }
        out.push(b'}');
    }

    /// About how much memory it takes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.0.iter().map(Datum::size_bytes).sum::<usize>()
    }

    /// The columns that differ.
    pub fn changed_fields(&self, other: &Self, resource: &Resource) -> Vec<FieldId> {
        resource.columns().map(|(id, _)| id).filter(|id| self.get(*id) != other.get(*id)).collect()
    }
}

/// A row and some of its related rows, each as it was at the same position of the log.
#[derive(Debug, Clone)]
pub struct Image {
    /// The row itself.
    pub row: Arc<Row>,
    /// By to-one field, those of the [`Needs`] it was made for; `None` where the foreign key is null or the row gone.
    pub related: Vec<(FieldId, Option<Arc<Image>>)>,
    /// By to-many field, those of the [`Needs`] it was made for.
    pub lists: Vec<(FieldId, Vec<Arc<Image>>)>,
}

impl Image {
    /// A row without any related rows.
    pub fn alone(row: Arc<Row>) -> Self {
        Self { row, related: Vec::new(), lists: Vec::new() }
    }

    /// The row at the other side of a to-one field that was asked for.
    pub fn related(&self, field: FieldId) -> Option<&Image> {
        self.related.iter().find(|(id, _)| *id == field).and_then(|(_, image)| image.as_deref())
    }

    /// The rows at the other side of a to-many field that was asked for.
    pub fn list(&self, field: FieldId) -> &[Arc<Image>] {
        self.lists.iter().find(|(id, _)| *id == field).map_or(&[], |(_, images)| images)
    }
}

/// Which related rows something looks at: a tree of relations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// By to-one field, what is needed of the row at its other side.
    pub related: BTreeMap<FieldId, Needs>,
    /// By to-many field, what is needed of each row at its other side.
    pub lists: BTreeMap<FieldId, Needs>,
}

impl Needs {
    /// What is needed of the row at the other side of this field, which is needed itself from now on.
    pub fn related(&mut self, field: FieldId) -> &mut Self {
        self.related.entry(field).or_default()
    }

    /// What is needed of each row at the other side of this field, all of which are needed from now on.
    pub fn list(&mut self, field: FieldId) -> &mut Self {
        self.lists.entry(field).or_default()
    }

    /// Adds all that the other one needs.
    pub fn merge(&mut self, other: &Self) {
        for (field, needs) in &other.related {
            self.related(*field).merge(needs);
        }
        for (field, needs) in &other.lists {
            self.list(*field).merge(needs);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::catalog::Lineage;

    /// The text of an image must be what [`Datum::to_image`] says, since both are read by a [`Lineage`].
    #[test]
    fn images_are_read_as_they_were_written() {
        let source = r#"
            enum Colour { RED GREEN }
            type Thing @resource @auth(rules: [{ allow: PUBLIC }]) {
              text: String! bool: Boolean! int: Int! big: BigInt! float: Float! at: DateTime! day: Date! ref: UUID!
              price: Decimal! @decimal(precision: 12, scale: 2) any: JSON! colour: Colour! gone: String
              names: [String!]! prices: [Decimal!]! @decimal(precision: 12, scale: 2) colours: [Colour!]!
            }"#;
        let catalog = crate::catalog::parse("resources.graphql", source).unwrap();
        let lineage = Lineage::new(Arc::new(catalog), &[]);
        let view = lineage.view(1, "Thing").unwrap();
        let resource = lineage.catalog().resource(view.resource);
        let text = |text: &str| Datum::Text(text.to_owned());
        let mut row = Row(vec![Datum::Null; resource.fields.len()]);
        for (name, value) in [
            ("id", Datum::Uuid(Uuid::now_v7())),
            ("createdAt", Datum::Instant(1_700_000_000_123_456)),
            ("updatedAt", Datum::Instant(-1)),
            ("version", Datum::Int(1)),
            ("text", text("\"quoted\" \\ \u{1}\n – ü 🦀")),
            ("bool", Datum::Bool(true)),
            ("int", Datum::Int(-7)),
            ("big", Datum::Int(i64::MIN)),
            ("float", Datum::Float(0.1)),
            ("at", Datum::Instant(0)),
            ("day", text("2026-01-31")),
            ("ref", Datum::Uuid(Uuid::nil())),
            ("price", Datum::Decimal(-5)),
            ("any", Datum::Json(Box::new(serde_json::json!({"b": [1, 2.5, null], "a": "\u{7f}"})))),
            ("colour", text("RED")),
            ("names", Datum::List(vec![text("a"), text("")])),
            ("prices", Datum::List(vec![Datum::Decimal(100), Datum::Decimal(1)])),
            ("colours", Datum::List(vec![text("GREEN")])),
        ] {
            row.set(resource.find(name).unwrap(), value);
        }
        let image: Map<String, Value> = serde_json::from_str(&row.image_text(resource)).unwrap();
        assert_eq!(lineage.read(view, &image), Some(row.clone()));
        for (id, field) in resource.columns() {
            assert_eq!(
                row.get(id).image_text(&field.ty),
                row.get(id).to_image(&field.ty).to_string(),
                "{}",
                field.name
            );
        }
    }
}
