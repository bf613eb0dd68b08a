//! One table of texts and what they find, for both databases; and texts that are nobody's business to understand.

use serde_json::{Value, json};
use tandem_tests::client::error_codes;
use tandem_tests::{Caller, Case, on_both};

use super::{add, found, start};

on_both!(texts_and_what_they_find, no_text_is_a_syntax_error, texts_are_bounded);

/// Titles and bodies.
const ARTICLES: &[(&str, &str)] = &[
    ("ABC-123", "A red shirt, in all sizes"),
    ("ABC-124", "A shirt. Red buttons"),
    ("XYZ-123", "Reddish shirts for ABC children"),
    ("Crème brûlée", "Sucré; très bon, 4,50 €"),
    ("STRASSE", "Die Straße nach İzmir"),
    ("東京タワー", "高さ333メートル"),
    ("京都の東", "Not a tower"),
    ("한국어", "검색 엔진"),
    ("O'Brien & Sons (2024)", "e-mail: sales@example.com, C++ and C#"),
    ("Don't panic", "42 🎉"),
];

const FINDS: &[(&str, &str)] = &[
    // Words, in any order, each perhaps the beginning of a longer one.
    ("shirt", "ABC-123, ABC-124, XYZ-123"),
    ("red shirt", "ABC-123, ABC-124, XYZ-123"),
    ("SHIRT Red", "ABC-123, ABC-124, XYZ-123"),
    ("shirts", "XYZ-123"),
    ("redd", "XYZ-123"),
    ("hirt", ""),
    ("shirt nothing", ""),
    // Words of several fields.
    ("abc red", "ABC-123, ABC-124, XYZ-123"),
    ("124 button", "ABC-124"),
    // Parts of one word stand together; words of two fields do not.
    ("abc", "ABC-123, ABC-124, XYZ-123"),
    ("123", "ABC-123, XYZ-123"),
    ("abc-123", "ABC-123"),
    ("abc-12", "ABC-123, ABC-124"),
    ("ABC 123", "ABC-123, XYZ-123"),
    ("abc/123", "ABC-123"),
    ("123-a", ""),
    ("123-red", ""),
    ("sales@example.com", "O'Brien & Sons (2024)"),
    ("sales@example", "O'Brien & Sons (2024)"),
    ("sales.com", ""),
    ("4,50", "Crème brûlée"),
    // Phrases of whole words.
    ("\"red shirt\"", "ABC-123"),
    ("\"shirt red\"", "ABC-124"),
    ("\"red shir\"", ""),
    ("\"red shir", "ABC-123"),
    ("\"red\" abc-124", "ABC-124"),
    ("“red shirt” sizes", "ABC-123"),
    ("\"abc 123\"", "ABC-123"),
    // Without case, accents and other spellings.
    ("creme BRULEE", "Crème brûlée"),
    ("bru\u{302}le\u{301}e tre\u{300}s", "Crème brûlée"),
    ("straße", "STRASSE"),
    ("strasse izmir", "STRASSE"),
    ("ＡＢＣ－１２４", "ABC-124"),
    ("o'brien", "O'Brien & Sons (2024)"),
    ("o’brien", "O'Brien & Sons (2024)"),
    ("dont", ""),
    ("don't", "Don't panic"),
    // `C++` is the word `c`, with which others begin.
    ("c++", "XYZ-123, Crème brûlée, O'Brien & Sons (2024)"),
    // Scripts without spaces: any part.
    ("東京", "東京タワー"),
    ("京", "東京タワー, 京都の東"),
    ("東 京", "東京タワー, 京都の東"),
    ("タワー", "東京タワー"),
    ("333メートル", "東京タワー"),
    ("한국", "한국어"),
    ("엔진 검색", "한국어"),
    // What is no word is as good as left out.
    ("🎉", "*"),
    ("", "*"),
    ("  \t ", "*"),
    ("--- ? \"\" !", "*"),
    ("42 🎉", "Don't panic"),
];

async fn texts_and_what_they_find(case: &Case) {
    let server = start(case).await;
    let admin = server.client(&Caller::admin());
    for (title, body) in ARTICLES {
        add(&admin, json!({"title": title, "body": body})).await;
    }
    let all = ARTICLES.iter().map(|(title, _)| *title).collect::<Vec<_>>().join(", ");
    for (search, expected) in FINDS {
        let expected = if *expected == "*" { &all } else { *expected };
        assert_eq!(found(&admin, search).await, expected, "{search:?}");
    }
    let query = "{ none: articles { totalCount } null: articles(search: null) { totalCount } }";
    let data = admin.data(query, json!({})).await;
    assert_eq!(data["none"], data["null"]);
    let query = "query($search: String = \"red\") { articles(search: $search) { totalCount } }";
    assert_eq!(admin.data(query, json!({})).await["articles"]["totalCount"], json!(3));
}

const HOSTILE: &[&str] = &[
    "'",
    "''",
    "\"",
    "\"\"\"",
    "\\",
    "\\\\'",
    "`",
    "$1",
    "?",
    "?1",
    ":x",
    "@x",
    "%",
    "_",
    "*",
    "**",
    "red*",
    "red **",
    "^red",
    "-red",
    "+red",
    "!red",
    "!!red",
    "red:*",
    "red:*A",
    "red:ABCD",
    "<->",
    "red <-> shirt",
    "red <2> shirt",
    "&",
    "|",
    "red &",
    "| red",
    "red & | shirt",
    "(",
    ")",
    "(red",
    "red)",
    "()",
    "((((((((((red",
    "AND",
    "OR",
    "NOT",
    "red AND",
    "NOT red",
    "red OR",
    "OR red",
    "NEAR",
    "NEAR(red shirt)",
    "NEAR(red shirt, 1",
    "red NEAR/2 shirt",
    "words:red",
    "words : red",
    "{words} : red",
    "- {words} : red",
    "rowid:1",
    "tandem_article__search",
    "rank",
    "red + shirt",
    "\"red\" + \"shirt\"",
    "\"red\"*",
    "\"red\" ^",
    "'; DROP TABLE article; --",
    "\"; DROP TABLE article; --",
    "1' OR '1'='1",
    "red/*",
    "--red",
    "/* red */",
    "\u{1}",
    "\u{7F}",
    "\u{AD}",
    "\u{200D}",
    "\u{301}",
    "\u{FEFF}red",
    "\u{FFFD}",
    "\u{FFFF}",
    "\u{10FFFF}",
    "\u{202E}red",
    "red\u{A0}shirt",
    "—",
    "red — shirt",
    "NULL",
    "null",
    "true",
    "E'red'",
    "U&'red'",
    "{\"a\": 1}",
    "<script>",
    "${red}",
];

async fn no_text_is_a_syntax_error(case: &Case) {
    let server = start(case).await;
    let admin = server.client(&Caller::admin());
    add(&admin, json!({"title": "A red shirt"})).await;
    for hostile in HOSTILE {
        found(&admin, hostile).await;
        // A row that holds the text is found by it.
        add(&admin, json!({"title": format!("before {hostile} after"), "body": hostile})).await;
        let titles = found(&admin, hostile).await;
        assert!(titles.contains(&format!("before {hostile} after")), "{hostile:?} found {titles:?}");
    }
    let count = admin.data("{ articles { totalCount } }", json!({})).await;
    assert_eq!(count["articles"]["totalCount"], json!(HOSTILE.len() + 1));
}

async fn texts_are_bounded(case: &Case) {
    let server = start(case).await;
    let admin = server.client(&Caller::admin());
    let query = "query($search: String) { articles(search: $search) { totalCount } }";
    for fits in ["é".repeat(500), "a ".repeat(64), "-".repeat(500), "\"".repeat(500)] {
        admin.data(query, json!({"search": fits})).await;
    }
    for (too_long, word) in
        [("é".repeat(501), "500 characters"), ("a ".repeat(65), "64 words"), ("語".repeat(65), "64 words")]
    {
        let response = admin.response(query, json!({"search": too_long})).await;
        assert_eq!(error_codes(&response), ["BAD_USER_INPUT"], "{response}");
        let message = response["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains("search") && message.contains(word), "{message}");
    }
    for query in [
        "{ authors(search: \"x\") { totalCount } }",
        "{ articles(search: 1) { totalCount } }",
        "{ articles(search: [\"x\"]) { totalCount } }",
        "subscription { articleChanged(search: \"x\") { id } }",
    ] {
        let response = admin.response(query, json!({})).await;
        assert_eq!(error_codes(&response), ["GRAPHQL_VALIDATION_FAILED"], "{query}");
        assert!(response.get("data").is_none_or(Value::is_null), "{query}");
    }
}
