//! Documents against a small schema that has one of everything.

mod arguments;
mod collect;
mod introspection;
mod prepare;
mod variables;

use serde_json::{Map, Value};

use super::*;
use crate::schema::OperationKind;

const SDL: &str = r#"
directive @oneOf on INPUT_OBJECT
scalar JSON
scalar BigInt
enum Color { RED GREEN }
input By @oneOf { id: ID  name: String  nested: Nested }
input Nested { required: Int!  withDefault: Int! = 7  list: [Int!]  color: Color = RED  text: String  child: Nested }
interface Node { id: ID! }
interface Named { name: String! }
type Cat implements Node & Named { id: ID!  name: String!  lives: Int!  friend: Node  list(of: [Int]): Int }
type Dog implements Node { id: ID!  barks: Boolean!  friend: Node  list(of: [Int]): Int }
union Pet = Cat | Dog
interface Old {
  fresh(limits: Nested = {required: 1, list: [1, 2]}): Int
  stale: Int @deprecated
  rotten: Int @deprecated(reason: "Smells.")
}
type Query {
  echo(int: Int, float: Float, string: String, boolean: Boolean, id: ID, color: Color, json: JSON, big: BigInt,
    ints: [Int], strict: [Int!], matrix: [[Int]], nested: Nested, nesteds: [Nested!], by: By, bys: [By!]): Boolean
  required(int: Int!, by: By): Boolean
  always(json: JSON!, jsons: [JSON!]): Boolean
  defaults(int: Int! = 5, color: Color = GREEN, nested: Nested = { required: 1 }, strict: [Int!] = 3): Boolean
  root: Query
  node: Node
  pet: Pet
  cat: Cat
}
type Mutation { write: Boolean }
type Subscription { follow: Cat  other: Cat }
"#;

fn documents() -> Documents {
    Documents::new(SDL.to_owned()).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("no object: {other}"),
    }
}

/// The errors that preparing the document leads to: codes, places and messages, a line for each.
fn refusal(query: &str) -> String {
    lines(&documents().prepare(query).expect_err("the document was accepted"))
}

fn lines(errors: &[GraphqlError]) -> String {
    let line = |error: &GraphqlError| {
        let places: Vec<_> = error.locations.iter().map(|l| format!("{}:{}", l.line, l.column)).collect();
        format!("{} {} {}", error.code, places.join(","), error.message)
    };
    errors.iter().map(line).collect::<Vec<_>>().join("\n")
}
