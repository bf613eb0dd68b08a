//! Where in the response an error of planning belongs.
//!
//! Everything is planned before anything is read, so an argument that is refused fails its root field as a whole. The
//! error still names the field whose argument it is. Planning carries no path for that: the error knows its place in the
//! document, and the field is found by it.

use std::collections::HashSet;

use apollo_compiler::executable::{Selection, SelectionSet};

use crate::schema::document::{GraphqlError, Location, Operation, PathSegment, Selected};

/// An error of a root field or of a field below it, with its place and its path.
///
/// The path ends at the first list on the way: what is inside it has indices that nobody knows before it is read.
pub(crate) fn located(operation: &Operation<'_>, error: GraphqlError, root: &Selected<'_>) -> GraphqlError {
    let mut path = vec![PathSegment::Field(root.key.into())];
    match error.locations.first().copied() {
        None => error.at(root.location()).with_path(path),
        Some(_) if root.fields.iter().any(|field| field.ty().is_list()) => error.with_path(path),
        Some(place) => {
            let best = root.location();
            let mut search = Search { operation, place, best, path: Vec::new(), way: Vec::new(), seen: HashSet::new() };
            root.fields.iter().for_each(|field| search.selections(&field.selection_set));
            path.append(&mut search.path);
            error.with_path(path)
        }
    }
}

/// Looks for the last field that begins before a place: what is wrong with an argument stands behind the name of its
/// field, and no other field is between them.
struct Search<'o> {
    operation: &'o Operation<'o>,
    place: Location,
    best: Location,
    /// The way to the best one so far.
    path: Vec<PathSegment>,
    /// The way to where the search is. After a list nothing is added.
    way: Vec<Step<'o>>,
    seen: HashSet<&'o str>,
}

struct Step<'o> {
    key: &'o str,
    is_list: bool,
}

impl<'o> Search<'o> {
    fn selections(&mut self, selections: &'o SelectionSet) {
        for selection in &selections.selections {
            match selection {
                Selection::Field(field) => {
                    let location = self.operation.location(field);
                    self.way.push(Step { key: field.response_key(), is_list: field.ty().is_list() });
                    if location <= self.place && location > self.best {
                        self.best = location;
                        self.path = self.known_way();
                    }
                    self.selections(&field.selection_set);
                    self.way.pop();
                }
                Selection::InlineFragment(inline) => self.selections(&inline.selection_set),
                Selection::FragmentSpread(spread) => {
                    if self.seen.insert(&spread.fragment_name)
                        && let Some(selections) = self.operation.fragment(&spread.fragment_name)
                    {
                        self.selections(selections);
                    }
                }
            }
        }
    }

    fn known_way(&self) -> Vec<PathSegment> {
        let until_list = self.way.iter().position(|step| step.is_list).map_or(self.way.len(), |list| list + 1);
        self.way[..until_list].iter().map(|step| PathSegment::Field(step.key.into())).collect()
    }
}
