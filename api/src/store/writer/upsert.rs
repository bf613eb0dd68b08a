//! Changing a row that is found by a key, or making it if it is not there.
//!
//! Keys are unique, so of racing upserts of one key one makes the row and the others change it. For that to hold an upsert
//! may not change the key that it found the row by.
//!
//! A row that the caller may not see is not there for them. Making it again is then refused as a create would be.

use std::sync::Arc;

use super::command::{By, Upsert};
use super::create::Author;
use super::rights::input_name;
use super::state::State;
use super::violation::{Code, Violation};
use crate::catalog::{Datum, Operation, Resource, ResourceId, Row};
use crate::database::Error;

/// How often a row is looked for that other nodes keep moving to other keys.
const ATTEMPTS: u32 = 4;

impl State<'_> {
    /// Stages a changed row or a new one; adds what is wrong to `violations`.
    pub(super) async fn upsert(
        &mut self,
        author: Author<'_>,
        upsert: &Upsert,
        violations: &mut Vec<Violation>,
    ) -> Result<(), Error> {
        let resource_id = upsert.resource;
        let Some(by) = &upsert.by else {
            upsert.create.for_each(&mut |create| violations.extend(create.violations.iter().cloned()));
            return Ok(());
        };
        let found = match self.find(resource_id, by).await? {
            Some(row) if self.allows(author.principal, Operation::Read, resource_id, &row).await? => Some(row),
            _ => None,
        };
        if found.is_none() && by.is_creatable {
            return self.create(author, &upsert.create, None, violations).await;
        }
        // What is wrong with the other half is told as well: it would be wrong some other time.
        upsert.create.for_each(&mut |create| violations.extend(create.violations.iter().cloned()));
        let resource = self.catalog.resource(resource_id);
        let Some(row) = found else {
            let message = format!("There is no such {}.", resource.name);
            violations.push(Violation { code: Code::NotFound, message, path: by.path.clone() });
            return Ok(());
        };
        if !self.allows(author.principal, Operation::Update, resource_id, &row).await? {
            let message = format!("You may not change this {}.", resource.name);
            violations.push(Violation::whole(Code::Forbidden, message));
            return Ok(());
        }
        for (field, value) in &upsert.patch {
            if by.values.iter().any(|(key, known)| key == field && known != value) {
                let message = "An upsert does not change what it finds the row by.";
                let name = input_name(resource.field(*field));
                violations.push(Violation::named(&["update", &name], Code::Immutable, message));
            }
        }
        self.change(author, resource_id, &row, &upsert.patch, "update", violations).await
    }

    /// The row with this id or key, locked.
    pub(super) async fn find(&mut self, resource: ResourceId, by: &By) -> Result<Option<Arc<Row>>, Error> {
        if let [(Resource::ID, id)] = by.values.as_slice() {
            return match id.as_uuid() {
                Some(id) => self.row((resource, id), true).await,
                None => Ok(None),
            };
        }
        let (key, wanted) = self.wanted(resource, by);
        for _ in 0..ATTEMPTS {
            let Some(owner) = self.key_owner(resource, key, &wanted).await? else { return Ok(None) };
            let row = self.row((resource, owner), true).await?;
            let value = row.as_ref().and_then(|row| self.key_value(resource, key, row));
            if value == self.key_value(resource, key, &wanted) {
                return Ok(row);
            }
            // Another node has changed it between the look at the key and the lock on the row.
            self.forget_key(resource, key, &wanted);
        }
        Err(Error::Conflict("the row of a key changes all the time".to_owned()))
    }

    /// The unique key, and a row that has no other values than those of it.
    pub(super) fn wanted(&self, resource: ResourceId, by: &By) -> (usize, Row) {
        let definition = self.catalog.resource(resource);
        let is_key = |fields: &[crate::catalog::FieldId]| {
            fields.len() == by.values.len() && by.values.iter().all(|(field, _)| fields.contains(field))
        };
        let key = definition.unique_keys.iter().position(|key| is_key(&key.fields));
        let mut row = Row(vec![Datum::Null; definition.fields.len()]);
        by.values.iter().for_each(|(field, value)| row.set(*field, value.clone()));
        (key.expect("what names a row is its id or a unique key"), row)
    }
}
