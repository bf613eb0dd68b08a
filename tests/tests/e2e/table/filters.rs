//! Every operator of every type of field, with every value on both sides of it.
//!
//! What a filter has to select follows from the places of the values in the tables.

use tandem_tests::Case;
use tandem_tests::case::run_alike;

use super::combined;
use super::shelf::{Row, fill, select};
use super::store::{admin, literal, serve};
use super::values::{COLUMNS, Column, Operators};

#[tokio::test(flavor = "multi_thread")]
async fn operators_of_fields() {
    run_alike(async |case| check(case, COLUMNS.iter().flat_map(of_field).collect()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_of_texts() {
    run_alike(async |case| check(case, COLUMNS.iter().flat_map(of_text).collect()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_of_lists() {
    run_alike(async |case| check(case, COLUMNS.iter().flat_map(of_list).collect()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn combinations_and_relations() {
    let rules = || combined::RULES.iter().map(|(filter, selects)| (filter.to_string(), Box::new(selects) as Selects));
    run_alike(async |case| check(case, rules().collect()).await).await;
}

/// A filter as a literal, and which rows it selects.
type Rule = (String, Selects);
type Selects = Box<dyn Fn(&Row, &[Row]) -> bool>;

fn rule(filter: String, selects: impl Fn(&Row) -> bool + 'static) -> Rule {
    (filter, Box::new(move |row, _| selects(row)))
}

/// Asks for each filter. Gives the bytes of the answers.
async fn check(case: &Case, rules: Vec<Rule>) -> Vec<String> {
    let server = serve(case).await;
    let client = admin(&server);
    let rows = fill(&client).await;
    let filters: Vec<String> = rules.iter().map(|(filter, _)| filter.clone()).collect();
    let (found, bytes) = select(&client, &filters).await;
    for ((filter, selects), found) in rules.iter().zip(found) {
        let expected: Vec<usize> = rows.iter().filter(|row| selects(row, &rows)).map(|row| row.row).collect();
        assert_eq!(found, expected, "{filter}");
    }
    bytes
}

/// How a literal of a document says a value of a column; each value in one of its forms.
fn operand(column: &Column, place: usize) -> String {
    let given = column.values[place].given;
    literal(given[place % given.len()], column.is_enum()).expect("what has operators has literals")
}

fn operands(column: &Column, places: &[usize]) -> String {
    let items: Vec<String> = places.iter().map(|place| operand(column, *place)).collect();
    format!("[{}]", items.join(", "))
}

/// `isNull`, comparisons, `in` and `notIn`.
fn of_field(column: &'static Column) -> Vec<Rule> {
    let test = |operator: &str, operand: &str| format!("{{{}: {{{operator}: {operand}}}}}", column.name);
    let mut rules = vec![
        rule(test("isNull", "true"), |row| row.place(column).is_none()),
        rule(test("isNull", "false"), |row| row.place(column).is_some()),
        rule(format!("{{{}: {{isNull: true}}}}", column.always()), |_| false),
    ];
    type Compare = fn(&usize, &usize) -> bool;
    let comparisons: [(&str, Operators, Compare); 6] = [
        ("eq", Operators::Equal, usize::eq),
        ("neq", Operators::Equal, usize::ne),
        ("lt", Operators::Order, usize::lt),
        ("lte", Operators::Order, usize::le),
        ("gt", Operators::Order, usize::gt),
        ("gte", Operators::Order, usize::ge),
    ];
    for (operator, since, holds) in comparisons {
        if column.operators < since {
            continue;
        }
        for place in 0..column.values.len() {
            let selects = move |row: &Row| row.place(column).is_some_and(|value| holds(&value, &place));
            rules.push(rule(test(operator, &operand(column, place)), selects));
        }
    }
    if column.operators >= Operators::In {
        let count = column.values.len();
        let mut lists: Vec<Vec<usize>> = (0..count).map(|i| vec![i, (i + 2) % count, i]).collect();
        lists.extend([vec![], (0..count).collect()]);
        for list in lists {
            let (includes, excludes) = (list.clone(), list.clone());
            rules.push(rule(test("in", &operands(column, &list)), move |row| {
                row.place(column).is_some_and(|value| includes.contains(&value))
            }));
            rules.push(rule(test("notIn", &operands(column, &list)), move |row| {
                row.place(column).is_some_and(|value| !excludes.contains(&value))
            }));
        }
        // A single value stands for a list of one.
        rules.push(rule(test("in", &operand(column, 1)), |row| row.place(column) == Some(1)));
    }
    rules
}

/// Parts of texts. Wildcards of SQL and of regular expressions mean themselves, characters are whole, and only ASCII
/// letters have a case.
fn of_text(column: &'static Column) -> Vec<Rule> {
    if column.operators < Operators::Text {
        return Vec::new();
    }
    let mut parts: Vec<String> =
        column.values.iter().map(|value| serde_json::from_str(value.read).expect("it is a text")).collect();
    let more =
        ["b", "B", "_b%C", ".", "^", "[", "\u{301}", "É", "ss", "SS", "i", "ſ", "k", "语", "本", "null ", "\n", "A "];
    parts.extend(more.map(str::to_owned));
    type Holds = fn(&str, &str) -> bool;
    let operators: [(&str, Holds); 5] = [
        ("contains", |text, part| text.contains(part)),
        ("startsWith", |text, part| text.starts_with(part)),
        ("endsWith", |text, part| text.ends_with(part)),
        ("containsIgnoreCase", |text, part| text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())),
        ("eqIgnoreCase", |text, part| text.eq_ignore_ascii_case(part)),
    ];
    let mut rules = Vec::new();
    for (operator, holds) in operators {
        for part in parts.clone() {
            let filter = format!("{{{}: {{{operator}: {}}}}}", column.name, serde_json::json!(part));
            rules.push(rule(filter, move |row| row.text(column).is_some_and(|text| holds(&text, &part))));
        }
    }
    rules
}

/// `has`, `hasSome`, `hasEvery`, `isEmpty`.
fn of_list(column: &'static Column) -> Vec<Rule> {
    let test = |operator: &str, operand: &str| format!("{{{}: {{{operator}: {operand}}}}}", column.list());
    let items = |row: &Row| row.items(column);
    let mut rules = vec![
        rule(test("isNull", "true"), move |row| items(row).is_none()),
        rule(test("isNull", "false"), move |row| items(row).is_some()),
        rule(test("isEmpty", "true"), move |row| items(row).is_some_and(|items| items.is_empty())),
        rule(test("isEmpty", "false"), move |row| items(row).is_some_and(|items| !items.is_empty())),
    ];
    if column.operators == Operators::None {
        return rules;
    }
    rules.push(rule(test("hasSome", "[]"), |_| false));
    rules.push(rule(test("hasEvery", "[]"), move |row| items(row).is_some()));
    let count = column.values.len();
    for place in 0..count {
        let has = move |row: &Row, place: usize| items(row).is_some_and(|items| items.contains(&place));
        rules.push(rule(test("has", &operand(column, place)), move |row| has(row, place)));
        for step in [1, 3] {
            let other = (place + step) % count;
            let both = operands(column, &[place, other]);
            rules.push(rule(test("hasSome", &both), move |row| has(row, place) || has(row, other)));
            rules.push(rule(test("hasEvery", &both), move |row| has(row, place) && has(row, other)));
        }
    }
    rules
}
