//! [`Filter`] → SQL. The other reading of the same filter is [`Filter::matches`]; a property test holds them together.
//!
//! Filters are two-valued. SQL is three-valued, which differs only under `NOT`: there, unknown is taken as false.

use crate::catalog::filter::{CompareOp, Test, TextOp};
use crate::catalog::{Catalog, Datum, Field, Filter, Resource, ResourceId};
use crate::database::{Dialect, Sql, postgres_list};

mod values;

pub use values::bound_values;

/// Makes table aliases that are unique within one statement.
#[derive(Debug, Default)]
pub(super) struct Aliases(u32);

impl Aliases {
    pub(super) fn next(&mut self) -> String {
        self.0 += 1;
        format!("t{}", self.0)
    }
}

/// Adds a predicate on the rows of `resource`, which the statement calls `alias`.
pub(super) fn push(
    sql: &mut Sql,
    aliases: &mut Aliases,
    catalog: &Catalog,
    resource: ResourceId,
    alias: &str,
    filter: &Filter,
) {
    match filter {
        Filter::Const(value) => {
            sql.push(if *value { "(1=1)" } else { "(1=0)" });
        }
        Filter::And(filters) if filters.is_empty() => {
            sql.push("(1=1)");
        }
        Filter::Or(filters) if filters.is_empty() => {
            sql.push("(1=0)");
        }
        Filter::And(filters) | Filter::Or(filters) => {
            let separator = if matches!(filter, Filter::And(_)) { " AND " } else { " OR " };
            push_all(sql, separator, filters, &mut |sql, f| push(sql, aliases, catalog, resource, alias, f));
        }
        // EXISTS is never unknown, and a database sees more in NOT EXISTS than in what is written for other tests.
        Filter::Not(inner) if matches!(**inner, Filter::Exists(..) | Filter::Related(..)) => {
            sql.push("(NOT ");
            push(sql, aliases, catalog, resource, alias, inner);
            sql.push(")");
        }
        Filter::Not(inner) => {
            sql.push("(");
            push(sql, aliases, catalog, resource, alias, inner);
            sql.push(" IS NOT TRUE)");
        }
        Filter::Field(id, test) => push_test(sql, alias, catalog.resource(resource).field(*id), test),
        Filter::Related(id, inner) => {
            let field = catalog.resource(resource).field(*id);
            let target = field.to_one().expect("a related filter stands on a to-one field");
            if sql.dialect() == Dialect::Sqlite && is_narrow(catalog, target, inner) {
                return push_narrow(sql, aliases, catalog, (alias, &field.column), target, inner);
            }
            let id = id_column(catalog.resource(target));
            push_exists(sql, aliases, catalog, target, (alias, &field.column, &id), inner);
        }
        Filter::Exists(id, inner) => {
            let own = catalog.resource(resource);
            let (target, via) = own.field(*id).to_many().expect("an exists filter stands on a to-many field");
            let foreign_key = catalog.resource(target).field(via).column.clone();
            push_exists(sql, aliases, catalog, target, (alias, &id_column(own), &foreign_key), inner);
        }
    }
}

/// Whether a filter leaves few rows, which an index finds: it asks for a value of a unique key, or for what belongs to such
/// a row.
fn is_narrow(catalog: &Catalog, resource: ResourceId, filter: &Filter) -> bool {
    let keys = &catalog.resource(resource).unique_keys;
    match filter {
        Filter::And(filters) => filters.iter().any(|f| is_narrow(catalog, resource, f)),
        Filter::Or(filters) => !filters.is_empty() && filters.iter().all(|f| is_narrow(catalog, resource, f)),
        Filter::Field(id, Test::Compare(CompareOp::Eq, _)) => {
            *id == Resource::ID || keys.iter().any(|key| key.fields == [*id])
        }
        Filter::Related(id, inner) => {
            let target = catalog.resource(resource).field(*id).to_one();
            target.is_some_and(|target| is_narrow(catalog, target, inner))
        }
        Filter::Const(_) | Filter::Not(_) | Filter::Field(..) | Filter::Exists(..) => false,
    }
}

/// The row at the other side is one of few. SQLite looks at EXISTS for each row; of IN it makes the few first, and finds the
/// rows that point at them by their index. Like EXISTS, this is never unknown.
fn push_narrow(
    sql: &mut Sql,
    aliases: &mut Aliases,
    catalog: &Catalog,
    (alias, foreign_key): (&str, &str),
    target: ResourceId,
    inner: &Filter,
) {
    let (other, target_table) = (aliases.next(), catalog.resource(target));
    sql.push("(").column(alias, foreign_key).push(" IS NOT NULL AND ").column(alias, foreign_key).push(" IN (SELECT ");
    sql.column(&other, &id_column(target_table)).push(" FROM ").ident(&target_table.prefix).push(" ").push(&other);
    sql.push(" WHERE ");
    push(sql, aliases, catalog, target, &other, inner);
    sql.push("))");
}

/// There is a row at the other side, and it matches. The join: the own row's alias and column, and the other's column.
fn push_exists(
    sql: &mut Sql,
    aliases: &mut Aliases,
    catalog: &Catalog,
    target: ResourceId,
    (alias, own, others): (&str, &str, &str),
    inner: &Filter,
) {
    let other = aliases.next();
    sql.push("EXISTS(SELECT 1 FROM ").ident(&catalog.resource(target).prefix).push(" ").push(&other);
    sql.push(" WHERE ").column(&other, others).push("=").column(alias, own).push(" AND ");
    push(sql, aliases, catalog, target, &other, inner);
    // SQLite 3.51 may make a join of EXISTS, and then gives a row as often as there are matches (its 3.51.2 mends that). It
    // leaves a limited one alone. PostgreSQL knows that the limit means nothing.
    sql.push(" LIMIT 1)");
}

/// Halves in parentheses: SQLite takes a chain of a thousand operators for an expression a thousand deep, and refuses it.
fn push_all<T>(sql: &mut Sql, separator: &str, terms: &[T], each: &mut impl FnMut(&mut Sql, &T)) {
    let (left, right) = terms.split_at(terms.len() / 2);
    sql.push("(");
    if !left.is_empty() {
        push_all(sql, separator, left, each);
        sql.push(separator);
    }
    match right {
        [one] => each(sql, one),
        right => push_all(sql, separator, right, each),
    }
    sql.push(")");
}

fn id_column(resource: &Resource) -> String {
    resource.field(Resource::ID).column.clone()
}

fn push_test(sql: &mut Sql, alias: &str, field: &Field, test: &Test<Datum>) {
    let column = |sql: &mut Sql| {
        sql.column(alias, &field.column);
    };
    match test {
        Test::IsNull(expected) => {
            column(sql);
            sql.push(if *expected { " IS NULL" } else { " IS NOT NULL" });
        }
        Test::Compare(op, value) => {
            column(sql);
            sql.push(match op {
                CompareOp::Eq => "=",
                CompareOp::Neq => "<>",
                CompareOp::Lt => "<",
                CompareOp::Lte => "<=",
                CompareOp::Gt => ">",
                CompareOp::Gte => ">=",
            });
            sql.bind_datum(&field.ty, value);
        }
        Test::In(values) | Test::NotIn(values) => {
            values::push_in(sql, alias, field, values, matches!(test, Test::In(_)))
        }
        Test::Text(op, value) => push_text(sql, alias, field, *op, value.as_text().unwrap_or_default()),
        Test::HasEvery(values) => values::push_has_every(sql, alias, field, values),
        Test::HasSome(values) => values::push_has_some(sql, alias, field, values),
        Test::IsEmpty(expected) => {
            let is_jsonb = sql.dialect() == Dialect::Postgres && postgres_list(&field.ty) == "jsonb";
            sql.push(if is_jsonb { "jsonb_array_length(" } else { "json_array_length(" });
            column(sql);
            sql.push(if *expected { ")=0" } else { ")>0" });
        }
    }
}

/// Text tests. `LIKE` with its wildcards escaped would ignore case on SQLite, so positions are compared instead; a
/// prefix is also given as a range, which an index can serve.
fn push_text(sql: &mut Sql, alias: &str, field: &Field, op: TextOp, part: &str) {
    let position = match sql.dialect() {
        Dialect::Sqlite => "instr(",
        Dialect::Postgres => "strpos(",
    };
    let part = part.to_owned();
    match op {
        TextOp::Contains => {
            sql.push(position).column(alias, &field.column).push(",").bind(part).push(")>0");
        }
        TextOp::ContainsIgnoreCase => {
            sql.push(position).push("lower(").column(alias, &field.column).push("),");
            sql.bind(part.to_ascii_lowercase()).push(")>0");
        }
        TextOp::StartsWith => {
            let length = part.chars().count() as i64;
            sql.push("(").column(alias, &field.column).push(">=").bind(part.clone());
            sql.push(" AND substr(").column(alias, &field.column).push(",1,");
            sql.push(&length.to_string()).push(")=").bind(part).push(")");
        }
        TextOp::EndsWith => {
            let length = part.chars().count() as i64;
            match sql.dialect() {
                // `substr(x, -0)` would be the whole text.
                Dialect::Sqlite if length == 0 => sql.column(alias, &field.column).push(" IS NOT NULL"),
                Dialect::Sqlite => {
                    sql.push("substr(").column(alias, &field.column).push(",-").push(&length.to_string());
                    sql.push(")=").bind(part)
                }
                Dialect::Postgres => {
                    sql.push("right(").column(alias, &field.column).push(",").push(&length.to_string());
                    sql.push(")=").bind(part)
                }
            };
        }
        TextOp::EqIgnoreCase => {
            sql.push("lower(").column(alias, &field.column).push(")=").bind(part.to_ascii_lowercase());
        }
    }
}
