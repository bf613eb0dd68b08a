//! A tree of what is wanted → one statement.
//!
//! Each object is a JSON array of its slots, each list a JSON array of a page and a number. Nested parts are correlated
//! subqueries, so a limit per parent is a limit in the subquery.

use uuid::Uuid;

use super::keyset::Keyset;
use super::shape::{List, Shape, Slot};
use crate::catalog::{Catalog, Filter, Resource};
use crate::database::{Dialect, Sql};
use crate::store::columns;
use crate::store::predicate::{self, Aliases};

/// One row that matches a filter: the position of the log, and the object as text.
pub(super) fn one(dialect: Dialect, catalog: &Catalog, shape: &Shape, filter: &Filter) -> Sql {
    let mut builder = Builder { sql: Sql::new(dialect), aliases: Aliases::default(), catalog };
    let alias = builder.aliases.next();
    builder.sql.push("SELECT (SELECT position FROM tandem_head), CAST(");
    builder.object(shape, &alias);
    builder.sql.push(" AS text)");
    builder.from(shape, &alias);
    builder.sql.push(" WHERE ");
    builder.filter(shape, &alias, filter);
    builder.sql.push(" LIMIT 1");
    builder.sql
}

/// A list, of all rows or of those of one parent: the position of the log, and the page as text.
pub(in crate::store) fn list(dialect: Dialect, catalog: &Catalog, list: &List, parent: Option<Uuid>) -> Sql {
    let mut builder = Builder { sql: Sql::new(dialect), aliases: Aliases::default(), catalog };
    builder.sql.push("SELECT (SELECT position FROM tandem_head), CAST(");
    builder.list(list, &parent.map_or(Parent::None, Parent::Id));
    builder.sql.push(" AS text)");
    builder.sql
}

/// What the rows of a list belong to.
enum Parent<'a> {
    None,
    Alias(&'a str),
    Id(Uuid),
}

struct Builder<'c> {
    sql: Sql,
    aliases: Aliases,
    catalog: &'c Catalog,
}

impl Builder<'_> {
    fn resource(&self, shape: &Shape) -> &Resource {
        self.catalog.resource(shape.resource)
    }

    fn from(&mut self, shape: &Shape, alias: &str) {
        let table = self.catalog.resource(shape.resource);
        self.sql.push(" FROM ").ident(&table.prefix).push(" AS ").push(alias);
    }

    fn filter(&mut self, shape: &Shape, alias: &str, filter: &Filter) {
        predicate::push(&mut self.sql, &mut self.aliases, self.catalog, shape.resource, alias, filter);
    }

    /// Adds a JSON array of the slots.
    fn object(&mut self, shape: &Shape, alias: &str) {
        self.sql.push(columns::array_function(self.sql.dialect())).push("(");
        for (i, slot) in shape.slots.iter().enumerate() {
            if i > 0 {
                self.sql.push(",");
            }
            self.slot(shape, slot, alias);
        }
        self.sql.push(")");
    }

    fn slot(&mut self, shape: &Shape, slot: &Slot, alias: &str) {
        match slot {
            Slot::Column(field) => {
                let field = self.catalog.resource(shape.resource).field(*field);
                columns::push_json(&mut self.sql, alias, field);
            }
            Slot::Test(filter) => {
                self.sql.push("(");
                self.filter(shape, alias, filter);
                self.sql.push(" IS TRUE)");
            }
            Slot::ToOne { field, visible, shape: other } => {
                let foreign_key = self.resource(shape).field(*field).column.clone();
                let target = self.aliases.next();
                self.json(|builder| {
                    builder.sql.push("(SELECT ");
                    builder.object(other, &target);
                    builder.from(other, &target);
                    let id = &builder.resource(other).field(Resource::ID).column.clone();
                    builder.sql.push(" WHERE ").column(&target, id).push("=").column(alias, &foreign_key).push(" AND ");
                    builder.filter(other, &target, visible);
                    builder.sql.push(")");
                });
            }
            Slot::List(list) => self.json(|builder| builder.list(list, &Parent::Alias(alias))),
        }
    }

    /// Marks a subquery's text as JSON again, which SQLite forgets at the end of a subquery.
    fn json(&mut self, inner: impl FnOnce(&mut Self)) {
        match self.sql.dialect() {
            Dialect::Sqlite => {
                self.sql.push("json(");
                inner(self);
                self.sql.push(")");
            }
            Dialect::Postgres => inner(self),
        }
    }

    /// Adds `[[row, …], number]`.
    fn list(&mut self, list: &List, parent: &Parent<'_>) {
        self.sql.push(columns::array_function(self.sql.dialect())).push("(");
        if list.wants_rows {
            self.json(|builder| builder.rows(list, parent));
        } else {
            self.sql.push("NULL");
        }
        self.sql.push(",");
        if list.wants_total {
            let alias = self.aliases.next();
            self.sql.push("(SELECT count(*)");
            self.from(&list.shape, &alias);
            self.matching(list, &alias, parent);
            self.sql.push(")");
        } else {
            self.sql.push("NULL");
        }
        self.sql.push(")");
    }

    fn rows(&mut self, list: &List, parent: &Parent<'_>) {
        let alias = self.aliases.next();
        let page = self.aliases.next();
        self.sql.push(match self.sql.dialect() {
            Dialect::Sqlite => "(SELECT json_group_array(json(",
            Dialect::Postgres => "(SELECT coalesce(json_agg(",
        });
        self.sql.push(&page).push(".j");
        self.sql.push(match self.sql.dialect() {
            Dialect::Sqlite => ")) FROM (SELECT ",
            Dialect::Postgres => "),'[]') FROM (SELECT ",
        });
        // The values of the order's terms come after the slots: they make the row's cursor.
        self.sql.push(columns::array_function(self.sql.dialect())).push("(");
        self.object(&list.shape, &alias);
        for term in &list.order {
            self.sql.push(",");
            self.keyset(list, &alias).push_json(term);
        }
        self.sql.push(") AS j");
        self.from(&list.shape, &alias);
        self.matching(list, &alias, parent);
        self.keyset(list, &alias).push_bounds();
        self.keyset(list, &alias).push_order();
        // One more than asked for tells whether there are more.
        self.sql.push(" LIMIT ").bind(i64::from(list.paging.limit) + 1);
        self.sql.push(") AS ").push(&page).push(")");
    }

    fn keyset<'k>(&'k mut self, list: &'k List, alias: &'k str) -> Keyset<'k> {
        Keyset { sql: &mut self.sql, aliases: &mut self.aliases, catalog: self.catalog, list, alias }
    }

    fn matching(&mut self, list: &List, alias: &str, parent: &Parent<'_>) {
        self.sql.push(" WHERE ");
        if let Some(via) = list.via {
            let column = self.resource(&list.shape).field(via).column.clone();
            self.sql.column(alias, &column).push("=");
            match parent {
                Parent::Alias(parent) => self.sql.column(parent, "id"),
                Parent::Id(id) => self.sql.bind(*id),
                Parent::None => unreachable!("a list via a field has a parent"),
            };
            self.sql.push(" AND ");
        }
        self.filter(&list.shape, alias, &list.filter);
        if let Some(search) = &list.search {
            self.sql.push(" AND ");
            search.push(&mut self.sql, self.catalog.resource(list.shape.resource), alias);
        }
    }
}
