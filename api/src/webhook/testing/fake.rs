//! A catalog and documents that are easy to predict.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Map, Value};

use crate::auth::Principal;
use crate::catalog::{
    Access, Allow, Catalog, Constraint, EnumType, EnumValue, Field, FieldType, Operations, Resource, ResourceId, Rule,
    Scalar,
};
use crate::log::{ChangeKind, Event};
use crate::webhook::render::{Follow, Refusal, Render, RenderError, Rendered};

pub fn field(name: &str, ty: FieldType, nullable: bool) -> Field {
    let column = match ty {
        FieldType::ToOne { .. } => format!("{name}_id"),
        FieldType::ToMany { .. } => String::new(),
        _ => name.to_owned(),
    };
    Field {
        name: name.to_owned(),
        column,
        description: None,
        ty,
        nullable,
        default: None,
        constraint: Constraint::default(),
        private: false,
        read_only: false,
        write_once: false,
        rules: None,
        renamed_from: None,
    }
}

/// A resource that everybody may do everything with.
pub fn resource(name: &str, singular: &str, prefix: &str, declared: Vec<Field>) -> Resource {
    let mut fields = vec![field("id", FieldType::RowId, false)];
    fields.extend(declared);
    fields.push(field("createdAt", FieldType::Scalar(Scalar::DateTime), false));
    fields.push(field("updatedAt", FieldType::Scalar(Scalar::DateTime), false));
    fields.push(field("version", FieldType::Scalar(Scalar::Int), false));
    Resource {
        name: name.to_owned(),
        singular: singular.to_owned(),
        plural: format!("{singular}s"),
        prefix: prefix.to_owned(),
        description: None,
        root: true,
        fields,
        unique_keys: Vec::new(),
        indexes: Vec::new(),
        search: Vec::new(),
        access: Access::Rules(vec![Rule { allow: Allow::Public, operations: Operations::ALL }]),
        renamed_from: None,
    }
}

pub fn catalog() -> Catalog {
    let text = FieldType::Scalar(Scalar::String);
    let status = EnumType {
        name: "Status".to_owned(),
        description: None,
        values: vec![EnumValue { name: "NEW".to_owned(), description: None, renamed_from: None }],
    };
    let products = resource("Product", "product", "product", vec![field("name", text, false)]);
    Catalog::new(vec![products], vec![status])
}

/// Documents of this fake are `all`, `even` (events at even positions), or anything else, which is refused.
pub struct FakeRender;

impl Render for FakeRender {
    fn prepare(
        &self,
        query: &str,
        _variables: &Map<String, Value>,
        principal: Arc<Principal>,
    ) -> Result<Arc<dyn Follow>, Vec<Refusal>> {
        let refusal = |message: &str, is_forbidden| vec![Refusal { message: message.to_owned(), is_forbidden }];
        match query {
            "all" => Ok(follow(false)),
            "even" => Ok(follow(true)),
            "secret" if !principal.is_admin => Err(refusal("Field cost is not for you", true)),
            query if query.starts_with("subscription") => Ok(follow(false)),
            _ => Err(refusal("Syntax error", false)),
        }
    }
}

struct FakeFollow {
    is_even: bool,
    kinds: Vec<(ResourceId, ChangeKind)>,
}

/// Of events at even positions, or of all.
fn follow(is_even: bool) -> Arc<FakeFollow> {
    let catalog = catalog();
    let of = |(id, _)| ChangeKind::ALL.map(|kind| (id, kind));
    Arc::new(FakeFollow { is_even, kinds: catalog.resources().flat_map(of).collect() })
}

impl Follow for FakeFollow {
    fn kinds(&self) -> &[(ResourceId, ChangeKind)] {
        &self.kinds
    }

    fn render<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<Option<Rendered>, RenderError>> {
        let is_mine = !self.is_even || event.position.get() % 2 == 0;
        let data = format!("{{\"position\":{}}}", event.position);
        async move { Ok(is_mine.then(|| Rendered { data: data.into(), errors: None })) }.boxed()
    }
}
