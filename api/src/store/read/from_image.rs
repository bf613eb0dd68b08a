//! The same tree as a SELECT gives, of an event's image.

use futures_util::future::BoxFuture;

use super::decode::Node;
use super::list as read_list;
use super::shape::{Shape, Slot};
use crate::catalog::{Catalog, Datum, Image};
use crate::database::{Database, Error};

/// Takes the slots of a shape out of an image, which must hold what [`Shape::add_needs`] asks for. Only to-many lists
/// need the database: they are as they are now.
pub fn from_image<'a>(
    database: &'a Database,
    catalog: &'a Catalog,
    shape: &'a Shape,
    image: &'a Image,
) -> BoxFuture<'a, Result<Vec<Node>, Error>> {
    Box::pin(async move {
        let mut nodes = Vec::with_capacity(shape.slots.len());
        for slot in &shape.slots {
            nodes.push(match slot {
                Slot::Column(field) => Node::Leaf(image.row.get(*field).clone()),
                Slot::Test(filter) => Node::Leaf(Datum::Bool(filter.matches(image))),
                Slot::ToOne { field, visible, shape } => {
                    match image.related(*field).filter(|other| visible.matches(other)) {
                        Some(other) => Node::Object(Some(from_image(database, catalog, shape, other).await?.into())),
                        None => Node::Object(None),
                    }
                }
                Slot::List(list) => {
                    Node::Page(Box::new(read_list(database, catalog, list, Some(image.row.id())).await?))
                }
            });
        }
        Ok(nodes)
    })
}
