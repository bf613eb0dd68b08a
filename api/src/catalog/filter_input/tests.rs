use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::filter::{RuleValue, Test};
use super::super::{Catalog, Datum, Filter, Image, ResourceId, Row, parse, type_id};

const FILE: &str = r#"
enum Mood { GOOD BAD }
type Team @resource { name: String! members: [Person!]! @inverse(field: "team") }
type Person @resource {
  name: String!
  nick: String
  code: ID
  age: Int
  height: Float
  active: Boolean
  big: BigInt
  money: Decimal @decimal(precision: 6, scale: 2)
  seen: DateTime
  born: Date
  device: UUID
  extra: JSON
  mood: Mood
  tags: [String!]!
  scores: [BigInt!]
  secret: String @private
  team: Team @relation(onDelete: SET_NULL)
  boss: Person @relation(onDelete: SET_NULL) @private
}
"#;

const TEAM: Uuid = Uuid::from_u128(7);
const OTHER: Uuid = Uuid::from_u128(8);

fn catalog() -> Catalog {
    parse("resources.graphql", FILE).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn person(catalog: &Catalog) -> ResourceId {
    catalog.find("Person").unwrap()
}

/// A row with these client values; the rest is null.
fn row(catalog: &Catalog, id: ResourceId, values: &Value) -> Row {
    let resource = catalog.resource(id);
    let value = |field: &super::Field| {
        let value = values.get(&field.name).unwrap_or(&Value::Null);
        Datum::parse(catalog, id, &field.ty, value).unwrap_or(Datum::Null)
    };
    Row(resource.fields.iter().map(value).collect())
}

/// Ann: good, 30, in the team Red.
fn ann(catalog: &Catalog) -> Image {
    let team_id = catalog.find("Team").unwrap();
    let red = row(catalog, team_id, &json!({ "name": "Red" }));
    let person_id = person(catalog);
    let values = json!({
        "name": "Ann Müller", "code": "A_1%", "age": 30, "height": 1.75, "active": true, "big": "9007199254740993",
        "money": "12.50", "seen": "2026-01-31T13:00:00+01:00", "born": "1996-02-29", "mood": "GOOD",
        "device": "00000000-0000-0000-0000-00000000000a", "extra": { "a": 1 }, "tags": ["x", "y"], "secret": "s",
        "team": type_id::format("team", TEAM),
    });
    let team = catalog.resource(person_id).find("team").unwrap();
    Image {
        row: Arc::new(row(catalog, person_id, &values)),
        related: vec![(team, Some(Arc::new(Image::alone(Arc::new(red)))))],
        lists: Vec::new(),
    }
}

#[test]
fn filters_match_what_they_say() {
    let catalog = catalog();
    let ann = ann(&catalog);
    let (team, other) = (type_id::format("team", TEAM), type_id::format("team", OTHER));
    let yes = [
        json!(null),
        json!({}),
        json!({ "name": {} }),
        json!({ "name": { "eq": "Ann Müller" } }),
        json!({ "name": { "contains": "Mü", "startsWith": "Ann", "endsWith": "ller" } }),
        json!({ "name": { "containsIgnoreCase": "ANN" } }),
        json!({ "name": { "gt": "Ann", "lte": "Ann Müller" } }),
        json!({ "name": { "in": ["Bob", "Ann Müller"] } }),
        json!({ "name": { "in": "Ann Müller" } }),
        json!({ "name": { "notIn": [] } }),
        json!({ "nick": { "isNull": true } }),
        json!({ "not": { "nick": { "eq": "x" } } }),
        json!({ "code": { "eq": "A_1%" } }),
        json!({ "age": { "gte": 30, "lt": 31, "neq": 29 } }),
        json!({ "height": { "gt": 1.5 } }),
        json!({ "active": { "eq": true } }),
        json!({ "big": { "eq": "9007199254740993" } }),
        json!({ "big": { "neq": "9007199254740992" } }),
        json!({ "money": { "eq": "12.5" } }),
        json!({ "money": { "lt": 13 } }),
        json!({ "seen": { "eq": "2026-01-31T12:00:00Z" } }),
        json!({ "born": { "lt": "1996-03-01" } }),
        json!({ "device": { "eq": "00000000-0000-0000-0000-00000000000A" } }),
        json!({ "extra": { "isNull": false } }),
        json!({ "mood": { "in": ["GOOD", "BAD"], "neq": "BAD" } }),
        json!({ "tags": { "has": "x", "hasSome": ["z", "y"], "hasEvery": ["y", "x"], "isEmpty": false } }),
        json!({ "scores": { "isNull": true } }),
        json!({ "teamId": { "eq": team, "isNull": false } }),
        json!({ "teamId": { "in": [other, team] } }),
        json!({ "team": { "name": { "eq": "Red" } } }),
        json!({ "team": {} }),
        json!({ "and": [] }),
        json!({ "and": [{ "age": { "eq": 30 } }, { "active": { "eq": true } }] }),
        json!({ "and": { "age": { "eq": 30 } } }),
        json!({ "or": [{ "age": { "eq": 31 } }, { "active": { "eq": true } }] }),
        json!({ "not": { "or": [] } }),
    ];
    let no = [
        json!({ "or": [] }),
        json!({ "not": {} }),
        json!({ "name": { "eq": "Ann" } }),
        json!({ "name": { "in": [] } }),
        json!({ "name": { "eqIgnoreCase": "ANN MÜLLER" } }),
        json!({ "name": { "contains": "_" } }),
        json!({ "name": { "contains": "%" } }),
        json!({ "nick": { "neq": "x" } }),
        json!({ "nick": { "notIn": ["x"] } }),
        json!({ "nick": { "notIn": [] } }),
        json!({ "age": { "gt": 29, "lt": 30 } }),
        json!({ "age": { "eq": 30 }, "active": { "eq": false } }),
        json!({ "big": { "eq": "9007199254740992" } }),
        json!({ "tags": { "has": "z" } }),
        json!({ "tags": { "hasEvery": ["x", "z"] } }),
        json!({ "tags": { "hasSome": [] } }),
        json!({ "scores": { "hasEvery": [] } }),
        json!({ "teamId": { "neq": team } }),
        json!({ "team": { "name": { "eq": "Blue" } } }),
        json!({ "and": [{ "age": { "eq": 30 } }, { "or": [] }] }),
    ];
    for (filters, expected) in [(&yes[..], true), (&no[..], false)] {
        for value in filters {
            let filter = Filter::parse(&catalog, person(&catalog), value).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(filter.matches(&ann), expected, "{value}");
        }
    }
}

#[test]
fn what_is_no_filter_is_said_with_its_place() {
    let catalog = catalog();
    for (value, expected) in [
        (json!(1), ": expected a filter"),
        (json!([]), ": expected a filter"),
        (json!({ "nmae": {} }), "nmae: `Person` has no field `nmae`; did you mean `name`?"),
        (json!({ "name": null }), "name: null is no filter; for rows without a value say `{ isNull: true }`"),
        (json!({ "name": { "eq": null } }), "name.eq: `eq` cannot be compared with null; say `isNull: true`"),
        (
            json!({ "name": { "isNull": null } }),
            "name.isNull: `isNull` cannot be compared with null; say `isNull: true`",
        ),
        (json!({ "name": { "isNull": "yes" } }), "name.isNull: `isNull` is true or false"),
        (json!({ "name": "x" }), "name: expected an object of operators"),
        (
            json!({ "name": { "like": "x" } }),
            "name.like: `name` has no operator `like`; allowed: eq, neq, in, notIn, lt, lte, gt, gte, contains, startsWith, endsWith, containsIgnoreCase, eqIgnoreCase, isNull",
        ),
        (json!({ "name": { "eq": 1 } }), "name.eq: expected a value of type String"),
        (json!({ "name": { "in": ["a", null] } }), "name.in.1: null is no value here"),
        (
            json!({ "age": { "contains": "1" } }),
            "age.contains: `age` has no operator `contains`; allowed: eq, neq, in, notIn, lt, lte, gt, gte, isNull",
        ),
        (json!({ "age": { "in": [1, 2_147_483_648_i64] } }), "age.in.1: an Int has 32 bits"),
        (json!({ "active": { "gt": true } }), "active.gt: `active` has no operator `gt`; allowed: eq, neq, isNull"),
        (json!({ "extra": { "eq": {} } }), "extra.eq: `extra` has no operator `eq`; allowed: isNull"),
        (json!({ "mood": { "eq": "SAD" } }), "mood.eq: SAD is no value of Mood; allowed: GOOD, BAD"),
        (
            json!({ "teamId": { "eq": "person_1" } }),
            "teamId.eq: expected an id that starts with team_ and has 26 more characters",
        ),
        (json!({ "team": null }), "team: null is no filter; for rows without one say `teamId: { isNull: true }`"),
        (
            json!({ "team": { "eq": "x" } }),
            "team.eq: `Team` has no field `eq`; allowed: id, name, members, createdAt, updatedAt, version, and, or, not",
        ),
        (json!({ "and": null }), "and: expected a filter"),
        (json!({ "or": [{ "age": { "eq": 1 } }, 2] }), "or.1: expected a filter"),
        (json!({ "not": { "team": { "name": { "eq": 1 } } } }), "not.team.name.eq: expected a value of type String"),
        // Private fields are not there, not even in a suggestion.
        (
            json!({ "bossId": { "isNull": true } }),
            "bossId: `Person` has no field `bossId`; allowed: id, name, nick, code, age, height, active, big, money, seen, born, device, extra, mood, tags, scores, team, teamId, createdAt, updatedAt, version, and, or, not",
        ),
        // In an API filter this is a string like any other.
        (json!({ "age": { "eq": "$claims.age" } }), "age.eq: expected a value of type Int"),
    ] {
        let error = Filter::parse(&catalog, person(&catalog), &value).expect_err("this is no filter");
        assert_eq!(error.to_string(), expected);
    }
    for value in [json!({ "secret": { "eq": "s" } }), json!({ "boss": {} })] {
        assert!(Filter::parse(&catalog, person(&catalog), &value).is_err(), "{value}");
    }
    let team = catalog.find("Team").unwrap();
    for (value, expected) in [
        (json!({ "members": null }), "members: null is no filter; for rows without any say `{ none: {} }`"),
        (json!({ "members": [] }), "members: expected an object of some, every and none"),
        (json!({ "members": { "som": {} } }), "members.som: a list of related rows has no `som`; did you mean `some`?"),
        (json!({ "members": { "some": null } }), "members.some: null is no filter; for all rows say `some: {}`"),
        (
            json!({ "members": { "every": { "ag": {} } } }),
            "members.every.ag: `Person` has no field `ag`; did you mean `age`?",
        ),
    ] {
        let error = Filter::parse(&catalog, team, &value).expect_err("this is no filter");
        assert_eq!(error.to_string(), expected);
    }
}

/// The team Red, with these people.
fn red(catalog: &Catalog, people: &[Value]) -> Image {
    let (team, person) = (catalog.find("Team").unwrap(), person(catalog));
    let members = catalog.resource(team).find("members").unwrap();
    let image = |values| Arc::new(Image::alone(Arc::new(row(catalog, person, values))));
    let lists = vec![(members, people.iter().map(image).collect())];
    Image { lists, ..Image::alone(Arc::new(row(catalog, team, &json!({ "name": "Red" })))) }
}

#[test]
fn lists_of_related_rows_match_what_they_say() {
    let catalog = catalog();
    let team = catalog.find("Team").unwrap();
    let (nobody, old, mixed) =
        (red(&catalog, &[]), red(&catalog, &[json!({ "age": 70 })]), red(&catalog, &[json!({ "age": 70 }), json!({})]));
    let senior = json!({ "age": { "gte": 65 } });
    for (members, expected) in [
        (json!({}), [true, true, true]),
        (json!({ "some": {} }), [false, true, true]),
        (json!({ "every": {} }), [true, true, true]),
        (json!({ "none": {} }), [true, false, false]),
        (json!({ "some": senior }), [false, true, true]),
        (json!({ "every": senior }), [true, true, false]),
        (json!({ "none": senior }), [true, false, false]),
        (json!({ "some": senior, "every": senior }), [false, true, false]),
        (json!({ "some": { "not": senior } }), [false, false, true]),
        (json!({ "none": { "age": { "isNull": true } } }), [true, true, false]),
    ] {
        let value = json!({ "members": members });
        let filter = Filter::parse(&catalog, team, &value).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!([&nobody, &old, &mixed].map(|image| filter.matches(image)), expected, "{value}");
    }
}

#[test]
fn filters_are_bounded() {
    let catalog = catalog();
    let said = |value: &Value| Filter::parse(&catalog, person(&catalog), value).expect_err("too much").message;
    let deep = (0..100).fold(json!({}), |inner, _| json!({ "not": inner }));
    assert_eq!(said(&deep), "nested more than 24 deep");
    let many: Vec<_> = (0..1_001).map(|i| json!({ "age": { "eq": i } })).collect();
    assert_eq!(said(&json!({ "or": many })), "a filter has at most 1000 tests");
    let long: Vec<_> = (0..10_001).collect();
    assert_eq!(said(&json!({ "age": { "in": long } })), "a filter has at most 10000 values");
    let lists: Vec<_> = (0..21).map(|_| json!({ "team": { "members": { "none": {} } } })).collect();
    assert_eq!(said(&json!({ "and": lists })), "a filter has at most 20 of some, every and none");
}

fn rule(catalog: &Catalog, value: &Value) -> Filter<RuleValue> {
    Filter::parse_rule(catalog, person(catalog), value).unwrap_or_else(|errors| panic!("{errors:?}"))
}

#[test]
fn rules_may_name_claims_and_private_fields() {
    let catalog = catalog();
    for (value, uses_claims) in [
        (json!({ "secret": { "eq": "s" } }), false),
        (json!({ "boss": { "bossId": { "isNull": true } } }), false),
        (json!({ "secret": { "eq": "$claims.s" } }), true),
        (json!({ "not": { "or": [{ "age": { "gt": 1 } }, { "team": { "name": { "in": "$claims.teams" } } }] } }), true),
        (json!({ "tags": { "hasSome": ["a", "$claims.b"] } }), true),
        (json!({ "team": { "members": { "some": { "secret": { "eq": "s" } } } } }), false),
        (json!({ "team": { "members": { "none": { "secret": { "eq": "$claims.s" } } } } }), true),
        // A dollar before no letter is text.
        (json!({ "nick": { "contains": "$5" } }), false),
    ] {
        assert_eq!(rule(&catalog, &value).uses_claims(), uses_claims, "{value}");
    }
    let said = |value: Value| {
        let errors = Filter::parse_rule(&catalog, person(&catalog), &value).expect_err("this is no rule");
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        said(json!({ "secret": { "eq": "$claims." }, "age": { "in": "$claim.x" }, "nick": { "eq": 1 } })),
        [
            "secret.eq: `$claims.` is no claim; write `$claims.sub` or the like",
            "age.in: `$claim.x` is no claim; write `$claims.sub` or the like",
            "nick.eq: expected a value of type String",
        ]
    );
    assert_eq!(
        said(json!({ "team": { "members": { "ever": {}, "some": { "secret": { "eq": 1 } } } } })),
        [
            "team.members.ever: a list of related rows has no `ever`; did you mean `every`?",
            "team.members.some.secret.eq: expected a value of type String"
        ]
    );
}

#[test]
fn claims_are_put_in() {
    let catalog = catalog();
    let claims = json!({
        "name": "Ann Müller", "number": 42, "age": 30, "teams": ["Blue", "Red"], "team": "Red", "empty": [],
        "mixed": ["Red", { "a": 1 }], "nested": { "age": 30 }, "flag": true, "big": "9007199254740993", "void": null,
        "list": ["x"], "id": type_id::format("team", TEAM), "mood": "GOOD",
    });
    let look_up = |path: &str| claims.pointer(&format!("/{}", path.replace('.', "/"))).cloned();
    let ann = ann(&catalog);
    let bind = |value: Value| rule(&catalog, &value).bind(&catalog, person(&catalog), &look_up);
    for (value, expected) in [
        (json!({ "name": { "eq": "$claims.name" } }), Some(true)),
        (json!({ "age": { "eq": "$claims.nested.age" } }), Some(true)),
        (json!({ "big": { "eq": "$claims.big" } }), Some(true)),
        (json!({ "active": { "eq": "$claims.flag" } }), Some(true)),
        (json!({ "mood": { "eq": "$claims.mood" } }), Some(true)),
        (json!({ "teamId": { "eq": "$claims.id" } }), Some(true)),
        (json!({ "team": { "name": { "in": "$claims.teams" } } }), Some(true)),
        (json!({ "team": { "name": { "in": "$claims.team" } } }), Some(true)),
        (json!({ "team": { "name": { "in": "$claims.empty" } } }), Some(false)),
        (json!({ "tags": { "hasSome": ["z", "$claims.name"] } }), Some(false)),
        (json!({ "tags": { "hasEvery": "$claims.list" } }), Some(true)),
        // A number in place of a text is its decimal text.
        (json!({ "name": { "neq": "$claims.number" } }), Some(true)),
        // Whatever is missing or of another type admits nobody, wherever it stands.
        (json!({ "name": { "eq": "$claims.absent" } }), None),
        (json!({ "name": { "eq": "$claims.void" } }), None),
        (json!({ "not": { "name": { "eq": "$claims.absent" } } }), None),
        (json!({ "or": [{ "age": { "eq": 30 } }, { "name": { "eq": "$claims.absent" } }] }), None),
        (json!({ "name": { "eq": "$claims.teams" } }), None),
        (json!({ "name": { "eq": "$claims.flag" } }), None),
        (json!({ "tags": { "has": "$claims.empty" } }), None),
        (json!({ "tags": { "has": "$claims.list" } }), None),
        (json!({ "age": { "eq": "$claims.name" } }), None),
        (json!({ "mood": { "eq": "$claims.name" } }), None),
        (json!({ "team": { "name": { "in": "$claims.mixed" } } }), None),
    ] {
        assert_eq!(bind(value.clone()).map(|filter| filter.matches(&ann)), expected, "{value}");
    }
    let number = catalog.resource(person(&catalog)).find("code").unwrap();
    assert_eq!(
        bind(json!({ "code": { "in": ["a", "$claims.number"] } })),
        Some(Filter::Field(number, Test::In(vec![Datum::Text("a".into()), Datum::Text("42".into())])))
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "and",
        "or",
        "not",
        "name",
        "age",
        "team",
        "teamId",
        "boss",
        "tags",
        "extra",
        "members",
        "eq",
        "in",
        "isNull",
        "has",
        "contains",
        "some",
        "$claims.x",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        names.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 4, move |inner| {
        let entries = prop::collection::vec((names.clone(), inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            entries.prop_map(|all| Value::Object(all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any JSON is a filter, which can then be evaluated and bound, or has an error.
    #[test]
    fn reading_is_total(value in any_json()) {
        let catalog = catalog();
        let ann = ann(&catalog);
        if let Ok(filter) = Filter::parse(&catalog, person(&catalog), &value) {
            filter.matches(&ann);
        }
        match Filter::parse_rule(&catalog, person(&catalog), &value) {
            Ok(rule) => {
                let bound = rule.bind(&catalog, person(&catalog), &|_| None);
                prop_assert_eq!(bound.is_some(), !rule.uses_claims());
            }
            Err(errors) => prop_assert!(!errors.is_empty()),
        }
    }
}
