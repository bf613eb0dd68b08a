//! Order and cursors: pages continue after the values of a row, never after a count of rows.
//!
//! Null is smaller than anything, on both databases.

use super::order_type;
use super::shape::{List, OrderTerm};
use crate::catalog::{Catalog, Datum, Filter, Resource, ResourceId};
use crate::database::{Dialect, Sql};
use crate::store::columns;
use crate::store::predicate::{self, Aliases};

/// Adds the value of a term as JSON.
pub(super) fn push_json(
    sql: &mut Sql,
    aliases: &mut Aliases,
    catalog: &Catalog,
    resource: ResourceId,
    alias: &str,
    term: &OrderTerm,
) {
    push_through(sql, aliases, catalog, resource, alias, term, |sql, alias, field| {
        columns::push_json(sql, alias, field)
    });
}

fn push_value(
    sql: &mut Sql,
    aliases: &mut Aliases,
    catalog: &Catalog,
    resource: ResourceId,
    alias: &str,
    term: &OrderTerm,
) {
    push_through(sql, aliases, catalog, resource, alias, term, |sql, alias, field| {
        sql.column(alias, &field.column);
    });
}

/// Adds the column at the end of a term: `(SELECT (SELECT c FROM … WHERE …) FROM … WHERE …)`, one subquery for each
/// to-one field on the way. What the caller may not see is null.
fn push_through(
    sql: &mut Sql,
    aliases: &mut Aliases,
    catalog: &Catalog,
    resource: ResourceId,
    alias: &str,
    term: &OrderTerm,
    push: impl Fn(&mut Sql, &str, &crate::catalog::Field),
) {
    struct Hop<'t> {
        target: ResourceId,
        alias: String,
        from_alias: String,
        foreign_key: String,
        visible: &'t Filter,
    }
    let (mut resource, mut alias) = (resource, alias.to_owned());
    let mut hops = Vec::with_capacity(term.through.len());
    for (field, visible) in &term.through {
        let relation = catalog.resource(resource).field(*field);
        let target = relation.to_one().expect("an order goes through to-one fields");
        let next = aliases.next();
        hops.push(Hop {
            target,
            alias: next.clone(),
            from_alias: alias,
            foreign_key: relation.column.clone(),
            visible,
        });
        (resource, alias) = (target, next);
        sql.push("(SELECT ");
    }
    push(sql, &alias, catalog.resource(resource).field(term.field));
    for hop in hops.iter().rev() {
        let table = catalog.resource(hop.target);
        sql.push(" FROM ").ident(&table.prefix).push(" AS ").push(&hop.alias).push(" WHERE ");
        sql.column(&hop.alias, &table.field(Resource::ID).column).push("=").column(&hop.from_alias, &hop.foreign_key);
        sql.push(" AND ");
        predicate::push(sql, aliases, catalog, hop.target, &hop.alias, hop.visible);
        sql.push(")");
    }
}

/// Adds the conditions that a page's cursors put on its rows.
pub(super) fn push_bounds(sql: &mut Sql, aliases: &mut Aliases, catalog: &Catalog, list: &List, alias: &str) {
    let bounds = [(&list.paging.after, true), (&list.paging.before, false)];
    for (values, is_after) in bounds {
        let Some(values) = values else { continue };
        sql.push(" AND (");
        for i in 0..list.order.len() {
            if i > 0 {
                sql.push(" OR ");
            }
            sql.push("(");
            for (term, value) in list.order.iter().zip(values).take(i) {
                push_equal(sql, aliases, catalog, list, alias, term, value);
                sql.push(" AND ");
            }
            let term = &list.order[i];
            push_beyond(sql, aliases, catalog, list, alias, term, &values[i], is_after != term.is_descending);
            sql.push(")");
        }
        sql.push(")");
    }
}

fn push_equal(
    sql: &mut Sql,
    aliases: &mut Aliases,
    catalog: &Catalog,
    list: &List,
    alias: &str,
    term: &OrderTerm,
    value: &Datum,
) {
    push_value(sql, aliases, catalog, list.shape.resource, alias, term);
    if value.is_null() {
        sql.push(" IS NULL");
    } else {
        sql.push("=").bind_datum(order_type(catalog, list.shape.resource, term), value);
    }
}

fn push_beyond(
    sql: &mut Sql,
    aliases: &mut Aliases,
    catalog: &Catalog,
    list: &List,
    alias: &str,
    term: &OrderTerm,
    value: &Datum,
    is_greater: bool,
) {
    let resource = list.shape.resource;
    match (is_greater, value.is_null()) {
        (true, true) => {
            push_value(sql, aliases, catalog, resource, alias, term);
            sql.push(" IS NOT NULL");
        }
        (false, true) => {
            sql.push("1=0");
        }
        (is_greater, false) => {
            sql.push("(");
            push_value(sql, aliases, catalog, resource, alias, term);
            sql.push(if is_greater { ">" } else { "<" }).bind_datum(order_type(catalog, resource, term), value);
            if !is_greater && term.is_nullable {
                sql.push(" OR ");
                push_value(sql, aliases, catalog, resource, alias, term);
                sql.push(" IS NULL");
            }
            sql.push(")");
        }
    }
}

/// Adds ORDER BY.
pub(super) fn push_order(sql: &mut Sql, aliases: &mut Aliases, catalog: &Catalog, list: &List, alias: &str) {
    sql.push(" ORDER BY ");
    for (i, term) in list.order.iter().enumerate() {
        if i > 0 {
            sql.push(",");
        }
        push_value(sql, aliases, catalog, list.shape.resource, alias, term);
        let is_descending = term.is_descending != list.paging.is_backward;
        sql.push(if is_descending { " DESC" } else { " ASC" });
        if term.is_nullable && sql.dialect() == Dialect::Postgres {
            sql.push(if is_descending { " NULLS LAST" } else { " NULLS FIRST" });
        }
    }
}
