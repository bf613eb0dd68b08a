//! `search`: which rows it finds, that it follows every write, and that it shows nobody what they may not see.

mod rights;
mod table;
mod writes;

use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::{Case, Client, Server};

/// Articles that some may not see, notes that go with their article, and reports with a field that few may read.
const FILE: &str = r#"
type Author @resource @auth(rules: [{ allow: PUBLIC, operations: [READ] }]) {
  name: String! @unique
  articles: [Article!]! @inverse(field: "author")
}
type Article @resource @search(fields: ["title", "body"]) @auth(rules: [
  { allow: WHERE, filter: { hidden: { eq: false } }, operations: [READ] }
  { allow: ROLE, roles: ["editor"] }
]) {
  title: String!
  body: String
  hidden: Boolean! @default(value: false)
  stars: Int! @default(value: 0)
  code: String @unique
  author: Author @relation(onDelete: CASCADE)
  notes: [Note!]! @inverse(field: "article")
}
type Note @resource(root: false) @search(fields: ["text"]) @auth(inherit: "article") {
  article: Article! @relation(onDelete: CASCADE)
  text: String!
}
type Report @resource @search(fields: ["title", "summary"]) @auth(rules: [{ allow: PUBLIC, operations: [READ] }]) {
  title: String!
  draft: Boolean! @default(value: false)
  summary: String @auth(rules: [
    { allow: ROLE, roles: ["auditor"] }
    { allow: WHERE, filter: { draft: { eq: false } } }
  ])
}
"#;

const CREATE: &str = "mutation($input: CreateArticleInput!) { createArticle(input: $input) {
    article { id notes { nodes { id } } } userErrors { code path } } }";
const UPDATE: &str = "mutation($input: UpdateArticleInput!) { updateArticle(input: $input) {
    article { id } userErrors { code path } } }";
const DELETE: &str = "mutation($input: DeleteArticleInput!) { deleteArticle(input: $input) {
    deletedArticleId userErrors { code path } } }";

async fn start(case: &Case) -> Server {
    let path = case.file("articles.graphql", FILE);
    case.start(case.settings().with("--resources", &path)).await
}

/// Creates an article and returns its id.
async fn add(client: &Client, input: Value) -> String {
    text(&client.done(CREATE, input).await["article"]["id"])
}

/// The titles of the articles that a caller finds, in the order in which they were made, with a comma between.
async fn found(client: &Client, search: &str) -> String {
    let query = "query($search: String) { articles(first: 1000, search: $search) { totalCount nodes { title } } }";
    let list = client.data(query, json!({"search": search})).await["articles"].take();
    let nodes = list["nodes"].as_array().expect("a connection has nodes");
    assert_eq!(list["totalCount"], json!(nodes.len()), "{search:?}");
    nodes.iter().map(|node| text(&node["title"])).collect::<Vec<_>>().join(", ")
}
