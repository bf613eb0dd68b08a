//! Rows that hold every value of the tables, and what is known about them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tandem_tests::Client;
use tandem_tests::client::{number, text};

use super::store::{data, form, given, items, row_count};
use super::values::Column;

/// The groups: name, rank, and which one is above.
const GROUPS: [(&str, Option<i64>, Option<usize>); 4] =
    [("g0", None, None), ("g1", Some(1), None), ("g2", Some(1), Some(1)), ("g3", Some(2), Some(2))];

/// The last rows, in which everything that may be null is null.
const NULL_ROWS: usize = 3;

/// A row that was written.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its number, from 0 on.
    pub row: usize,
    /// Its id.
    pub id: String,
    /// Which group it is in.
    pub group: Group,
    /// Another group, or none.
    pub other: Option<Group>,
    /// The number of another row, or none.
    pub parent: Option<usize>,
    is_null: bool,
}

/// A group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group(usize);

impl Group {
    /// Its place among the groups, by name.
    pub fn number(self) -> i64 {
        self.0 as i64
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        GROUPS[self.0].0
    }

    /// Its rank.
    pub fn rank(self) -> Option<i64> {
        GROUPS[self.0].1
    }

    /// The one above.
    pub fn above(self) -> Option<Group> {
        GROUPS[self.0].2.map(Group)
    }
}

impl Row {
    /// The place of the row's value among those of a column, unless it is null.
    pub fn place(&self, column: &Column) -> Option<usize> {
        (!self.is_null).then(|| form(column, self.row).0)
    }

    /// The place of the row's value in the column that is never null.
    pub fn place_always(&self, column: &Column) -> usize {
        form(column, self.row + 1).0
    }

    /// The places of the items of the row's list, unless it is null.
    pub fn items(&self, column: &Column) -> Option<Vec<usize>> {
        (!self.is_null).then(|| items(column, self.row))
    }

    /// The text of a column of texts, unless it is null.
    pub fn text(&self, column: &Column) -> Option<String> {
        let read = column.values[self.place(column)?].read;
        Some(serde_json::from_str(read).expect("it is a text"))
    }
}

/// Writes the groups and rows.
pub async fn fill(client: &Client) -> Vec<Row> {
    let groups = groups(client).await;
    let mut rows: Vec<Row> = Vec::new();
    for row in 0..row_count() + NULL_ROWS {
        let is_null = row >= row_count();
        let group = Group(row % GROUPS.len());
        let other = [None, Some(1), Some(2), Some(3), Some(0)][row % 5].filter(|_| !is_null).map(Group);
        let parent = Some(row / 2).filter(|_| row > 3 && row % 3 > 0);
        let mut input = vec![
            format!(r#""key":"row {row}","row":{row},"groupId":"{}""#, groups[group.name()]),
            format!(r#""otherId":{}"#, json!(other.map(|other| &groups[other.name()]))),
            format!(r#""parentId":{}"#, json!(parent.map(|parent| &rows[parent].id))),
        ];
        let given = given(row).into_iter().filter(|(name, ..)| !is_null || name.ends_with("Always"));
        input.extend(given.map(|(name, _, value)| format!(r#""{name}":{value}"#)));
        let create =
            "mutation($input: CreateCellInput!) { createCell(input: $input) { cell { id } userErrors { message } } }";
        let created = data(client, create, &format!(r#"{{"input":{{{}}}}}"#, input.join(","))).await;
        let created: Value = serde_json::from_str(&created).expect("it is JSON");
        let id = text(&created["createCell"]["cell"]["id"]);
        rows.push(Row { row, id, group, other, parent, is_null });
    }
    rows
}

/// The ids of the groups, by name.
async fn groups(client: &Client) -> BTreeMap<&'static str, String> {
    let create =
        "mutation($input: CreateGroupInput!) { createGroup(input: $input) { group { id } userErrors { message } } }";
    let mut ids: BTreeMap<&'static str, String> = BTreeMap::new();
    for (name, rank, above) in GROUPS {
        let above = above.map(|above| &ids[GROUPS[above].0]);
        let created = client.done(create, json!({"name": name, "rank": rank, "aboveId": above})).await;
        ids.insert(name, text(&created["group"]["id"]));
    }
    ids
}

/// The numbers of the rows that each filter selects, in their order; and the bytes of the answers.
pub async fn select(client: &Client, filters: &[String]) -> (Vec<Vec<usize>>, Vec<String>) {
    let (mut selected, mut bytes) = (Vec::new(), Vec::new());
    for filters in filters.chunks(40) {
        let field = |(i, filter): (usize, &String)| {
            format!(
                "f{i}: cells(first: 100, orderBy: [{{row: ASC}}], filter: {filter}) {{ nodes {{ row }} totalCount }}"
            )
        };
        let query = filters.iter().enumerate().map(field).collect::<Vec<_>>().join("\n");
        let answer = data(client, &format!("{{\n{query}\n}}"), "{}").await;
        let fields: Value = serde_json::from_str(&answer).expect("it is JSON");
        for i in 0..filters.len() {
            let connection = &fields[format!("f{i}")];
            let nodes = connection["nodes"].as_array().expect("a connection has nodes");
            assert_eq!(number(&connection["totalCount"]), nodes.len() as i64, "{}", filters[i]);
            selected.push(nodes.iter().map(|node| number(&node["row"]) as usize).collect());
        }
        bytes.push(answer);
    }
    (selected, bytes)
}
