//! The text of plans, case by case: `plans.txt` has a resource file, rows, the next resource file, and the plan on each
//! database. Whoever changes plans on purpose runs this once with `UPDATE_EXPECTED=1`, and reads the difference.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use super::super::{Allowed, Error, Plan};
use super::{TestDatabase, on_both_databases};
use crate::catalog;

/// One case of the file. Sections begin with a line `--- name`.
#[derive(Debug, Default)]
struct Case {
    title: String,
    sections: Vec<(String, String)>,
}

impl Case {
    fn section(&self, name: &str) -> &str {
        self.sections.iter().find(|(n, _)| n == name).map_or("", |(_, text)| text.trim_end())
    }
}

fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            cases.push(Case { title: title.to_owned(), sections: Vec::new() });
        } else if let (Some(name), Some(case)) = (line.strip_prefix("--- "), cases.last_mut()) {
            case.sections.push((name.to_owned(), String::new()));
        } else if let Some((_, section)) = cases.last_mut().and_then(|case| case.sections.last_mut()) {
            section.push_str(line);
            section.push('\n');
        }
    }
    cases
}

#[tokio::test]
async fn plans_are_as_written() {
    let cases = read(include_str!("plans.txt"));
    assert!(cases.len() > 30, "the file is read");
    let all: Mutex<Vec<Vec<(String, String)>>> = Mutex::new(vec![Vec::new(); cases.len()]);
    for (case, results) in cases.iter().zip(0..) {
        on_both_databases(async |db| {
            let plan = run(db, case).await;
            all.lock().unwrap()[results].push((db.on("sqlite", "postgres").to_owned(), plan));
        })
        .await;
    }
    let all = all.into_inner().unwrap();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        return rewrite(&cases, &all);
    }
    for (case, results) in cases.iter().zip(all) {
        for (database, plan) in results {
            let both = case.section("plan");
            let expected = if both.is_empty() { case.section(&database) } else { both };
            assert_eq!(plan.trim(), expected.trim(), "{} on {database}:\n{plan}", case.title);
        }
    }
}

/// The text of the plan; does what it says, or sees that nothing is done.
async fn run(db: &TestDatabase, case: &Case) -> String {
    let title = &case.title;
    let parse = |name: &str| {
        catalog::parse("resources.graphql", case.section(name)).unwrap_or_else(|e| panic!("{title}, {name}: {e}"))
    };
    let (before, after) = (parse("before"), parse("after"));
    db.prepare(&before).await;
    for line in case.section("rows").lines() {
        db.insert_line(line).await;
    }
    for statement in
        case.section("by hand").lines().chain(case.section(db.on("by hand on sqlite", "by hand on postgres")).lines())
    {
        db.run(statement).await;
    }
    let allowed: Allowed = case.section("allow").parse().unwrap();
    let dump = db.dump().await;
    let planned = super::super::plan(&db.conn, &after, &allowed).await.unwrap();
    assert_eq!(db.dump().await, dump, "{title}: a plan changes nothing");
    match super::super::prepare(&db.conn, &after, &allowed).await {
        Ok(done) => {
            assert_eq!(done, planned, "{title}");
            let again = super::super::prepare(&db.conn, &after, &Allowed::default()).await.unwrap();
            assert_eq!(again.steps, Plan::default().steps, "{title}: a second start changes nothing");
        }
        Err(Error::Refused(refused)) => {
            assert_eq!(refused, planned, "{title}");
            assert!(refused.refused().count() > 0, "{title}");
            assert_eq!(db.dump().await, dump, "{title}: what is refused changes nothing");
        }
        Err(error) => panic!("{title}: {error}\n{planned}"),
    }
    planned.to_string()
}

fn rewrite(cases: &[Case], results: &[Vec<(String, String)>]) {
    let header = include_str!("plans.txt").split("## ").next().unwrap_or_default();
    let mut text = header.to_owned();
    for (case, results) in cases.iter().zip(results) {
        writeln!(text, "## {}", case.title).unwrap();
        let given = case.sections.iter().filter(|(name, _)| !["plan", "sqlite", "postgres"].contains(&name.as_str()));
        for (name, section) in given {
            writeln!(text, "--- {name}\n{}", section.trim_end()).unwrap();
        }
        let (first, second) = (&results[0], &results[1]);
        if first.1 == second.1 {
            writeln!(text, "--- plan\n{}", first.1.trim_end()).unwrap();
        } else {
            for (database, plan) in results {
                writeln!(text, "--- {database}\n{}", plan.trim_end()).unwrap();
            }
        }
        text.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tables/tests/plans.txt");
    std::fs::write(path, text).unwrap();
}
