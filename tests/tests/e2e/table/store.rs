//! The server with the resource file of the tables, and rows made of their values.

use serde_json::value::RawValue;
use tandem_tests::{Caller, Case, Client, Server};

use super::values::{COLUMNS, Column};

const RESOURCES: &str = include_str!("resources.graphql");

/// Starts a server with the resource file of the tables.
pub async fn serve(case: &Case) -> Server {
    let path = case.file("table.graphql", RESOURCES);
    case.start(case.settings().with("--resources", &path)).await
}

/// A client with all rights.
pub fn admin(server: &Server) -> Client {
    server.client(&Caller::admin())
}

/// The bytes of `data` of a response that has to be without errors.
pub async fn data(client: &Client, query: &str, variables: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Response {
        data: Option<Box<RawValue>>,
        errors: Option<Box<RawValue>>,
    }
    let text = client.exchange(query, variables).await.unwrap_or_else(|error| panic!("{error:#}\n{query}"));
    let response: Response = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(response.errors.is_none(), "{query}\n{variables}\n{text}");
    response.data.map_or_else(|| panic!("no data: {text}"), |data| data.get().to_owned())
}

/// How many different rows there are: in each place each column has one of its forms.
pub fn row_count() -> usize {
    COLUMNS.iter().map(|column| column.forms().len()).max().expect("there are columns")
}

/// What a column holds in a row: the place of its value, and how it is written.
pub fn form(column: &Column, row: usize) -> (usize, &'static str) {
    let forms = column.forms();
    forms[row % forms.len()]
}

/// The places of the values of a column's list in a row: none, one, two, or three with one twice.
pub fn items(column: &Column, row: usize) -> Vec<usize> {
    let at = |offset: usize| (row + offset) % column.values.len();
    match row % 4 {
        0 => vec![],
        1 => vec![at(0)],
        2 => vec![at(0), at(1)],
        _ => vec![at(0), at(3), at(0)],
    }
}

/// The fields of a row's columns, each with what a client writes into it.
pub fn given(row: usize) -> Vec<(String, bool, String)> {
    let mut fields = Vec::new();
    for column in COLUMNS {
        let (_, value) = form(column, row);
        let (_, other) = form(column, row + 1);
        let written = |i: usize| column.values[i].given[row % column.values[i].given.len()];
        let list: Vec<&str> = items(column, row).into_iter().map(written).collect();
        let list = format!("[{}]", list.join(","));
        for (name, value) in [
            (column.name.to_owned(), value.to_owned()),
            (column.always(), other.to_owned()),
            (column.list(), list.clone()),
            (column.list_always(), list),
        ] {
            fields.push((name, column.is_enum(), value));
        }
    }
    fields
}

/// The names of a row's columns, as a selection.
pub fn selection() -> String {
    let names = COLUMNS.iter().map(|c| [c.name.to_owned(), c.always(), c.list(), c.list_always()].join(" "));
    names.collect::<Vec<_>>().join(" ")
}

/// What clients read of [`selection`].
pub fn read(row: usize) -> String {
    let mut fields = Vec::new();
    for column in COLUMNS {
        let value = |row: usize| column.values[form(column, row).0].read;
        let list: Vec<&str> = items(column, row).into_iter().map(|i| column.values[i].read).collect();
        let list = list.join(",");
        fields.push(format!(r#""{}":{}"#, column.name, value(row)));
        fields.push(format!(r#""{}":{}"#, column.always(), value(row + 1)));
        fields.push(format!(r#""{}":[{list}]"#, column.list()));
        fields.push(format!(r#""{}":[{list}]"#, column.list_always()));
    }
    fields.join(",")
}

/// JSON as a literal of a document: keys without quotes, and values of enums too. `None` if it has a key that is no name,
/// or one twice.
pub fn literal(json: &str, is_enum: bool) -> Option<String> {
    let mut literal = String::new();
    let mut keys: Vec<Vec<&str>> = Vec::new();
    let mut rest = json;
    while let Some(start) = rest.find(['"', '{', '}']) {
        literal.push_str(&rest[..start]);
        match rest.as_bytes()[start] {
            b'"' => {
                let end = end_of_string(rest, start);
                let inside = &rest[start + 1..end - 1];
                let is_key = rest[end..].trim_start().starts_with(':');
                if is_key {
                    let known = keys.last_mut().expect("keys stand in objects");
                    let is_name = inside
                        .chars()
                        .enumerate()
                        .all(|(i, c)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit()));
                    if !is_name || inside.is_empty() || known.contains(&inside) {
                        return None;
                    }
                    known.push(inside);
                }
                literal.push_str(if is_key || is_enum { inside } else { &rest[start..end] });
                rest = &rest[end..];
            }
            brace => {
                if brace == b'{' {
                    keys.push(Vec::new());
                } else {
                    keys.pop();
                }
                literal.push(char::from(brace));
                rest = &rest[start + 1..];
            }
        }
    }
    literal.push_str(rest);
    Some(literal)
}

/// Behind the closing quotation mark of the string that begins at `start`.
fn end_of_string(text: &str, start: usize) -> usize {
    let mut is_escaped = false;
    for (i, byte) in text.bytes().enumerate().skip(start + 1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    panic!("no JSON: {text}");
}

/// Fails with the place where two texts part.
pub fn assert_same(found: &str, expected: &str, what: &str) {
    if found == expected {
        return;
    }
    let common = found.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| String::from_utf8_lossy(&text.as_bytes()[common.saturating_sub(60)..]).into_owned();
    let part = |text: &str| from(text).chars().take(160).collect::<String>();
    panic!("{what}\nfound:    …{}…\nexpected: …{}…", part(found), part(expected));
}
