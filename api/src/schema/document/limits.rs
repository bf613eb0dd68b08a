//! How large an operation may be.
//!
//! Sizes are taken from the syntax tree, before validation: validation walks fragments recursively, and a chain of
//! deeply nested fragments would exhaust its stack. Everything after this check may recurse over selections.

use std::collections::HashMap;

use apollo_compiler::ast::{Definition, Document, FragmentDefinition, OperationDefinition, Selection};

use super::error::{ErrorCode, GraphqlError, Location};

/// How many tokens a document may have.
pub(super) const MAX_TOKENS: usize = 20_000;
/// How deep selections, values and types may be nested in one definition.
pub(super) const MAX_RECURSION: usize = 100;
/// How many levels of fields an operation may have.
pub(super) const MAX_DEPTH: usize = 15;
/// How many root fields an operation may have.
pub(super) const MAX_ROOT_FIELDS: usize = 50;
/// How many fields of an operation may have an alias; one in a fragment counts wherever the fragment is spread.
pub(super) const MAX_ALIASES: usize = 50;
/// How deep fields, inline fragments and spreads may be nested, all together.
const MAX_NESTING: usize = 100;

/// What each operation exceeds. If the nesting is among it, the document cannot be validated and `Err` holds just that.
pub(super) fn check(document: &Document) -> Result<Vec<GraphqlError>, GraphqlError> {
    let fragments = document.definitions.iter().filter_map(|definition| match definition {
        Definition::FragmentDefinition(fragment) => Some((fragment.name.as_str(), &**fragment)),
        _ => None,
    });
    let mut meter = Meter { fragments: fragments.collect(), known: HashMap::new() };
    // A fragment that is spread nowhere is validated too.
    let spare: Vec<_> = meter.fragments.values().copied().collect();
    let mut deepest = spare.iter().map(|fragment| meter.fragment(&fragment.name, 0).nesting).max().unwrap_or(0);
    let mut errors = Vec::new();
    for definition in &document.definitions {
        if let Definition::OperationDefinition(operation) = definition {
            let size = meter.selections(&operation.selection_set, 0);
            deepest = deepest.max(size.nesting);
            let location = Location::of(operation.location(), &document.sources);
            errors.extend(size.excesses(operation).map(|message| refuse(message).at(location)));
        }
    }
    if deepest > MAX_NESTING {
        return Err(refuse(format!("Fields and fragments are nested more than {MAX_NESTING} levels deep.")));
    }
    Ok(errors)
}

fn refuse(message: String) -> GraphqlError {
    GraphqlError::new(ErrorCode::ValidationFailed, message)
}

/// The size of a selection set.
#[derive(Clone, Copy, Default)]
struct Size {
    /// Levels of fields.
    depth: usize,
    /// Levels of fields, inline fragments and spreads.
    nesting: usize,
    /// Fields of the first level.
    fields: usize,
    /// Aliases on all levels.
    aliases: usize,
}

impl Size {
    fn excesses(self, operation: &OperationDefinition) -> impl Iterator<Item = String> {
        let name = operation.name.as_ref().map_or_else(|| "The operation".to_owned(), |n| format!("Operation \"{n}\""));
        let checks = [
            (self.depth, MAX_DEPTH, "levels of fields"),
            (self.fields, MAX_ROOT_FIELDS, "root fields"),
            (self.aliases, MAX_ALIASES, "aliases"),
        ];
        checks
            .into_iter()
            .filter(|(count, most, _)| count > most)
            .map(move |(count, most, what)| format!("{name} has {count} {what}; at most {most} are allowed."))
    }

    fn plus(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            nesting: self.nesting.max(other.nesting),
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
        }
    }
}

struct Meter<'a> {
    fragments: HashMap<&'a str, &'a FragmentDefinition>,
    /// Sizes of the fragments so far; `None` while one is being measured, which a cycle runs into.
    known: HashMap<&'a str, Option<Size>>,
}

impl<'a> Meter<'a> {
    fn selections(&mut self, selections: &'a [Selection], level: usize) -> Size {
        let below = level + 1;
        // Measuring is recursive itself; the document is refused in any case, so the rest does not matter.
        if below > MAX_NESTING + 1 {
            return Size { nesting: below, ..Size::default() };
        }
        selections.iter().fold(Size::default(), |size, selection| {
            let inner = match selection {
                Selection::Field(field) => {
                    let inner = self.selections(&field.selection_set, below);
                    let aliases = inner.aliases.saturating_add(usize::from(field.alias.is_some()));
                    Size { depth: inner.depth + 1, fields: 1, aliases, ..inner }
                }
                Selection::InlineFragment(inline) => self.selections(&inline.selection_set, below),
                Selection::FragmentSpread(spread) => self.fragment(&spread.fragment_name, below),
            };
            size.plus(Size { nesting: inner.nesting + 1, ..inner })
        })
    }

    fn fragment(&mut self, name: &str, level: usize) -> Size {
        let Some((&name, &fragment)) = self.fragments.get_key_value(name) else {
            return Size::default();
        };
        if let Some(known) = self.known.get(name) {
            // Validation says what is wrong with a cycle.
            return known.unwrap_or_default();
        }
        self.known.insert(name, None);
        let size = self.selections(&fragment.selection_set, level);
        self.known.insert(name, Some(size));
        size
    }
}
