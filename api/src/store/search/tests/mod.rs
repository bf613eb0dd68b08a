//! Words, documents and queries as tables; both databases against a third, slow way of finding rows; and how they find
//! them.

mod databases;
mod plans;

use super::document::{Document, MAX_PLACES, MAX_WORDS};
use super::query::{Problem, Search};
use super::words::{MAX_WORD_LENGTH, words};
use crate::database::{Column, Database, Dialect, Element, Sql};

#[track_caller]
fn check_words(text: &str, expected: &str) {
    let found: Vec<_> = words(text).collect();
    assert_eq!(found.join(" "), expected, "{text:?}");
}

#[test]
fn words_of_ascii() {
    for (text, expected) in [
        ("", ""),
        (" \t\n", ""),
        ("Red shirt", "red shirt"),
        ("ABC-123", "abc 123"),
        ("abc123", "abc123"),
        ("can't", "can t"),
        ("3.14", "3 14"),
        ("snake_case", "snake case"),
        ("anna@example.com", "anna example com"),
        ("--!?.,;:()[]{}<>/\\|'\"`~^*&%$#@+=", ""),
        ("'; DROP TABLE product; --", "drop table product"),
        ("a\0b", "a b"),
    ] {
        check_words(text, expected);
    }
}

#[test]
fn words_without_case_and_accents() {
    for (text, expected) in [
        ("Crème Brûlée", "creme brulee"),
        ("cre\u{300}me", "creme"),
        ("ÅNGSTRÖM Å", "angstrom a"),
        ("Straße STRASSE STRAẞE", "strasse strasse strasse"),
        ("İstanbul ISTANBUL ıstanbul", "istanbul istanbul istanbul"),
        ("ΟΔΥΣΣΕΎΣ οδυσσεύς", "οδυσσευσ οδυσσευσ"),
        ("Ёлка ёлка", "елка елка"),
        ("ŁÓDŹ Ærø", "łodz ærø"),
        ("ﬁne ＡＢＣ１２３ x² ½", "fine abc123 x2 1 2"),
        ("Ⅷ № ™", "viii no tm"),
        ("שָׁלוֹם", "שלום"),
        ("مُحَمَّد أحمد", "محمد احمد"),
        ("soft\u{AD}hyphen zero\u{200B}width \u{FEFF}bom", "softhyphen zerowidth bom"),
        ("\u{301}\u{301}", ""),
    ] {
        check_words(text, expected);
    }
}

#[test]
fn words_of_scripts_without_spaces() {
    for (text, expected) in [
        ("東京都", "東 京 都"),
        ("東京タワー2024", "東 京 タ ワ ー 2024"),
        ("iPhoneケース", "iphone ケ ー ス"),
        ("がガｶﾞか\u{3099}", "が ガ ガ が"),
        ("ฉันรักคุณ", "ฉั น รั ก คุ ณ"),
        ("한국어 검색", "한국어 검색"),
        ("हिन्दी में", "हिन्दी में"),
        ("𠮷野家", "𠮷 野 家"),
    ] {
        check_words(text, expected);
    }
}

#[test]
fn pictures_are_no_words() {
    for (text, expected) in
        [("🎉", ""), ("party🎉time", "party time"), ("👩\u{200D}👩\u{200D}👧 ❤\u{FE0F}", ""), ("→ € ©", "")]
    {
        check_words(text, expected);
    }
}

#[test]
fn words_are_cut() {
    let long = "x".repeat(MAX_WORD_LENGTH + 10);
    check_words(&format!("{long} y"), &format!("{} y", "x".repeat(MAX_WORD_LENGTH)));
    let hangul = "한".repeat(MAX_WORD_LENGTH + 10);
    check_words(&hangul, &"한".repeat(MAX_WORD_LENGTH));
    let marks = format!("e{}", "\u{94D}".repeat(100_000));
    assert_eq!(words(&marks).next().unwrap().chars().count(), MAX_WORD_LENGTH);
}

/// A word that is one already stays as it is, or else a database that folds it once more would find other rows.
#[test]
fn words_stay_words() {
    for c in '\0'..=char::MAX {
        for word in words(&c.to_string()) {
            let again: Vec<_> = words(&word).collect();
            assert_eq!(again, [word.as_str()], "{c:?} U+{:04X}", u32::from(c));
            let is_plain = |c: char| !c.is_ascii() || c.is_ascii_lowercase() || c.is_ascii_digit();
            assert!(word.chars().all(is_plain), "{c:?}: {word:?}");
        }
    }
}

#[test]
fn documents() {
    let check = |texts: &[&str], sqlite: &str, postgres: &str| {
        let document = Document::new(texts.iter().copied());
        assert_eq!(document.to_postgres(), postgres, "{texts:?}");
        assert_eq!(document.into_sqlite(), sqlite, "{texts:?}");
    };
    check(&[], "", "");
    check(&["", "!"], "", "");
    check(&["ABC-123", "Red shirt, red"], "abc 123 — red shirt red", "'123':2 'abc':1 'red':4,6 'shirt':5");
    check(&["", "red"], "red", "'red':1");
}

#[test]
fn documents_are_cut() {
    let many: String = (0..MAX_WORDS + 5).map(|n| format!("w{n} ")).collect();
    let found = Document::new([many.as_str(), "last"]).into_sqlite();
    assert_eq!(found.split(' ').count(), MAX_WORDS);
    assert!(found.ends_with(&format!(" w{}", MAX_WORDS - 1)), "the first words are kept");
    let large = format!("{} ", "語".repeat(MAX_WORD_LENGTH)).repeat(MAX_WORDS);
    let found = Document::new([large.as_str()]).into_sqlite();
    assert!(found.len() <= 512 * 1024, "{}", found.len());
    let often = "the ".repeat(MAX_PLACES + 1) + "end";
    let document = Document::new([often.as_str()]);
    let places: Vec<_> = (1..=MAX_PLACES).map(|n| n.to_string()).collect();
    assert_eq!(document.to_postgres(), format!("'end':{} 'the':{}", MAX_PLACES + 2, places.join(",")));
    assert!(document.into_sqlite().ends_with("the — end"));
}

#[tokio::test]
async fn postgresql_reads_both_forms_of_a_document_alike() {
    let url = std::env::var("TEST_POSTGRES_URL").expect("`cargo xtask test` starts a PostgreSQL for the tests");
    let database = Database::connect_postgres(&url).await.unwrap();
    let many: String = (0..MAX_WORDS + 5).map(|n| format!("w{n} ")).collect();
    let often = "the ".repeat(MAX_PLACES + 1) + "end";
    for texts in
        [&[][..], &["ABC-123", "Red shirt, red"], &["東京 語", "Äpfel ñandú 🙂", "1.5"], &[&many], &[&often, "the"]]
    {
        let document = Document::new(texts.iter().copied());
        let mut words = Column::new(Element::Words, 2);
        words.null();
        words.write(|out| document.write_postgres(out));
        let mut sql = Sql::text(Dialect::Postgres, "SELECT count(*) FROM unnest(");
        sql.bind_column(words).push(") AS words WHERE words=CAST(").bind(document.to_postgres()).push(" AS tsvector)");
        assert_eq!(database.query(sql).await.unwrap()[0].need_int(0).unwrap(), 1, "{texts:.40?}");
    }
}

#[test]
fn queries() {
    let check = |text: &str, sqlite: &str, postgres: &str| {
        let search = Search::parse(text).unwrap();
        let found = search.map(|search| (search.to_sqlite(), search.to_postgres())).unwrap_or_default();
        assert_eq!(found, (sqlite.to_owned(), postgres.to_owned()), "{text:?}");
    };
    check("", "", "");
    check(" \n", "", "");
    check("🎉 - \"\" *", "", "");
    check("Red", r#""red" *"#, "'red':*");
    check("red shirt", r#""red" * AND "shirt" *"#, "'red':* & 'shirt':*");
    check("ABC-123", r#""abc 123" *"#, "'abc' <-> '123':*");
    check("\"red shirt\" x", r#""red shirt" AND "x" *"#, "'red' <-> 'shirt' & 'x':*");
    check("\"red shi", r#""red shi" *"#, "'red' <-> 'shi':*");
    check("“red shirt”", r#""red shirt""#, "'red' <-> 'shirt'");
    check("24\" monitor", r#""24" * AND "monitor" *"#, "'24':* & 'monitor':*");
    check(
        "NOT a:b* OR (c) NEAR/2 'd' & !e",
        "\"not\" * AND \"a b\" * AND \"or\" * AND \"c\" * AND \"near 2\" * AND \"d\" * AND \"e\" *",
        "'not':* & 'a' <-> 'b':* & 'or':* & 'c':* & 'near' <-> '2':* & 'd':* & 'e':*",
    );
}

#[test]
fn queries_are_bounded() {
    assert!(Search::parse(&"é".repeat(500)).is_ok());
    assert_eq!(Search::parse(&"é".repeat(501)), Err(Problem::TooLong));
    assert!(Search::parse(&"a ".repeat(64)).is_ok());
    assert_eq!(Search::parse(&"a ".repeat(65)), Err(Problem::TooManyWords));
    assert_eq!(Search::parse(&"語".repeat(65)), Err(Problem::TooManyWords));
}
