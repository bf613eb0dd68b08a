//! Unique keys that hold what the writer makes up itself: ids of new rows, and numbers of counters.

use serde_json::{Value, json};

use crate::testing::{TestApp, admin, on_both};

const ORDERS: &str = r#"
type Order @resource {
  number: BigInt! @unique @default(sequence: true)
  lines: [Line!]! @inverse(field: "order")
}
type Line @resource(root: false) @unique(fields: ["order", "product"]) @auth(inherit: "order") {
  order: Order! @relation(onDelete: CASCADE)
  product: String!
}
"#;

const CREATE: &str = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { order { number lines { totalCount } } \
                      userErrors { code path } } }";

async fn create(app: &TestApp, input: Value) -> Value {
    let mut answer = app.run(&admin(), CREATE, json!({ "input": input })).await;
    answer["data"]["createOrder"].take()
}

fn number(payload: &Value) -> i64 {
    payload["order"]["number"].as_str().unwrap_or_else(|| panic!("{payload}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rows_under_one_new_row_may_not_have_the_same_key() {
    on_both(ORDERS, async |app| {
        let lines = |products: &[&str]| {
            let lines: Vec<_> = products.iter().map(|product| json!({ "product": product })).collect();
            json!({ "lines": { "create": lines } })
        };
        let refused = create(app, lines(&["a", "b", "a"])).await;
        assert_eq!(refused["userErrors"], json!([{ "code": "NOT_UNIQUE", "path": ["lines", "create", "2"] }]));
        for _ in 0..2 {
            let created = create(app, lines(&["a", "b"])).await;
            assert_eq!(created["order"]["lines"]["totalCount"], 2, "{created}");
        }
        let orders = app.run(&admin(), "{ orders { totalCount } }", json!({})).await;
        assert_eq!(orders["data"]["orders"]["totalCount"], 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_somebody_has_given_is_not_handed_out() {
    on_both(ORDERS, async |app| {
        let taken = number(&create(app, json!({})).await) + 2;
        assert_eq!(number(&create(app, json!({ "number": taken.to_string() })).await), taken);
        let mut refusals = 0;
        for _ in 0..3 {
            let created = create(app, json!({})).await;
            match created["userErrors"][0]["code"].as_str() {
                Some(code) => {
                    assert_eq!(code, "NOT_UNIQUE");
                    refusals += 1;
                }
                None => assert_ne!(number(&created), taken),
            }
        }
        assert_eq!(refusals, 1);
    })
    .await;
}
