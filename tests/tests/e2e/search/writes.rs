//! Words follow the rows: in every write, in batches, and when the resource file changes.

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::{Backend, Caller, Case, Client, on_both};

use super::{CREATE, DELETE, FILE, UPDATE, add, found, start};

on_both!(
    words_follow_each_write,
    a_cascade_leaves_no_words,
    words_follow_writes_side_by_side,
    a_refused_write_leaves_no_words,
    words_follow_the_resource_file,
);

async fn words_follow_each_write(case: &Case) {
    let server = start(case).await;
    let admin = server.client(&Caller::admin());
    let id = add(&admin, json!({"title": "First", "body": "old words"})).await;
    add(&admin, json!({"title": "Other"})).await;
    assert_eq!(found(&admin, "old").await, "First");

    admin.done(UPDATE, json!({"id": id, "patch": {"body": "new words"}})).await;
    assert_eq!((found(&admin, "old").await.as_str(), found(&admin, "new words").await.as_str()), ("", "First"));
    admin.done(UPDATE, json!({"id": id, "patch": {"stars": 5}})).await;
    assert_eq!(found(&admin, "first new").await, "First", "other fields leave the words alone");
    admin.done(UPDATE, json!({"id": id, "patch": {"title": "Second"}})).await;
    assert_eq!((found(&admin, "first").await.as_str(), found(&admin, "second new").await.as_str()), ("", "Second"));
    admin.done(UPDATE, json!({"id": id, "patch": {"body": null}})).await;
    assert_eq!((found(&admin, "new").await.as_str(), found(&admin, "second").await.as_str()), ("", "Second"));

    admin.done(DELETE, json!({"id": id})).await;
    assert_eq!(found(&admin, "second").await, "");
    // What is made next may get the number that has become free.
    add(&admin, json!({"title": "Third"})).await;
    assert_eq!((found(&admin, "second").await.as_str(), found(&admin, "third").await.as_str()), ("", "Third"));
    assert_eq!(rows_with_words(case, "article").await, 2);
}

async fn a_cascade_leaves_no_words(case: &Case) {
    let server = start(case).await;
    let admin = server.client(&Caller::admin());
    let author =
        "mutation($input: CreateAuthorInput!) { createAuthor(input: $input) { author { id } userErrors { code } } }";
    let author = text(&admin.done(author, json!({"name": "Ann"})).await["author"]["id"]);
    for number in 0..3 {
        let notes = json!({"create": [{"text": "red note"}, {"text": format!("blue note {number}")}]});
        add(&admin, json!({"title": format!("Article {number}"), "authorId": author, "notes": notes})).await;
    }
    add(&admin, json!({"title": "Article 3", "notes": {"create": [{"text": "red note"}]}})).await;
    let nested =
        "query($search: String) { articles { nodes { notes(search: $search) { totalCount nodes { text } } } } }";
    let counts = async |search: &str| {
        let data = admin.data(nested, json!({"search": search})).await;
        let articles = data["articles"]["nodes"].as_array().cloned().unwrap_or_default();
        articles.iter().map(|article| article["notes"]["totalCount"].clone()).collect::<Value>()
    };
    assert_eq!(counts("note").await, json!([2, 2, 2, 1]));
    assert_eq!(counts("red").await, json!([1, 1, 1, 1]));
    assert_eq!(counts("blue-note-2").await, json!([0, 0, 1, 0]));
    assert_eq!((rows_with_words(case, "article").await, rows_with_words(case, "note").await), (4, 7));

    let delete =
        "mutation($input: DeleteAuthorInput!) { deleteAuthor(input: $input) { deletedAuthorId userErrors { code } } }";
    admin.done(delete, json!({"id": author})).await;
    assert_eq!(found(&admin, "article").await, "Article 3");
    assert_eq!(counts("red").await, json!([1]));
    assert_eq!((rows_with_words(case, "article").await, rows_with_words(case, "note").await), (1, 1));
}

async fn words_follow_writes_side_by_side(case: &Case) {
    const ARTICLES: usize = 200;
    let server = start(case).await;
    let admin = server.client(&Caller::admin());
    let ids = join_all((0..ARTICLES).map(|n| add(&admin, json!({"title": format!("made{n}")})))).await;
    // Of each four one is changed once, one twice, one is removed and one stays.
    let admin = &admin;
    let change = async |n: usize, id: &str| match n % 4 {
        0 => drop(admin.done(UPDATE, json!({"id": id, "patch": {"title": format!("changed{n}")}})).await),
        1 => {
            let twice = ["first", "changed"].map(|word| json!({"id": id, "patch": {"title": format!("{word}{n}")}}));
            let [first, second] = twice;
            admin.done(UPDATE, first).await;
            admin.done(UPDATE, second).await;
        }
        2 => drop(admin.done(DELETE, json!({"id": id})).await),
        _ => {}
    };
    join_all(ids.iter().enumerate().map(|(n, id)| change(n, id))).await;
    for n in 0..ARTICLES {
        let expected = match n % 4 {
            0 | 1 => ["", "", &format!("changed{n}")].map(str::to_owned),
            2 => ["", "", ""].map(str::to_owned),
            _ => [&format!("made{n}"), "", ""].map(str::to_owned),
        };
        for (word, expected) in ["made", "first", "changed"].into_iter().zip(expected) {
            assert_eq!(found(admin, &format!("\"{word}{n}\"")).await, expected, "{word}{n}");
        }
    }
    assert_eq!(rows_with_words(case, "article").await, ARTICLES as i64 * 3 / 4);
}

async fn a_refused_write_leaves_no_words(case: &Case) {
    let server = start(case).await;
    let admin = server.client(&Caller::admin());
    add(&admin, json!({"title": "First", "code": "1"})).await;
    let second = add(&admin, json!({"title": "Second", "code": "2"})).await;
    admin.refused(CREATE, json!({"title": "Third", "code": "1"})).await;
    admin.refused(UPDATE, json!({"id": second, "patch": {"title": "Third", "code": "1"}})).await;
    assert_eq!((found(&admin, "third").await.as_str(), found(&admin, "second").await.as_str()), ("", "Second"));
    assert_eq!(rows_with_words(case, "article").await, 2);
}

async fn words_follow_the_resource_file(case: &Case) {
    let without = FILE.replace(" @search(fields: [\"title\", \"body\"])", "");
    let path = case.file("articles.graphql", &without);
    let settings = case.settings().with("--resources", &path);
    let mut server = case.start(settings.clone()).await;
    let admin = server.client(&Caller::admin());
    for (title, body) in [("One", "red"), ("Two", "blue")] {
        let input = json!({"title": title, "body": body});
        admin.done(CREATE, input).await;
    }
    server.stop().await;

    for (fields, red, one) in
        [("[\"title\", \"body\"]", "One", "One"), ("[\"title\"]", "", "One"), ("[\"body\"]", "One", "")]
    {
        case.file("articles.graphql", &FILE.replace("[\"title\", \"body\"]", fields));
        let mut server = case.start(settings.clone()).await;
        let admin = server.client(&Caller::admin());
        assert_eq!((found(&admin, "red").await.as_str(), found(&admin, "one").await.as_str()), (red, one), "{fields}");
        server.stop().await;
    }
    case.file("articles.graphql", &without);
    let server = case.start(settings).await;
    assert_eq!(titles(&server.client(&Caller::admin())).await, json!([{"title": "One"}, {"title": "Two"}]));
}

async fn titles(client: &Client) -> Value {
    client.data("{ articles { nodes { title } } }", json!({})).await["articles"]["nodes"].take()
}

/// How many rows of a table the index knows; past the server, so that words without a row are seen, too.
async fn rows_with_words(case: &Case, table: &str) -> i64 {
    let database = case.database().await;
    let sql = match case.backend {
        // A row with a number and without words, or the other way round, is counted on one side alone.
        Backend::Sqlite => format!(
            "SELECT count(*) AS n FROM tandem_{table}__search_row AS r
             FULL JOIN tandem_{table}__search_docsize AS d ON d.id = r.number"
        ),
        Backend::Postgres => format!("SELECT count(*) AS n FROM {table} WHERE tandem__search IS NOT NULL"),
    };
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let row = database.query_one_raw(statement).await.expect("the statement is valid").expect("a count has a row");
    row.try_get("", "n").expect("a number")
}
