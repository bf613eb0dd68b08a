//! Order and cursors: pages continue after the values of a row, never after a count of rows.
//!
//! Null is smaller than anything, on both databases.

use super::shape::{List, OrderTerm};
use super::{order_type, part};
use crate::catalog::{Catalog, Datum, Filter, Resource, ResourceId};
use crate::database::{Dialect, Sql};
use crate::store::predicate::{self, Aliases};

/// Adds the parts of a statement that concern the order of a list, whose rows it calls `alias`.
pub(super) struct Keyset<'k> {
    pub(super) sql: &'k mut Sql,
    pub(super) aliases: &'k mut Aliases,
    pub(super) catalog: &'k Catalog,
    pub(super) list: &'k List,
    pub(super) alias: &'k str,
}

/// One to-one field on the way to a term's column.
struct Hop<'t> {
    target: ResourceId,
    alias: String,
    from_alias: String,
    foreign_key: String,
    visible: &'t Filter,
}

impl Keyset<'_> {
    /// Adds the values of terms that go through to-one fields to what a subquery gives, so that they are looked up once.
    pub(super) fn push_terms(&mut self) {
        for (i, term) in self.list.order.iter().enumerate().filter(|(_, term)| !term.through.is_empty()) {
            self.sql.push(",");
            self.push_value(term);
            self.sql.push(" AS ").ident(&term_column(i));
        }
    }

    /// Adds a term's value as a part of a row of such a subquery, which the statement calls `alias`.
    pub(super) fn push_key(
        sql: &mut Sql,
        catalog: &Catalog,
        resource: ResourceId,
        alias: &str,
        index: usize,
        term: &OrderTerm,
    ) {
        let ty = order_type(catalog, resource, term);
        part::push(sql, ty, term.is_nullable, |sql| push_given(sql, catalog, resource, alias, index, term));
    }

    /// Adds ORDER BY outside of such a subquery.
    pub(super) fn push_order_again(&mut self) {
        let (catalog, resource, alias) = (self.catalog, self.list.shape.resource, self.alias);
        self.push_order_of(|keyset, i, term| push_given(keyset.sql, catalog, resource, alias, i, term));
    }

    /// Adds the column at the end of a term: `(SELECT (SELECT c FROM … WHERE …) FROM … WHERE …)`, one subquery for each
    /// to-one field on the way. What the caller may not see is null.
    fn push_value(&mut self, term: &OrderTerm) {
        let (mut resource, mut alias) = (self.list.shape.resource, self.alias.to_owned());
        let mut hops = Vec::with_capacity(term.through.len());
        for (field, visible) in &term.through {
            let relation = self.catalog.resource(resource).field(*field);
            let target = relation.to_one().expect("an order goes through to-one fields");
            let next = self.aliases.next();
            let foreign_key = relation.column.clone();
            hops.push(Hop { target, alias: next.clone(), from_alias: alias, foreign_key, visible });
            (resource, alias) = (target, next);
            self.sql.push("(SELECT ");
        }
        self.sql.column(&alias, &self.catalog.resource(resource).field(term.field).column);
        for hop in hops.iter().rev() {
            let table = self.catalog.resource(hop.target);
            self.sql.push(" FROM ").ident(&table.prefix).push(" AS ").push(&hop.alias).push(" WHERE ");
            self.sql.column(&hop.alias, &table.field(Resource::ID).column).push("=");
            self.sql.column(&hop.from_alias, &hop.foreign_key).push(" AND ");
            predicate::push(self.sql, self.aliases, self.catalog, hop.target, &hop.alias, hop.visible);
            self.sql.push(")");
        }
    }

    /// Adds the conditions that a page's cursors put on its rows.
    pub(super) fn push_bounds(&mut self) {
        let list = self.list;
        for (values, is_after) in [(&list.paging.after, true), (&list.paging.before, false)] {
            let Some(values) = values else { continue };
            let terms: Vec<_> = list.order.iter().zip(values).collect();
            self.sql.push(" AND ");
            // Of one term, which is the id, there is no more to say.
            let is_chain = terms.len() > 1;
            if let Some((term, value)) = terms.first().filter(|_| is_chain) {
                self.push_range(term, value, is_after != term.is_descending);
            }
            self.sql.push("(");
            for (i, (term, value)) in terms.iter().enumerate() {
                if i > 0 {
                    self.sql.push(" OR ");
                }
                self.sql.push("(");
                for (term, value) in &terms[..i] {
                    self.push_equal(term, value);
                    self.sql.push(" AND ");
                }
                self.push_beyond(term, value, is_after != term.is_descending);
                self.sql.push(")");
            }
            // A database that saw through to the alternatives would look each of them up in an index and sort all that
            // it finds, instead of following the order from the cursor on.
            self.sql.push(if is_chain { ") IS TRUE" } else { ")" });
        }
    }

    /// Adds what follows for the first term alone, as a range of which an index can begin at its start. It changes nothing
    /// about which rows there are.
    fn push_range(&mut self, term: &OrderTerm, value: &Datum, is_greater: bool) {
        let has_no_range = match is_greater {
            true => value.is_null(),
            // Null is less than any value, and no range holds both.
            false => term.is_nullable && !value.is_null(),
        };
        if has_no_range || !term.through.is_empty() {
            return;
        }
        self.push_value(term);
        if value.is_null() {
            self.sql.push(" IS NULL AND ");
        } else {
            let ty = order_type(self.catalog, self.list.shape.resource, term);
            self.sql.push(if is_greater { ">=" } else { "<=" }).bind_datum(ty, value).push(" AND ");
        }
    }

    fn push_equal(&mut self, term: &OrderTerm, value: &Datum) {
        self.push_value(term);
        if value.is_null() {
            self.sql.push(" IS NULL");
        } else {
            self.sql.push("=").bind_datum(order_type(self.catalog, self.list.shape.resource, term), value);
        }
    }

    fn push_beyond(&mut self, term: &OrderTerm, value: &Datum, is_greater: bool) {
        match (is_greater, value.is_null()) {
            (true, true) => {
                self.push_value(term);
                self.sql.push(" IS NOT NULL");
            }
            (false, true) => {
                self.sql.push("1=0");
            }
            (is_greater, false) => {
                self.sql.push("(");
                self.push_value(term);
                let ty = order_type(self.catalog, self.list.shape.resource, term);
                self.sql.push(if is_greater { ">" } else { "<" }).bind_datum(ty, value);
                if !is_greater && term.is_nullable {
                    self.sql.push(" OR ");
                    self.push_value(term);
                    self.sql.push(" IS NULL");
                }
                self.sql.push(")");
            }
        }
    }

    /// Adds ORDER BY.
    pub(super) fn push_order(&mut self) {
        self.push_order_of(|keyset, _, term| keyset.push_value(term));
    }

    fn push_order_of(&mut self, value: impl Fn(&mut Self, usize, &OrderTerm)) {
        self.sql.push(" ORDER BY ");
        let list = self.list;
        for (i, term) in list.order.iter().enumerate() {
            if i > 0 {
                self.sql.push(",");
            }
            value(self, i, term);
            let is_descending = term.is_descending != list.paging.is_backward;
            self.sql.push(if is_descending { " DESC" } else { " ASC" });
            if term.is_nullable && self.sql.dialect() == Dialect::Postgres {
                self.sql.push(if is_descending { " NULLS LAST" } else { " NULLS FIRST" });
            }
        }
    }
}

/// The column that [`Keyset::push_terms`] gives for a term. No field's column begins with a digit.
fn term_column(index: usize) -> String {
    index.to_string()
}

fn push_given(sql: &mut Sql, catalog: &Catalog, resource: ResourceId, alias: &str, index: usize, term: &OrderTerm) {
    if term.through.is_empty() {
        sql.column(alias, &catalog.resource(resource).field(term.field).column);
    } else {
        sql.column(alias, &term_column(index));
    }
}
