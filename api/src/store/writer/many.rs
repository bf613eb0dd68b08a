//! Writing many rows with one mutation.
//!
//! What matches a filter was found before the mutation came to the writer. Those rows are looked at again inside the
//! transaction, by their ids, and are written if they match still. So everything before must have been flushed.

use std::sync::Arc;

use super::command::{CreateMany, DeleteMany, Matching, UpdateMany};
use super::create::Author;
use super::state::State;
use super::violation::{Code, Violation};
use crate::auth::rules;
use crate::catalog::{Filter, Needs, Operation, ResourceId, Row};
use crate::database::Error;
use crate::log::NewEvent;

/// The rows of a mutation, as events, and where among them those are that the command names.
pub(super) struct Made {
    pub(super) events: Vec<NewEvent>,
    pub(super) subjects: Vec<Option<usize>>,
}

impl State<'_> {
    /// Makes the rows, all of them or, if they are independent, those without violations. What is made has joined the batch
    /// when this returns.
    pub(super) async fn create_many(
        &mut self,
        author: Author<'_>,
        many: &CreateMany,
        violations: &mut Vec<Violation>,
    ) -> Result<Made, Error> {
        let mut made = Made { events: Vec::new(), subjects: Vec::with_capacity(many.items.len()) };
        // What is wrong with the input as a whole lets none of them be made.
        let is_independent = many.is_independent && violations.is_empty();
        let mut staged = 0;
        for item in &many.items {
            let mut own = Vec::new();
            self.create(author, item, None, &mut own).await?;
            let is_sound = own.is_empty();
            violations.extend(own);
            if !is_independent {
                made.subjects.push(Some(staged));
                staged = self.staged.events.len();
            } else if is_sound {
                made.subjects.push(Some(made.events.len()));
                made.events.extend(self.accept());
            } else {
                made.subjects.push(None);
                self.reject();
            }
        }
        if is_independent {
            return Ok(made);
        }
        if violations.is_empty() {
            made.events = self.accept();
        } else {
            self.reject();
        }
        Ok(made)
    }

    /// Stages the changed rows.
    pub(super) async fn update_many(
        &mut self,
        author: Author<'_>,
        many: &UpdateMany,
        violations: &mut Vec<Violation>,
    ) -> Result<Vec<Arc<Row>>, Error> {
        let rows = self.select_many(author, Operation::Update, many.resource, &many.matching, violations).await?;
        for row in &rows {
            self.change(author, many.resource, row, &many.patch, "patch", violations).await?;
        }
        Ok(rows)
    }

    /// Stages the removal of the rows and of what goes with them.
    pub(super) async fn delete_many(
        &mut self,
        author: Author<'_>,
        many: &DeleteMany,
        violations: &mut Vec<Violation>,
    ) -> Result<Vec<Arc<Row>>, Error> {
        let rows = self.select_many(author, Operation::Delete, many.resource, &many.matching, violations).await?;
        if violations.is_empty() && !rows.is_empty() {
            self.remove(author, many.resource, &rows, &["filter"], violations).await?;
        }
        Ok(rows)
    }

    /// The rows that match, locked; none and a violation if there are more than may be, or if the principal may not do this
    /// with all of them.
    async fn select_many(
        &mut self,
        author: Author<'_>,
        operation: Operation,
        resource: ResourceId,
        matching: &Matching,
        violations: &mut Vec<Violation>,
    ) -> Result<Vec<Arc<Row>>, Error> {
        let Matching { filter, at_most, found } = matching;
        if *filter == Filter::Const(false) {
            return Ok(Vec::new());
        }
        let verb = if operation == Operation::Delete { "delete" } else { "change" };
        let forbidden = || {
            let message = format!("You may not {verb} all of the rows that match.");
            Violation::named(&["filter"], Code::Forbidden, message)
        };
        let allowed = rules::row_filter(self.catalog, resource, operation, author.principal);
        if allowed == Filter::Const(false) {
            // The writer does not look for rows on behalf of somebody who may not write any.
            violations.push(forbidden());
            return Ok(Vec::new());
        }
        let rows = match found {
            // Some of them may match no longer, but then there may be others that do.
            Some(found) if found.len() > *at_most => None,
            Some(found) => Some(self.matching(resource, filter, found).await?),
            None => unreachable!("rows are found before a mutation is given to the writer"),
        };
        let Some(rows) = rows else {
            let message = format!("More than {at_most} rows match.");
            violations.push(Violation::named(&["atMost"], Code::TooMany, message));
            return Ok(Vec::new());
        };
        let mut needs = Needs::default();
        allowed.add_needs(&mut needs);
        self.load_related(resource, &rows, &needs).await?;
        for row in &rows {
            if !self.matches(resource, row, &allowed).await? {
                violations.push(forbidden());
                return Ok(Vec::new());
            }
        }
        Ok(rows)
    }
}
