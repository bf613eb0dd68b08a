//! The part of a list's statement that is about all rows that match, whatever the page.

use serde_json::Value;

use super::decode::{Page, Summary};
use super::grouping::Grouping;
use super::shape::List;
use super::statement::{Builder, Parent};
use super::{aggregate, grouping};
use crate::catalog::Catalog;
use crate::database::Dialect;
use crate::store::columns;

impl List {
    /// Whether anything is wanted to be known of all rows but their number.
    pub(super) fn wants_summary(&self) -> bool {
        !self.aggregates.is_empty() || !self.groupings.is_empty()
    }
}

impl Builder<'_> {
    /// Adds `[aggregates, groups, …]`.
    pub(super) fn summary(&mut self, list: &List, parent: &Parent<'_>) {
        self.sql.push(columns::array_function(self.sql.dialect())).push("(");
        if list.aggregates.is_empty() {
            self.sql.push("NULL");
        } else {
            self.json(|builder| {
                let alias = builder.aliases.next();
                builder.sql.push("(SELECT ");
                aggregate::push(&mut builder.sql, builder.catalog, list.shape.resource, &alias, &list.aggregates);
                builder.from(&list.shape, &alias);
                builder.matching(list, &alias, parent);
                builder.sql.push(")");
            });
        }
        for grouping in &list.groupings {
            self.sql.push(",");
            self.json(|builder| builder.groups(list, grouping, parent));
        }
        self.sql.push(")");
    }

    fn groups(&mut self, list: &List, grouping: &Grouping, parent: &Parent<'_>) {
        let resource = self.catalog.resource(list.shape.resource);
        let (alias, page) = (self.aliases.next(), self.aliases.next());
        let dialect = self.sql.dialect();
        let (before, after) = match dialect {
            Dialect::Sqlite => ("(SELECT json_group_array(json(", ")) FROM (SELECT "),
            Dialect::Postgres => ("(SELECT coalesce(json_agg(", "),'[]') FROM (SELECT "),
        };
        self.sql.push(before).push(&page).push(".j").push(after);
        self.sql.push(columns::array_function(dialect)).push("(");
        for key in &grouping.keys {
            key.push_json(&mut self.sql, &alias, resource.field(key.field));
            self.sql.push(",");
        }
        aggregate::push(&mut self.sql, self.catalog, list.shape.resource, &alias, &grouping.aggregates);
        for slot in &grouping.shape.slots {
            self.sql.push(",");
            self.slot(&grouping.shape, slot, &alias);
        }
        self.sql.push(") AS j");
        self.from(&list.shape, &alias);
        self.matching(list, &alias, parent);
        self.sql.push(" GROUP BY ");
        self.sql.list(",", &grouping.keys, |sql, key| key.push(sql, &alias, resource.field(key.field)));
        self.sql.push(" ORDER BY ");
        self.sql.list(",", &grouping.keys, |sql, key| {
            key.push(sql, &alias, resource.field(key.field));
            if dialect == Dialect::Postgres {
                sql.push(" NULLS FIRST");
            }
        });
        // One more than asked for tells whether there are more.
        self.sql.push(" LIMIT ").bind(i64::from(grouping.limit) + 1);
        self.sql.push(") AS ").push(&page).push(")");
    }
}

/// Adds what [`Builder::summary`] gave to a page; `None` if it does not fit.
pub(super) fn decode(catalog: &Catalog, list: &List, value: Option<&Value>, page: &mut Page) -> Option<()> {
    if !list.wants_summary() {
        return Some(());
    }
    let (aggregates, groups) = value?.as_array()?.split_first()?;
    let mut summary = Summary::default();
    if !list.aggregates.is_empty() {
        summary.aggregates = aggregate::decode(catalog, list.shape.resource, &list.aggregates, aggregates)?;
    }
    if groups.len() != list.groupings.len() {
        return None;
    }
    let groups = list.groupings.iter().zip(groups);
    summary.groups =
        groups.map(|(grouping, value)| grouping::decode(catalog, grouping, value)).collect::<Option<_>>()?;
    page.summary = Some(Box::new(summary));
    Some(())
}
