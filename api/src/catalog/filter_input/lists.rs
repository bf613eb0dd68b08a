//! `some`, `every` and `none`: what a filter asks of the rows at the other side of a to-many relation.

use serde_json::Value;

use super::{BROKEN, Readable, Reader, Step, every};
use crate::catalog::{FieldId, Filter, Quantifier, ResourceId, suggest};

/// `some`, `every` and `none` in one filter. Each is a subquery, and related rows to read for each event.
const MAX_LISTS: usize = 20;

impl<'a, V: Readable> Reader<'a, V> {
    /// The rows at the other side of a to-many relation: all of `some`, `every` and `none` that are given.
    pub(super) fn list(&mut self, id: FieldId, target: ResourceId, value: &'a Value) -> Filter<V> {
        if value.is_null() {
            self.fail("null is no filter; for rows without any say `{ none: {} }`");
            return Filter::Const(BROKEN);
        }
        let Some(entries) = self.object(value, "an object of some, every and none") else {
            return Filter::Const(BROKEN);
        };
        let outer = std::mem::replace(&mut self.resource, target);
        let mut all = Vec::new();
        for (name, value) in entries {
            if self.is_full() {
                break;
            }
            all.push(self.within(Step::Name(name), |this| this.quantifier(id, name, value)));
        }
        self.resource = outer;
        every(all)
    }

    fn quantifier(&mut self, id: FieldId, name: &'a str, value: &'a Value) -> Filter<V> {
        let Some(quantifier) = Quantifier::ALL.into_iter().find(|quantifier| quantifier.name() == name) else {
            let help = suggest::help(name, Quantifier::ALL.map(Quantifier::name));
            self.fail_name(format!("a list of related rows has no `{name}`"), Some(help));
            return Filter::Const(BROKEN);
        };
        self.lists += 1;
        if self.lists > MAX_LISTS {
            self.fail(format!("a filter has at most {MAX_LISTS} of some, every and none"));
            return Filter::Const(BROKEN);
        }
        if value.is_null() {
            self.fail(format!("null is no filter; for all rows say `{name}: {{}}`"));
            return Filter::Const(BROKEN);
        }
        let inner = self.filter(value);
        let exists = |inner| Filter::Exists(id, Box::new(inner));
        let opposite = |filter| Filter::Not(Box::new(filter));
        match quantifier {
            Quantifier::Some => exists(inner),
            Quantifier::Every => opposite(exists(opposite(inner))),
            Quantifier::None => opposite(exists(inner)),
        }
    }
}
