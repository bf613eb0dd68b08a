//! Groups of a whole engine, on both databases.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::*;
use crate::auth::{Principal, rules};
use crate::catalog::Operation;
use crate::schema::follower::{follow, payload};
use crate::schema::request::Item;
use crate::testing::{STORE, TestApp, admin, on_both, person, request};

const DEADLINE: Duration = Duration::from_secs(30);

fn member(app: &TestApp, principal: &Principal, query: &str, variables: Value, position: Position) -> Subscriber {
    let engine = &app.parts.engine;
    let member = engine.groups().join(follower(app, principal, query, variables), position);
    Subscriber { member, taken: VecDeque::new() }
}

fn follower(app: &TestApp, principal: &Principal, query: &str, variables: Value) -> Follower {
    let variables = variables.as_object().cloned().unwrap_or_default();
    let planned = follow(app.parts.engine.core(), &request(query, variables), principal, false);
    planned.unwrap_or_else(|errors| panic!("{query}: {errors:?}")).0
}

async fn write(app: &TestApp, sku: &str) -> Position {
    let create =
        "mutation($i: CreateProductInput!) { createProduct(input: $i) { change { position } userErrors { message } } }";
    let made = app.run(&admin(), create, json!({"i": {"sku": sku, "name": sku, "price": "1"}})).await;
    let position = made["data"]["createProduct"]["change"]["position"].as_str().unwrap_or_else(|| panic!("{made}"));
    Position::new(position.parse().unwrap()).unwrap()
}

/// A member, whose responses come one by one.
struct Subscriber {
    member: Member,
    taken: VecDeque<String>,
}

impl Subscriber {
    fn group(&self) -> &Arc<Group> {
        self.member.group()
    }

    async fn next_body(&mut self) -> String {
        if self.taken.is_empty() {
            let item = tokio::time::timeout(DEADLINE, self.member.next()).await.expect("an item comes");
            let Some(Item::Next(payloads)) = item else { panic!("{item:?}") };
            self.taken.extend(payloads.as_slice().iter().map(|payload| payload.body().to_owned()));
        }
        self.taken.pop_front().expect("there is at least one")
    }
}

/// The position of the next item.
async fn next(subscriber: &mut Subscriber) -> i64 {
    let body: Value = serde_json::from_str(&subscriber.next_body().await).unwrap();
    let change = body["data"].as_object().unwrap().values().next().unwrap().clone();
    change["position"].as_str().unwrap_or_else(|| panic!("{body}")).parse().unwrap()
}

const PRODUCTS: &str = "subscription { productChanged { position } }";

#[tokio::test(flavor = "multi_thread")]
async fn members_join_without_a_gap_while_somebody_writes() {
    const WRITES: i64 = 300;
    on_both(STORE, async |app| {
        let is_written = AtomicBool::new(false);
        let writer = async {
            for number in 1..=WRITES {
                write(app, &format!("SKU-{number}")).await;
            }
            is_written.store(true, Ordering::SeqCst);
        };
        // Each starts somewhere before the end, reads a few, and starts again where it is.
        let reader = |seed: i64| {
            let is_written = &is_written;
            async move {
                let (mut at, mut turn) = (0, seed);
                while at < WRITES {
                    let mut member = member(app, &admin(), PRODUCTS, json!({}), Position::new(at).unwrap());
                    for _ in 0..=turn * 7 % 23 {
                        if at == WRITES {
                            break;
                        }
                        assert_eq!(next(&mut member).await, at + 1);
                        at += 1;
                    }
                    turn += 1;
                    if !is_written.load(Ordering::SeqCst) && turn % 5 == 0 {
                        // As if the group could not keep up.
                        let tail = app.parts.hub.tail();
                        member.group().restart(tail);
                    }
                }
            }
        };
        let readers = futures_util::future::join_all((0..8).map(reader));
        futures_util::future::join(writer, readers).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_falls_off_the_ring_catches_up() {
    on_both(STORE, async |app| {
        let start = app.parts.hub.tail();
        let mut slow = member(app, &admin(), PRODUCTS, json!({}), start);
        let mut quick = member(app, &admin(), PRODUCTS, json!({}), start);
        assert!(Arc::ptr_eq(slow.group(), quick.group()));
        write(app, "SKU-1").await;
        assert_eq!((next(&mut slow).await, next(&mut quick).await), (1, 1));
        for number in 2..=6 {
            write(app, &format!("SKU-{number}")).await;
            assert_eq!(next(&mut quick).await, number);
        }
        slow.group().halve();
        assert!(!slow.group().covers(Position::new(1).unwrap()) && slow.group().covers(Position::new(6).unwrap()));
        assert_eq!([next(&mut slow).await, next(&mut slow).await], [2, 3]);
        // It has let the ring reach back, for others too.
        assert!(slow.group().covers(Position::new(1).unwrap()));
        slow.group().restart(Position::new(6).unwrap());
        assert_eq!([next(&mut slow).await, next(&mut slow).await, next(&mut slow).await], [4, 5, 6]);
        write(app, "SKU-7").await;
        assert_eq!((next(&mut slow).await, next(&mut quick).await), (7, 7));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_left_lingers_and_is_dropped() {
    on_both(STORE, async |app| {
        let groups = app.parts.engine.groups();
        let start = app.parts.hub.tail();
        let first = member(app, &admin(), PRODUCTS, json!({}), start);
        let group = Arc::clone(first.group());
        drop(first);
        // Who comes back finds what has come meanwhile.
        write(app, "SKU-1").await;
        let mut second = member(app, &admin(), PRODUCTS, json!({}), start);
        assert!(Arc::ptr_eq(second.group(), &group));
        assert_eq!(next(&mut second).await, 1);
        let much_later = || Instant::now() + Duration::from_secs(3600);
        groups.registry().sweep(much_later());
        assert_eq!(groups.registry().all().count(), 1, "it has a member");
        drop(second);
        groups.registry().sweep(Instant::now());
        assert_eq!(groups.registry().all().count(), 1, "it lingers");
        groups.registry().sweep(much_later());
        assert!(groups.registry().is_empty() && groups.registry().index_is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_means_the_same_is_shared() {
    on_both(STORE, async |app| {
        let start = app.parts.hub.tail();
        let variables = json!({"id": "product_00000000000000000000000001"});
        let group = |principal: &Principal, query: &str, variables: Value| {
            Arc::clone(member(app, principal, query, variables, start).group())
        };
        let plain = "subscription($id: ID!) { productChanged(filter: {id: {eq: $id}}) { cursor after { sku } } }";
        let ann = person("ann", &[]);
        let first = group(&ann, plain, variables.clone());
        let same = [
            "subscription Named($other: ID!) {\n  productChanged(filter: {id: {eq: $other}}) {\n cursor\n\n after { sku } } }",
            "subscription($other: ID!) { productChanged(filter: {id: {eq: $other}}) { ...F } } fragment F on ProductChange { cursor after { sku } }",
        ];
        for query in same {
            let group = group(&ann, query, json!({"other": variables["id"]}));
            assert!(Arc::ptr_eq(&group, &first), "{query}");
        }
        let literal =
            "subscription { productChanged(filter: {id: {eq: \"product_00000000000000000000000001\"}}) { cursor after { sku } } }";
        assert!(Arc::ptr_eq(&group(&ann, literal, json!({})), &first));
        for other in [person("bob", &[]), Arc::new(Principal::anonymous()), admin()] {
            assert!(Arc::ptr_eq(&group(&other, plain, variables.clone()), &first), "all see all products: {other:?}");
        }
        let different = [
            plain.replace("cursor", "id"),
            plain.replace("cursor", "alias: cursor"),
            plain.replace("productChanged", "root: productChanged"),
            plain.replace("sku", "sku name"),
            plain.replace("{id: {eq: $id}}", "{id: {neq: $id}}"),
            plain.replace("filter: {", "kinds: [CREATED], filter: {"),
        ];
        for query in different {
            assert!(!Arc::ptr_eq(&group(&ann, &query, variables.clone()), &first), "{query}");
        }
        // What is told of the origin depends on who asks.
        let origin = "subscription { productChanged { position by } }";
        assert!(!Arc::ptr_eq(&group(&ann, origin, json!({})), &group(&admin(), origin, json!({}))));
    })
    .await;
}

/// Rules of every kind, for rows and for fields, alone and through relations.
const RULES: &str = r#"
enum Level { LOW HIGH }
type Team @resource @auth(rules: [{ allow: OWNER, ownerField: "lead" } { allow: ROLE, roles: ["b"], operations: [READ] }]) {
  lead: String!
  docs: [Doc!]! @inverse(field: "team")
}
type Doc @resource @auth(rules: [
  { allow: OWNER, ownerField: "author" }
  { allow: WHERE, filter: { level: { eq: LOW }, area: { in: "$claims.areas" } }, operations: [READ] }
  { allow: WHERE, filter: { team: { lead: { eq: "$claims.sub" } } }, operations: [READ] }
  { allow: ROLE, roles: ["a"], operations: [READ] }
]) {
  author: String
  level: Level!
  area: String!
  secret: String @auth(rules: [{ allow: ROLE, roles: ["b"] } { allow: OWNER, ownerField: "author" }])
  team: Team @relation(onDelete: SET_NULL)
}"#;

fn principals() -> impl Strategy<Value = Principal> {
    let subs = prop::sample::select(vec![None, Some("ann"), Some("bob"), Some("cay")]);
    let roles = prop::sample::subsequence(vec!["a", "b", "c"], 0..=2);
    let areas = prop::sample::select(vec![json!(null), json!([]), json!(["x"]), json!(["x", "y"]), json!(["y"])]);
    (subs, roles, areas, prop::bool::weighted(0.1)).prop_map(|(sub, roles, areas, is_admin)| {
        let mut claims = Map::from_iter([("areas".to_owned(), areas)]);
        claims.extend(sub.map(|sub| ("sub".to_owned(), json!(sub))));
        let roles = roles.into_iter().map(str::to_owned).collect();
        Principal { sub: sub.map(str::to_owned), roles, claims, is_admin, expires_at: None }
    })
}

/// What somebody is told of each event.
type Told = Vec<Option<String>>;

/// Which documents a principal may read, and all that they may read.
fn rights(app: &TestApp, principal: &Principal) -> (String, String) {
    let catalog = &app.parts.engine.core().catalog;
    let rights = ["Doc", "Team"].map(|name| {
        let resource = catalog.find(name).unwrap();
        let fields = catalog.resource(resource).columns();
        let fields = fields.map(|(id, _)| rules::field_filter(catalog, resource, id, Operation::Read, principal));
        (rules::row_filter(catalog, resource, Operation::Read, principal), fields.collect::<Vec<_>>())
    });
    (format!("{:?}", rights[0].0), format!("{rights:?}"))
}

/// A few events about which callers with different rights are told different things.
async fn write_documents(app: &TestApp) {
    let run = async |query: &str, variables: Value| {
        let response = app.run(&admin(), query, variables).await;
        assert!(response.get("errors").is_none(), "{response}");
        response["data"].as_object().unwrap().values().next().unwrap().clone()
    };
    let team = run("mutation { createTeam(input: {lead: \"cay\"}) { team { id } } }", json!({})).await;
    let mut ids = Vec::new();
    for (author, level, area) in [("ann", "LOW", "x"), ("bob", "HIGH", "y"), ("ann", "LOW", "z")] {
        let input = json!({"author": author, "level": level, "area": area, "secret": "s"});
        let create = "mutation($i: CreateDocInput!) { createDoc(input: $i) { doc { id } userErrors { message } } }";
        ids.push(run(create, json!({"i": input})).await["doc"]["id"].clone());
    }
    let patches = [
        json!({"area": "y"}),
        json!({"teamId": team["team"]["id"]}),
        json!({"level": "HIGH"}),
        json!({"author": "bob"}),
        json!({"secret": "t", "level": "LOW"}),
    ];
    for (number, patch) in patches.iter().enumerate() {
        let update = "mutation($i: UpdateDocInput!) { updateDoc(input: $i) { userErrors { message } } }";
        run(update, json!({"i": {"id": ids[number % ids.len()], "patch": patch}})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn different_rights_never_share() {
    const DOCUMENTS: [&str; 3] = [
        "subscription { docChanged { transition changedFields after { id author level area secret } before { area } } }",
        "subscription { docChanged(filter: {level: {eq: LOW}}) { position after { team { id lead } } } }",
        "subscription { changes(types: [\"Doc\", \"Team\"]) { __typename ... on DocChange { after { secret } } } }",
    ];
    on_both(RULES, async |app| {
        write_documents(app).await;
        let core = app.parts.engine.core();
        let events = core.hub.after(Position::START, 100).await.unwrap();
        let mut runner = TestRunner::deterministic();
        let sample = |_| principals().new_tree(&mut runner).unwrap().current();
        let principals: Vec<Principal> = (0..60).map(sample).collect();
        let mut groups = BTreeSet::new();
        for document in DOCUMENTS {
            let mut members: Vec<(&Principal, (String, String), Subscriber, Told)> = Vec::new();
            for principal in &principals {
                let own = follower(app, principal, document, json!({}));
                let mut told = Vec::new();
                for event in &events {
                    let payload = payload(core, &own, event).await.unwrap();
                    told.push(payload.map(|payload| payload.body().to_owned()));
                }
                let member = member(app, principal, document, json!({}), Position::START);
                members.push((principal, rights(app, principal), member, told));
            }
            for (one, rights, member, told) in &members {
                groups.insert(Arc::as_ptr(member.group()) as usize);
                for (other, others_rights, others, others_told) in &members {
                    let is_shared = Arc::ptr_eq(member.group(), others.group());
                    assert!(!is_shared || told == others_told, "{one:?} and {other:?} share {document}");
                    let is_equal = one.is_admin == other.is_admin && rights.1 == others_rights.1;
                    assert!(!is_equal || is_shared, "{one:?} and {other:?} do not share {document}");
                    assert!(!is_shared || rights.0 == others_rights.0, "{one:?} and {other:?} share {document}");
                }
            }
            // What is told to a member is what its own follower says.
            for (principal, _, mut member, told) in members {
                for expected in told.into_iter().flatten() {
                    assert_eq!(member.next_body().await, expected, "{principal:?}");
                }
            }
        }
        assert!(groups.len() > 20, "there are different rights: {}", groups.len());
    })
    .await;
}
