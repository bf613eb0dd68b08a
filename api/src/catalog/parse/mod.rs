//! The resource file: text → [`Catalog`], or everything that is wrong with it.
//!
//! Three passes, each of which goes on where it can, so that one run reports all problems:
//!
//! 1. [`syntax`]: text → types, fields, directives and values with their places. If the text is no GraphQL, this is all.
//! 2. [`declare`], [`draft`]: which names there are ([`reserved`] says which cannot be, [`collisions`] which
//!    would meet), and what each field holds.
//! 3. [`constraint`], [`keys`], [`access`], [`rows`]: what the directives say about those fields.
//!
//! What depends on something that has already been reported is not reported again: it is skipped.

mod access;
mod collisions;
mod constraint;
mod declare;
mod draft;
mod keys;
mod lexer;
mod reserved;
mod rows;
mod source;
mod syntax;
mod value;
mod vocabulary;

#[cfg(test)]
mod tests;

use access::AccessReader;
use constraint::FieldContext;
use draft::Draft;
use keys::Keys;
use source::{Report, Source, Span};

use super::{Access, Catalog, Constraint, DefaultValue, Diagnostics, ResourceId, Rule};

/// Bytes of a resource file.
const MAX_SIZE_BYTES: usize = 4 << 20;

/// Reads a resource file. `file_name` is what the diagnostics call it.
pub fn parse(file_name: &str, source: &str) -> Result<Catalog, Diagnostics> {
    let source = Source::new(source);
    let mut report = Report::new(&source);
    let start = Span { start: 0, end: 0 };
    if source.text().len() > MAX_SIZE_BYTES {
        report.error(start, format!("the file has more than {} MiB", MAX_SIZE_BYTES >> 20));
        return Err(report.finish(file_name));
    }
    let types = syntax::read(&source, &mut report);
    if types.is_empty() && !report.is_empty() {
        return Err(report.finish(file_name));
    }
    let declared = declare::declare(&types, &mut report);
    if declared.resources.is_empty() && report.is_empty() {
        report.error_help(start, "the file declares no resource", "write: type Product @resource { name: String! }");
    }
    collisions::check(&declared, &mut report);
    let draft = Draft::new(declared, &mut report);
    let parts: Vec<_> = draft.resources().map(|(id, _)| ResourceParts::read(&draft, id, &mut report)).collect();
    let access: Vec<_> = parts.iter().map(|parts| &parts.access).collect();
    rows::check(&draft, &access, &mut report);
    if report.is_empty() { Ok(assemble(draft.catalog, parts)) } else { Err(report.finish(file_name)) }
}

/// What the third pass adds to a resource of the draft.
struct ResourceParts {
    /// By [`FieldId`].
    fields: Vec<FieldParts>,
    keys: Keys,
    access: Access,
}

#[derive(Default)]
struct FieldParts {
    default: Option<DefaultValue>,
    constraint: Constraint,
    rules: Option<Vec<Rule>>,
}

impl ResourceParts {
    fn read(draft: &Draft, id: ResourceId, report: &mut Report) -> Self {
        let resource = draft.catalog.resource(id);
        let mut fields: Vec<_> = resource.fields.iter().map(|_| FieldParts::default()).collect();
        for (field, decl, drafted) in draft.fields(id) {
            let context = FieldContext { catalog: &draft.catalog, owner: id, ty: &drafted.ty, uses: &decl.uses };
            let constraint = context.constraint(report);
            let default = context.default(&constraint, report);
            fields[usize::from(field.0)] = FieldParts { default, constraint, rules: None };
        }
        // Those of a field whose type is unknown can be read as well.
        for (field, _) in draft.declared.resource(id).fields() {
            fields[usize::from(field.0)].rules = AccessReader { draft, id, report }.field(field);
        }
        let keys = keys::keys(draft, id, report);
        let access = AccessReader { draft, id, report }.resource();
        Self { fields, keys, access }
    }
}

fn assemble(draft: Catalog, parts: Vec<ResourceParts>) -> Catalog {
    let (mut resources, enums) = draft.into_parts();
    for (resource, parts) in resources.iter_mut().zip(parts) {
        for (field, parts) in resource.fields.iter_mut().zip(parts.fields) {
            field.default = parts.default;
            field.constraint = parts.constraint;
            field.rules = parts.rules;
        }
        resource.unique_keys = parts.keys.unique;
        resource.indexes = parts.keys.indexes;
        resource.search = parts.keys.search;
        resource.access = parts.access;
    }
    Catalog::new(resources, enums)
}
