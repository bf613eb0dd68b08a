//! The part of a list's statement that is about all rows that match, whatever the page: numbers about them, and groups.

use super::aggregate::{self, Aggregate, Aggregated};
use super::decode::{Reader, Summary};
use super::grouping::{Group, GroupPage, Grouping};
use super::layout::Layout;
use super::part::{self, Joined, Of};
use super::scan::Rows;
use super::shape::List;
use super::statement::{Builder, Parent, slot_arguments};
use crate::catalog::ResourceId;
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
    /// Adds the numbers, if there are any, and then the groups, as one part.
    pub(super) fn summary(&mut self, list: &List, parent: &Parent<'_>) {
        let mut joined = Joined::open(&mut self.sql, Of::One, list.summary_parts());
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
        if dialect == Dialect::Postgres {
            self.sql.push("(SELECT concat('[',string_agg(").push(&page).push(".j,';'),']') FROM ");
        }
        self.sql.push("(SELECT ");
        let keys = || grouping.keys.iter().map(|key| (key, resource.field(key.field)));
        let arguments = keys().map(|(key, field)| key.arguments(field)).sum::<usize>();
        let slots = || part::slots(catalog, &grouping.shape);
        let of_slots = slots().map(|slot| slot_arguments(catalog, &grouping.shape, slot)).sum::<usize>();
        let mut joined = Joined::open(&mut self.sql, Of::Rows, arguments + 1 + of_slots);
        for (key, field) in keys() {
            joined.next(&mut self.sql, key.arguments(field));
            key.push_part(&mut self.sql, &alias, field);
        }
        joined.next(&mut self.sql, 1).column(&alias, NUMBERS);
        let mut joins = Vec::new();
        for slot in slots() {
            joined.next(&mut self.sql, slot_arguments(catalog, &grouping.shape, slot));
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
        if dialect == Dialect::Postgres {
            self.sql.push(" ORDER BY ");
            self.sql.list(",", keys(), |sql, (key, field)| {
                sql.column(&alias, &key.column(field)).push(nulls);
            });
            self.sql.push(") AS ").push(&page);
        }
        self.sql.push(")");
    }
}

impl Reader<'_> {
    /// Reads what [`Builder::summary`] has added, which is all that there is.
    pub(super) fn summary(&mut self, list: &List) -> Option<Summary> {
        let mut summary = Summary::default();
        if !list.aggregates.is_empty() {
            summary.aggregates = self.aggregates(list.shape.resource, &list.aggregates)?;
        }
        for (i, grouping) in list.groupings.iter().enumerate() {
            if i > 0 || !list.aggregates.is_empty() {
                self.scanner.separate()?;
            }
            summary.groups.push(self.groups(grouping)?);
        }
        Some(summary)
    }

    fn aggregates(&mut self, resource: ResourceId, aggregates: &[Aggregate]) -> Option<Vec<Aggregated>> {
        self.inside(|reader| aggregate::decode(reader.catalog, resource, aggregates, &mut reader.scanner))?
    }

    fn groups(&mut self, grouping: &Grouping) -> Option<GroupPage> {
        let layout = Layout::of_row(self.scanner.dialect(), self.catalog, &grouping.shape);
        let mut groups = Vec::new();
        self.rows(Rows::InBrackets, |reader| {
            groups.push(reader.group(grouping, &layout)?);
            Some(())
        })?;
        let limit = grouping.limit as usize;
        let has_more = groups.len() > limit;
        groups.truncate(limit);
        Some(GroupPage { groups, has_more })
    }

    fn group(&mut self, grouping: &Grouping, layout: &Layout<'_>) -> Option<Group> {
        let resource = grouping.shape.resource;
        let mut keys = Vec::with_capacity(grouping.keys.len());
        for key in &grouping.keys {
            keys.push(self.scanner.datum(key.ty(self.catalog.resource(resource).field(key.field)))?);
            self.scanner.separate()?;
        }
        let aggregates = self.aggregates(resource, &grouping.aggregates)?;
        let mut nodes = Vec::with_capacity(layout.slots.len());
        for form in &layout.slots {
            self.scanner.separate()?;
            nodes.push(self.node(form)?);
        }
        Some(Group { keys, aggregates, nodes })
    }
}
