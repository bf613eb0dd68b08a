//! JSON → [`Filter`]: what a client gave as a filter, or what the resource file says in a rule.
//!
//! Both are read by one reader, which differs only in what may stand where a value is expected: in a rule also a claim,
//! written `"$claims.name"`. Reading is total: any JSON gives a filter or an error, and both are bounded.
//!
//! An absent field is no condition. A field or an operator that is null is an error, since it could mean either "no
//! condition" or "is null": the caller is told to say `isNull`.

use serde_json::{Map, Value};

use super::filter::{CompareOp, RuleValue, Test, TextOp};
use super::{Catalog, Datum, Field, FieldId, FieldType, Filter, Operator, Resource, ResourceId, suggest};

/// Objects inside objects, by `and`, `or`, `not` and relations.
const MAX_DEPTH: usize = 24;
/// Tests in one filter.
const MAX_TESTS: usize = 1_000;
/// Values in one filter: those of all its lists together.
const MAX_VALUES: usize = 10_000;
/// Problems that are reported of one rule.
const MAX_RULE_ERRORS: usize = 50;
/// How a claim begins in a rule.
const CLAIM: &str = "$claims.";

/// Why JSON is no filter for a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}{}", path.join("."), help.as_ref().map_or(String::new(), |help| format!("; {help}")))]
pub struct FilterError {
    /// Where, from the filter's own object on: names of fields and operators, and indexes of lists.
    pub path: Vec<String>,
    /// What is wrong: a sentence for whoever wrote the filter.
    pub message: String,
    /// What is allowed, if a name is wrong.
    pub help: Option<String>,
    /// Whether the name at the end of the path is wrong, and not its value.
    pub in_name: bool,
}

impl Filter {
    /// Reads a client's filter. Private fields are unknown here. `null` in place of the whole filter is no condition.
    pub fn parse(catalog: &Catalog, resource: ResourceId, value: &Value) -> Result<Self, FilterError> {
        if value.is_null() {
            return Ok(Self::Const(true));
        }
        let (filter, mut errors) = read(catalog, resource, value, 1);
        if errors.is_empty() { Ok(filter) } else { Err(errors.remove(0)) }
    }
}

impl Filter<RuleValue> {
    /// Reads the filter of a rule. Private fields may be named here. All problems are reported, in order.
    pub fn parse_rule(catalog: &Catalog, resource: ResourceId, value: &Value) -> Result<Self, Vec<FilterError>> {
        let (filter, errors) = read(catalog, resource, value, MAX_RULE_ERRORS);
        if errors.is_empty() { Ok(filter) } else { Err(errors) }
    }
}

/// Whether this can be a path to a claim: names, with dots between them.
pub fn claim_path(path: &str) -> bool {
    path.split('.').all(|name| !name.is_empty()) && !path.contains(char::is_whitespace)
}

/// What may stand where a value is expected.
trait Readable: Sized {
    /// Whether this is a rule's filter, which may name private fields.
    const IN_RULE: bool;

    /// One value.
    fn item(reader: &Reader<'_, Self>, field: &Field, value: &Value) -> Result<Self, String>;

    /// Something that stands for a whole list, if it is such.
    fn whole_list(value: &Value) -> Option<Result<Self, String>>;
}

impl Readable for Datum {
    const IN_RULE: bool = false;

    fn item(reader: &Reader<'_, Self>, field: &Field, value: &Value) -> Result<Self, String> {
        Self::parse_item(reader.catalog, reader.resource, &field.ty, value)
    }

    fn whole_list(_: &Value) -> Option<Result<Self, String>> {
        None
    }
}

impl Readable for RuleValue {
    const IN_RULE: bool = true;

    fn item(reader: &Reader<'_, Self>, field: &Field, value: &Value) -> Result<Self, String> {
        match claim(value) {
            Some(path) => Ok(Self::Claim { path: path? }),
            None => Datum::parse_item(reader.catalog, reader.resource, &field.ty, value).map(Self::Literal),
        }
    }

    fn whole_list(value: &Value) -> Option<Result<Self, String>> {
        claim(value).map(|path| Ok(Self::ClaimList { path: path? }))
    }
}

/// The path of a claim, if the value is meant as one.
fn claim(value: &Value) -> Option<Result<String, String>> {
    let text = value.as_str()?;
    if !text.strip_prefix('$')?.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let path = text.strip_prefix(CLAIM).filter(|path| claim_path(path));
    Some(path.map(str::to_owned).ok_or_else(|| format!("`{text}` is no claim; write `$claims.sub` or the like")))
}

fn read<V: Readable>(
    catalog: &Catalog,
    resource: ResourceId,
    value: &Value,
    max_errors: usize,
) -> (Filter<V>, Vec<FilterError>) {
    let mut reader = Reader {
        catalog,
        resource,
        path: Vec::new(),
        errors: Vec::new(),
        max_errors,
        lists: 0,
        tests: 0,
        values: 0,
        depth: 0,
        marker: std::marker::PhantomData,
    };
    let filter = reader.filter(value);
    (filter, reader.errors)
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

struct Reader<'a, V> {
    catalog: &'a Catalog,
    /// Of the object that is being read.
    resource: ResourceId,
    /// To what is being read.
    path: Vec<Step<'a>>,
    errors: Vec<FilterError>,
    max_errors: usize,
    lists: usize,
    tests: usize,
    values: usize,
    depth: usize,
    marker: std::marker::PhantomData<V>,
}

/// What stands for a filter that has an error, and is never used: it matches nothing.
const BROKEN: bool = false;

impl<'a, V: Readable> Reader<'a, V> {
    fn resource(&self) -> &'a Resource {
        self.catalog.resource(self.resource)
    }

    fn fail(&mut self, message: impl Into<String>) {
        self.add_error(message.into(), None, false);
    }

    /// Of the name at the end of the path.
    fn fail_name(&mut self, message: impl Into<String>, help: Option<String>) {
        self.add_error(message.into(), help, true);
    }

    fn add_error(&mut self, message: String, help: Option<String>, in_name: bool) {
        if self.is_full() {
            return;
        }
        let step = |step: &Step| match step {
            Step::Name(name) => (*name).to_owned(),
            Step::Index(index) => index.to_string(),
        };
        self.errors.push(FilterError { path: self.path.iter().map(step).collect(), message, help, in_name });
    }

    /// Whether more errors are of no interest.
    fn is_full(&self) -> bool {
        self.errors.len() >= self.max_errors
    }

    fn within<T>(&mut self, step: Step<'a>, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = read(self);
        self.path.pop();
        result
    }

    /// An object of fields and of `and`, `or`, `not`: all of its entries.
    fn filter(&mut self, value: &'a Value) -> Filter<V> {
        let Some(entries) = self.object(value, "a filter") else { return Filter::Const(BROKEN) };
        if self.depth == MAX_DEPTH {
            self.fail(format!("nested more than {MAX_DEPTH} deep"));
            return Filter::Const(BROKEN);
        }
        self.depth += 1;
        let mut all = Vec::new();
        for (name, value) in entries {
            if self.is_full() {
                break;
            }
            all.push(self.within(Step::Name(name), |this| this.entry(name, value)));
        }
        self.depth -= 1;
        every(all)
    }

    fn entry(&mut self, name: &'a str, value: &'a Value) -> Filter<V> {
        match name {
            "and" => every(self.filters(value)),
            "or" => any(self.filters(value)),
            "not" => Filter::Not(Box::new(self.filter(value))),
            _ => self.field(name, value),
        }
    }

    /// The operands of `and` and `or`; a single one may stand without a list, as everywhere in GraphQL.
    fn filters(&mut self, value: &'a Value) -> Vec<Filter<V>> {
        match value {
            Value::Array(items) => {
                let read = |(i, item)| self.within(Step::Index(i), |this| this.filter(item));
                items.iter().enumerate().map(read).collect()
            }
            single => vec![self.filter(single)],
        }
    }

    fn field(&mut self, name: &'a str, value: &'a Value) -> Filter<V> {
        let resource = self.resource();
        let visible = |id: &FieldId| V::IN_RULE || !resource.field(*id).private;
        if let Some(id) = resource.find(name).filter(visible) {
            match resource.field(id).ty {
                FieldType::ToOne { target, .. } => return self.related(id, target, value),
                FieldType::ToMany { target, .. } => return self.list(id, target, value),
                FieldType::RowId
                | FieldType::Scalar(_)
                | FieldType::Enum(_)
                | FieldType::ScalarList(_)
                | FieldType::EnumList(_) => return self.tests(id, value),
            }
        }
        let relation = name.strip_suffix("Id").and_then(|stem| resource.find(stem)).filter(visible);
        if let Some(id) = relation.filter(|id| resource.field(*id).to_one().is_some()) {
            return self.tests(id, value);
        }
        self.unknown_field(name);
        Filter::Const(BROKEN)
    }

    fn unknown_field(&mut self, name: &str) {
        let resource = self.resource();
        let mut allowed = Vec::new();
        for (_, field) in resource.fields().filter(|(_, field)| V::IN_RULE || !field.private) {
            allowed.push(field.name.clone());
            if field.to_one().is_some() {
                allowed.push(super::names::foreign_key_field(&field.name));
            }
        }
        allowed.extend(["and", "or", "not"].map(str::to_owned));
        let help = suggest::help(name, allowed.iter().map(String::as_str));
        self.fail_name(format!("`{}` has no field `{name}`", resource.name), Some(help));
    }

    /// The row at the other side of a to-one relation.
    fn related(&mut self, id: FieldId, target: ResourceId, value: &'a Value) -> Filter<V> {
        if value.is_null() {
            let name = super::names::foreign_key_field(&self.resource().field(id).name);
            self.fail(format!("null is no filter; for rows without one say `{name}: {{ isNull: true }}`"));
            return Filter::Const(BROKEN);
        }
        let outer = std::mem::replace(&mut self.resource, target);
        let filter = self.filter(value);
        self.resource = outer;
        Filter::Related(id, Box::new(filter))
    }

    /// The operators of one field: all of them.
    fn tests(&mut self, id: FieldId, value: &'a Value) -> Filter<V> {
        if value.is_null() {
            self.fail("null is no filter; for rows without a value say `{ isNull: true }`");
            return Filter::Const(BROKEN);
        }
        let Some(entries) = self.object(value, "an object of operators") else { return Filter::Const(BROKEN) };
        let field = self.resource().field(id);
        let mut all = Vec::new();
        for (name, value) in entries {
            if self.is_full() {
                break;
            }
            let test = self.within(Step::Name(name), |this| this.test(field, name, value));
            all.push(test.map_or(Filter::Const(BROKEN), |test| Filter::Field(id, test)));
        }
        every(all)
    }

    /// `None` after an error.
    fn test(&mut self, field: &'a Field, name: &'a str, value: &'a Value) -> Option<Test<V>> {
        let operators = Operator::of(&field.ty);
        let Some(operator) = operators.iter().copied().find(|operator| operator.name() == name) else {
            let help = suggest::help(name, operators.iter().map(|operator| operator.name()));
            self.fail_name(format!("`{}` has no operator `{name}`", field.name), Some(help));
            return None;
        };
        self.tests += 1;
        if self.tests > MAX_TESTS {
            self.fail(format!("a filter has at most {MAX_TESTS} tests"));
            return None;
        }
        if value.is_null() {
            self.fail(format!("`{name}` cannot be compared with null; say `isNull: true`"));
            return None;
        }
        Some(match operator {
            Operator::Eq => Test::Compare(CompareOp::Eq, self.item(field, value)?),
            Operator::Neq => Test::Compare(CompareOp::Neq, self.item(field, value)?),
            Operator::Lt => Test::Compare(CompareOp::Lt, self.item(field, value)?),
            Operator::Lte => Test::Compare(CompareOp::Lte, self.item(field, value)?),
            Operator::Gt => Test::Compare(CompareOp::Gt, self.item(field, value)?),
            Operator::Gte => Test::Compare(CompareOp::Gte, self.item(field, value)?),
            Operator::Contains => Test::Text(TextOp::Contains, self.item(field, value)?),
            Operator::StartsWith => Test::Text(TextOp::StartsWith, self.item(field, value)?),
            Operator::EndsWith => Test::Text(TextOp::EndsWith, self.item(field, value)?),
            Operator::ContainsIgnoreCase => Test::Text(TextOp::ContainsIgnoreCase, self.item(field, value)?),
            Operator::EqIgnoreCase => Test::Text(TextOp::EqIgnoreCase, self.item(field, value)?),
            Operator::In => Test::In(self.items(field, value)?),
            Operator::NotIn => Test::NotIn(self.items(field, value)?),
            Operator::Has => Test::HasEvery(vec![self.item(field, value)?]),
            Operator::HasSome => Test::HasSome(self.items(field, value)?),
            Operator::HasEvery => Test::HasEvery(self.items(field, value)?),
            Operator::IsNull => Test::IsNull(self.boolean(name, value)?),
            Operator::IsEmpty => Test::IsEmpty(self.boolean(name, value)?),
        })
    }

    fn boolean(&mut self, name: &str, value: &Value) -> Option<bool> {
        let expected = value.as_bool();
        if expected.is_none() {
            self.fail(format!("`{name}` is true or false"));
        }
        expected
    }

    fn item(&mut self, field: &'a Field, value: &'a Value) -> Option<V> {
        self.values += 1;
        if self.values > MAX_VALUES {
            self.fail(format!("a filter has at most {MAX_VALUES} values"));
            return None;
        }
        if value.is_null() {
            self.fail("null is no value here");
            return None;
        }
        match V::item(self, field, value) {
            Ok(item) => Some(item),
            Err(message) => {
                self.fail(message);
                None
            }
        }
    }

    fn items(&mut self, field: &'a Field, value: &'a Value) -> Option<Vec<V>> {
        match (V::whole_list(value), value) {
            (Some(Ok(list)), _) => Some(vec![list]),
            (Some(Err(message)), _) => {
                self.fail(message);
                None
            }
            (None, Value::Array(items)) => {
                let mut read = Vec::new();
                for (i, item) in items.iter().enumerate() {
                    if self.is_full() {
                        break;
                    }
                    read.extend(self.within(Step::Index(i), |this| this.item(field, item)));
                }
                Some(read)
            }
            (None, single) => Some(vec![self.item(field, single)?]),
        }
    }

    fn object(&mut self, value: &'a Value, what: &str) -> Option<&'a Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            self.fail(format!("expected {what}"));
        }
        object
    }
}

fn every<V>(all: Vec<Filter<V>>) -> Filter<V> {
    all.into_iter().fold(Filter::Const(true), Filter::and)
}

fn any<V>(mut filters: Vec<Filter<V>>) -> Filter<V> {
    match filters.len() {
        0 => Filter::Const(false),
        1 => filters.remove(0),
        _ => Filter::Or(filters),
    }
}

mod lists;
#[cfg(test)]
mod tests;
