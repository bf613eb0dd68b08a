//! Every selection of an operation.

use std::collections::HashSet;

use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::{ExecutableDocument, Name};

/// Calls the function with every selection under this set; with those of a fragment once, however often it is spread.
pub(super) fn visit<'d>(
    document: &'d ExecutableDocument,
    selections: &'d SelectionSet,
    see: &mut impl FnMut(&'d Selection),
) {
    fn walk<'d>(
        document: &'d ExecutableDocument,
        selections: &'d SelectionSet,
        seen: &mut HashSet<&'d Name>,
        see: &mut impl FnMut(&'d Selection),
    ) {
        for selection in &selections.selections {
            see(selection);
            match selection {
                Selection::Field(field) => walk(document, &field.selection_set, seen, see),
                Selection::InlineFragment(inline) => walk(document, &inline.selection_set, seen, see),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = document.fragments.get(&spread.fragment_name)
                        && seen.insert(&spread.fragment_name)
                    {
                        walk(document, &fragment.selection_set, seen, see);
                    }
                }
            }
        }
    }
    walk(document, selections, &mut HashSet::new(), see);
}
