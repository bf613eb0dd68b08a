//! The part of a list's statement that is about all rows that match, whatever the page: numbers about them, and groups.

use super::aggregate;
use super::decode::{Reader, Summary};
use super::grouping::{Group, GroupPage, Grouping};
use super::part::Joined;
use super::shape::{List, Slot};
use super::statement::{Builder, Parent, slot_arguments};
use crate::database::Dialect;

/// What a subquery that groups calls the numbers about a group.
const NUMBERS: &str = "#";

impl List {
    /// How many parts of a list are about all rows but their number.
    pub(super) fn summary_parts(&self) -> usize {
        usize::from(!self.aggregates.is_empty()) + self.groupings.len()
    }
}

impl Builder<'_> {
    /// Adds the numbers, if there are any, and then the groups, as one text.
    pub(super) fn summary(&mut self, list: &List, parent: &Parent<'_>) {
        let mut joined = Joined::open(&mut self.sql, list.summary_parts());
        if !list.aggregates.is_empty() {
            joined.next(&mut self.sql, 1);
            let alias = self.aliases.next();
            self.sql.push("(SELECT ");
            aggregate::push(&mut self.sql, self.catalog, list.shape.resource, &alias, &list.aggregates);
            self.from(&list.shape, &alias);
            self.matching(list, &alias, parent);
            self.sql.push(")");
        }
        for grouping in &list.groupings {
            joined.next(&mut self.sql, 1);
            self.groups(list, grouping, parent);
        }
        joined.close(&mut self.sql);
    }

    /// Groups are chosen first, and only for those that are left the rows at other sides are looked up.
    fn groups(&mut self, list: &List, grouping: &Grouping, parent: &Parent<'_>) {
        let resource = self.catalog.resource(list.shape.resource);
        let (alias, page) = (self.aliases.next(), self.aliases.next());
        let (dialect, catalog) = (self.sql.dialect(), self.catalog);
        self.sql.push(match dialect {
            Dialect::Sqlite => "(SELECT concat('[',group_concat(",
            Dialect::Postgres => "(SELECT concat('[',string_agg(",
        });
        self.sql.push(&page).push(".j,';'),']') FROM (SELECT ");
        let keys = || grouping.keys.iter().map(|key| (key, resource.field(key.field)));
        let arguments = keys().map(|(key, field)| key.arguments(field)).sum::<usize>();
        let of_slot = |slot: &Slot| slot_arguments(dialect, catalog, &grouping.shape, slot);
        let of_slots = grouping.shape.slots.iter().map(of_slot).sum::<usize>();
        let mut joined = Joined::open(&mut self.sql, arguments + 1 + of_slots);
        for (key, field) in keys() {
            joined.next(&mut self.sql, key.arguments(field));
            key.push_part(&mut self.sql, &alias, field);
        }
        joined.next(&mut self.sql, 1).column(&alias, NUMBERS);
        let mut joins = Vec::new();
        for slot in &grouping.shape.slots {
            joined.next(&mut self.sql, of_slot(slot));
            joins.extend(self.slot(&grouping.shape, slot, &alias));
        }
        joined.close(&mut self.sql);
        self.sql.push(" AS j FROM (SELECT ");
        for (key, field) in keys() {
            key.push(&mut self.sql, &alias, field);
            self.sql.push(" AS ").ident(&key.column(field)).push(",");
        }
        aggregate::push(&mut self.sql, self.catalog, list.shape.resource, &alias, &grouping.aggregates);
        self.sql.push(" AS ").ident(NUMBERS);
        self.from(&list.shape, &alias);
        self.matching(list, &alias, parent);
        self.sql.push(" GROUP BY ");
        self.sql.list(",", keys(), |sql, (key, field)| key.push(sql, &alias, field));
        let nulls = if dialect == Dialect::Postgres { " NULLS FIRST" } else { "" };
        self.sql.push(" ORDER BY ");
        self.sql.list(",", keys(), |sql, (key, field)| {
            key.push(sql, &alias, field);
            sql.push(nulls);
        });
        // One more than asked for tells whether there are more.
        self.sql.push(" LIMIT ").push(&(u64::from(grouping.limit) + 1).to_string());
        self.sql.push(") AS ").push(&alias);
        self.joins(&joins, &alias);
        self.sql.push(" ORDER BY ");
        self.sql.list(",", keys(), |sql, (key, field)| {
            sql.column(&alias, &key.column(field)).push(nulls);
        });
        self.sql.push(") AS ").push(&page).push(")");
    }
}

impl Reader<'_> {
    /// Reads what [`Builder::summary`] has added.
    pub(super) fn summary(&mut self, list: &List) -> Option<Summary> {
        let mut summary = Summary::default();
        if !list.aggregates.is_empty() {
            let resource = list.shape.resource;
            summary.aggregates = aggregate::decode(self.catalog, resource, &list.aggregates, &mut self.scanner)?;
        }
        for (i, grouping) in list.groupings.iter().enumerate() {
            if i > 0 || !list.aggregates.is_empty() {
                self.scanner.expect(b',')?;
            }
            summary.groups.push(self.groups(grouping)?);
        }
        Some(summary)
    }

    fn groups(&mut self, grouping: &Grouping) -> Option<GroupPage> {
        let mut groups = Vec::new();
        self.scanner.expect(b'[')?;
        if !self.scanner.take(b']') {
            loop {
                groups.push(self.group(grouping)?);
                if !self.scanner.take(b';') {
                    break;
                }
            }
            self.scanner.expect(b']')?;
        }
        let limit = grouping.limit as usize;
        let has_more = groups.len() > limit;
        groups.truncate(limit);
        Some(GroupPage { groups, has_more })
    }

    fn group(&mut self, grouping: &Grouping) -> Option<Group> {
        let resource = grouping.shape.resource;
        let mut keys = Vec::with_capacity(grouping.keys.len());
        for key in &grouping.keys {
            keys.push(self.scanner.datum(key.ty(self.catalog.resource(resource).field(key.field)))?);
            self.scanner.expect(b',')?;
        }
        let aggregates = aggregate::decode(self.catalog, resource, &grouping.aggregates, &mut self.scanner)?;
        let mut nodes = Vec::with_capacity(grouping.shape.slots.len());
        for slot in &grouping.shape.slots {
            self.scanner.expect(b',')?;
            nodes.push(self.node(&grouping.shape, slot)?);
        }
        Some(Group { keys, aggregates, nodes })
    }
}
