//! A tree of what is wanted → one statement, which gives parts in the form that `part` tells.
//!
//! A list is chosen first, in a subquery with its order and its limit, and only for the rows that are left what belongs
//! to them is looked up: limits per parent are limits in a subquery, and what is not shown is not looked up.
//!
//! PostgreSQL runs a subquery of a row slower than a join, but of a join it would also consider to read the whole other
//! table. So to-one rows are joined laterally, with `OFFSET 0`, which it does not look through: one look at the index for
//! each row, whatever it thinks of the tables' sizes. SQLite runs a subquery of a row slower than a join, too, and joins row
//! by row in the order in which tables are named.

use uuid::Uuid;

use super::keyset::Keyset;
use super::order_type;
use super::part::{self, Joined, Of};
use super::shape::{List, Shape, Slot};
use crate::catalog::{Catalog, Filter, Resource, ResourceId};
use crate::database::{Dialect, Sql};
use crate::store::predicate::{self, Aliases};

/// One row that matches a filter: the position of the log, and the object. On PostgreSQL it is for
/// [`look_up`](crate::database::Database::look_up).
pub(super) fn one(dialect: Dialect, catalog: &Catalog, shape: &Shape, filter: &Filter) -> Sql {
    let sql = match dialect {
        Dialect::Sqlite => Sql::new(dialect),
        Dialect::Postgres => Sql::for_each(dialect),
    };
    let mut builder = Builder { sql, aliases: Aliases::default(), catalog };
    let alias = builder.aliases.next();
    builder.sql.push("SELECT (SELECT position FROM tandem_head),");
    let joins = builder.object(shape, &alias, None, Of::One);
    builder.from(shape, &alias);
    builder.joins(&joins, &alias);
    builder.sql.push(" WHERE ");
    builder.filter(shape, &alias, filter);
    builder.sql.push(" LIMIT 1");
    builder.sql
}

/// A list, of all rows or of those of one parent: the position of the log, the rows, null if there are none, the number of all
/// rows, and what is said of them, each if it is wanted.
pub(in crate::store) fn list(dialect: Dialect, catalog: &Catalog, list: &List, parent: Option<Uuid>) -> Sql {
    let mut builder = Builder { sql: Sql::new(dialect), aliases: Aliases::default(), catalog };
    let parent = parent.map_or(Parent::None, Parent::Id);
    // Not joined as those inside are: each time that a text of this length is joined to another one, it is copied.
    builder.sql.push("SELECT (SELECT position FROM tandem_head),");
    if list.wants_rows {
        builder.rows(list, &parent);
    } else {
        builder.sql.push("CAST(NULL AS text)");
    }
    builder.sql.push(",");
    if list.wants_total {
        builder.total(list, &parent);
    } else {
        builder.sql.push("CAST(NULL AS bigint)");
    }
    builder.sql.push(",");
    if list.summary_parts() > 0 {
        builder.summary(list, &parent);
    } else {
        builder.sql.push("CAST(NULL AS text)");
    }
    builder.sql
}

/// The ids of the rows that match, in their order.
pub(super) fn matching(dialect: Dialect, catalog: &Catalog, of: ResourceId, filter: &Filter, limit: usize) -> Sql {
    let mut builder = Builder { sql: Sql::new(dialect), aliases: Aliases::default(), catalog };
    let alias = builder.aliases.next();
    let resource = catalog.resource(of);
    let id = &resource.field(Resource::ID).column;
    builder.sql.push("SELECT ").column(&alias, id);
    builder.sql.push(" FROM ").ident(&resource.prefix).push(" AS ").push(&alias).push(" WHERE ");
    predicate::push(&mut builder.sql, &mut builder.aliases, catalog, of, &alias, filter);
    builder.sql.push(" ORDER BY ").column(&alias, id);
    builder.sql.push(" LIMIT ").bind(i64::try_from(limit).unwrap_or(i64::MAX));
    builder.sql
}

/// Its rows, its end, its number, and what is said of all rows.
const LIST_ARGUMENTS: usize = 4;

/// How many arguments a slot of such a row takes.
pub(super) fn slot_arguments(catalog: &Catalog, shape: &Shape, (slot, is_spread): (&Slot, bool)) -> usize {
    match slot {
        Slot::Column(field) => part::arguments(&catalog.resource(shape.resource).field(*field).ty),
        Slot::ToOne { shape, .. } if is_spread => part::spread_arguments(catalog, shape).unwrap_or(1),
        Slot::ToOne { .. } | Slot::Test(_) => 1,
        Slot::List(_) => LIST_ARGUMENTS,
    }
}

/// What the rows of a list belong to.
pub(super) enum Parent<'a> {
    None,
    Alias(&'a str),
    Id(Uuid),
}

/// A row at the other side of a to-one field, to be looked up for each row.
pub(super) struct Join<'s> {
    alias: String,
    foreign_key: String,
    visible: &'s Filter,
    shape: &'s Shape,
    is_spread: bool,
}

pub(super) struct Builder<'c> {
    pub(super) sql: Sql,
    pub(super) aliases: Aliases,
    pub(super) catalog: &'c Catalog,
}

impl<'c> Builder<'c> {
    fn resource(&self, shape: &Shape) -> &'c Resource {
        self.catalog.resource(shape.resource)
    }

    pub(super) fn from(&mut self, shape: &Shape, alias: &str) {
        let table = self.catalog.resource(shape.resource);
        self.sql.push(" FROM ").ident(&table.prefix).push(" AS ").push(alias);
    }

    fn filter(&mut self, shape: &Shape, alias: &str, filter: &Filter) {
        predicate::push(&mut self.sql, &mut self.aliases, self.catalog, shape.resource, alias, filter);
    }

    /// Adds a filter beside another condition.
    fn and_filter(&mut self, shape: &Shape, alias: &str, filter: &Filter) {
        if *filter != Filter::Const(true) {
            self.sql.push(" AND ");
            self.filter(shape, alias, filter);
        }
    }

    /// Adds the parts of an object, with the keys of its place in a list; gives the joins that they need.
    fn object<'s>(&mut self, shape: &'s Shape, alias: &str, list: Option<&List>, of: Of) -> Vec<Join<'s>> {
        let keys = list.map_or(&[][..], List::keys);
        let catalog = self.catalog;
        let of_key = |term| part::arguments(order_type(catalog, shape.resource, term));
        let is_marked = part::is_marked(self.sql.dialect(), catalog, shape);
        let all = usize::from(is_marked)
            + part::slots(catalog, shape).map(|slot| slot_arguments(catalog, shape, slot)).sum::<usize>()
            + keys.iter().map(of_key).sum::<usize>();
        let mut joins = Vec::new();
        let mut joined = Joined::open(&mut self.sql, of, all);
        if is_marked {
            joined.next(&mut self.sql, 1).push("1");
        }
        for (slot, is_spread) in part::slots(catalog, shape) {
            joined.next(&mut self.sql, slot_arguments(catalog, shape, (slot, is_spread)));
            joins.extend(self.slot(shape, (slot, is_spread), alias));
        }
        for (i, term) in keys.iter().enumerate() {
            joined.next(&mut self.sql, of_key(term));
            Keyset::push_key(&mut self.sql, catalog, shape.resource, alias, i, term);
        }
        joined.close(&mut self.sql);
        joins
    }

    pub(super) fn slot<'s>(
        &mut self,
        shape: &Shape,
        (slot, is_spread): (&'s Slot, bool),
        alias: &str,
    ) -> Option<Join<'s>> {
        match slot {
            Slot::Column(field) => {
                let field = self.resource(shape).field(*field);
                let (ty, is_nullable, column) = (&field.ty, field.nullable, &field.column);
                part::push(&mut self.sql, ty, is_nullable, |sql| {
                    sql.column(alias, column);
                });
            }
            Slot::Test(filter) => {
                self.sql.push("(");
                self.filter(shape, alias, filter);
                self.sql.push(" IS TRUE)");
            }
            Slot::ToOne { field, visible, shape: other } => {
                let foreign_key = self.resource(shape).field(*field).column.clone();
                let join = Join { alias: self.aliases.next(), foreign_key, visible, shape: other, is_spread };
                if is_spread {
                    self.spread(&join);
                    return Some(join);
                }
                match self.sql.dialect() {
                    Dialect::Sqlite => self.related(&join, alias),
                    Dialect::Postgres => {
                        self.sql.push("coalesce(").push(&join.alias).push(".j,'!')");
                        return Some(join);
                    }
                }
            }
            Slot::List(list) => self.list(list, &Parent::Alias(alias)),
        }
        None
    }

    /// Adds the parts of a row that is joined. Of none there is on PostgreSQL `!` alone: all else is null, and nothing is joined
    /// of it.
    fn spread(&mut self, join: &Join<'_>) {
        let resource = self.resource(join.shape);
        let id = &resource.field(Resource::ID).column;
        let has_mark = match self.sql.dialect() {
            Dialect::Sqlite => {
                let is_marked = part::is_spread_marked(self.catalog, join.shape);
                if is_marked {
                    self.sql.column(&join.alias, id).push(" IS NOT NULL");
                }
                is_marked
            }
            Dialect::Postgres => {
                let is_marked = part::is_marked(Dialect::Postgres, self.catalog, join.shape);
                let mark = if is_marked { " ELSE '1'" } else { "" };
                self.sql.push("CASE WHEN ").column(&join.alias, id).push(" IS NULL THEN '!'").push(mark).push(" END");
                true
            }
        };
        for (i, field) in join.shape.columns().map(|field| resource.field(field)).enumerate() {
            self.sql.push(if has_mark || i > 0 { "," } else { "" });
            part::push_joined(&mut self.sql, &field.ty, field.nullable, (&join.alias, id), &field.column);
        }
    }

    pub(super) fn joins(&mut self, joins: &[Join<'_>], alias: &str) {
        for join in joins {
            match self.sql.dialect() {
                Dialect::Sqlite => {
                    let table = self.resource(join.shape);
                    self.sql.push(" LEFT JOIN ").ident(&table.prefix).push(" AS ").push(&join.alias).push(" ON ");
                    self.is_related(join, &join.alias, alias);
                }
                Dialect::Postgres => {
                    self.sql.push(" LEFT JOIN LATERAL ");
                    self.related(join, alias);
                    self.sql.push(" AS ").push(&join.alias).push(" ON true");
                }
            }
        }
    }

    /// Adds a subquery of the row at the other side of a to-one field.
    fn related(&mut self, join: &Join<'_>, alias: &str) {
        let target = self.aliases.next();
        self.sql.push("(SELECT ");
        let joins = if join.is_spread {
            self.sql.push(&target).push(".*");
            Vec::new()
        } else {
            let joins = self.object(join.shape, &target, None, Of::One);
            self.sql.push(" AS j");
            joins
        };
        self.from(join.shape, &target);
        self.joins(&joins, &target);
        self.sql.push(" WHERE ");
        self.is_related(join, &target, alias);
        self.sql.push(match self.sql.dialect() {
            Dialect::Sqlite => ")",
            Dialect::Postgres => " OFFSET 0)",
        });
    }

    /// Adds the condition that a row is the one at the other side, and that the caller may see it.
    fn is_related(&mut self, join: &Join<'_>, target: &str, alias: &str) {
        let id = &self.resource(join.shape).field(Resource::ID).column;
        self.sql.column(target, id).push("=").column(alias, &join.foreign_key);
        self.and_filter(join.shape, target, join.visible);
    }

    /// Adds what is wanted of a list as a part.
    fn list(&mut self, list: &List, parent: &Parent<'_>) {
        match (self.sql.dialect(), list.wants_rows) {
            (_, true) => self.rows(list, parent),
            (Dialect::Sqlite, false) => {
                self.sql.push("NULL");
            }
            (Dialect::Postgres, false) => {}
        }
        if self.sql.dialect() == Dialect::Postgres {
            // Of no rows, which are null, nothing is joined.
            self.sql.push(if list.wants_rows { ",']'" } else { "']'" });
        }
        if list.wants_total {
            self.sql.push(",");
            self.total(list, parent);
        }
        if list.summary_parts() > 0 {
            self.sql.push(",");
            self.summary(list, parent);
        }
    }

    fn total(&mut self, list: &List, parent: &Parent<'_>) {
        let alias = self.aliases.next();
        self.sql.push("(SELECT count(*)");
        self.from(&list.shape, &alias);
        self.matching(list, &alias, parent);
        self.sql.push(")");
    }

    fn rows(&mut self, list: &List, parent: &Parent<'_>) {
        let alias = self.aliases.next();
        let page = self.aliases.next();
        if self.sql.dialect() == Dialect::Postgres {
            self.sql.push("(SELECT string_agg(").push(&page).push(".j,';') FROM ");
        }
        self.sql.push("(SELECT ");
        let joins = self.object(&list.shape, &alias, Some(list), Of::Rows);
        self.sql.push(" AS j FROM (SELECT ").push(&alias).push(".*");
        self.keyset(list, &alias).push_terms();
        self.from(&list.shape, &alias);
        self.matching(list, &alias, parent);
        self.keyset(list, &alias).push_bounds();
        self.keyset(list, &alias).push_order();
        // One more than asked for tells whether there are more. The number is written out, since PostgreSQL makes its plans
        // before it knows what is bound, and by such a number.
        self.sql.push(" LIMIT ").push(&(u64::from(list.paging.limit) + 1).to_string());
        self.sql.push(") AS ").push(&alias);
        self.joins(&joins, &alias);
        if self.sql.dialect() == Dialect::Postgres {
            if !joins.is_empty() {
                // Already so, as long as PostgreSQL joins row by row.
                self.keyset(list, &alias).push_order_again();
            }
            self.sql.push(") AS ").push(&page);
        }
        self.sql.push(")");
    }

    fn keyset<'k>(&'k mut self, list: &'k List, alias: &'k str) -> Keyset<'k> {
        Keyset { sql: &mut self.sql, aliases: &mut self.aliases, catalog: self.catalog, list, alias }
    }

    pub(super) fn matching(&mut self, list: &List, alias: &str, parent: &Parent<'_>) {
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
