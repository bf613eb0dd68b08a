//! Random things, from noise to what is nearly right.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::{Map, Value, json};

/// Words that documents of the store are made of, and such that do not belong there.
const WORDS: [&str; 76] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "!",
    "|",
    "=",
    "$",
    "@",
    "&",
    "...",
    "\"",
    "\"\"\"",
    "#",
    ",",
    "\\",
    "query",
    "mutation",
    "subscription",
    "fragment",
    "on",
    "true",
    "false",
    "null",
    "products",
    "product",
    "orders",
    "changes",
    "node",
    "nodes",
    "viewer",
    "productChanged",
    "edges",
    "cursor",
    "pageInfo",
    "id",
    "sku",
    "price",
    "stock",
    "tags",
    "cost",
    "orderLines",
    "customer",
    "aggregate",
    "groupBy",
    "count",
    "sum",
    "filter",
    "first",
    "after",
    "orderBy",
    "search",
    "by",
    "eq",
    "in",
    "and",
    "or",
    "not",
    "some",
    "gte",
    "ASC",
    "CREATED",
    "Product",
    "ProductFilter",
    "ID",
    "String",
    "Int",
    "__typename",
    "__schema",
    "types",
    "-1",
    "99999999999999999999",
    "1e999",
];

/// Documents that are right, to be spoilt, each with its variables.
const DOCUMENTS: [(&str, &str); 9] = [
    ("{ viewer { sub roles } }", "{}"),
    (
        "query($f: ProductFilter, $n: Int, $a: String) { products(first: $n, after: $a, filter: $f, orderBy: [{ price: DESC }, { sku: ASC }]) \
         { totalCount asOf edges { cursor node { id sku name price stock tags cost createdAt version } } pageInfo { hasNextPage endCursor } } }",
        r#"{"n":5,"a":null,"f":{"and":[{"price":{"gte":"1.00"}},{"not":{"sku":{"startsWith":"A"}}},{"tags":{"has":"x"}}]}}"#,
    ),
    (
        "query($id: ID!) { node(id: $id) { __typename id ... on Product { sku orderLines(first: 3) { nodes { quantity } } } } }",
        r#"{"id":"product_01h455vb4pex5vsknk084sn02q"}"#,
    ),
    ("query($s: String) { products(search: $s) { nodes { sku } } }", r#"{"s":"thing \"a b\" -c"}"#),
    (
        "query($a: String) { changes(first: 3, after: $a, kinds: [CREATED, UPDATED], types: [\"Product\"]) { nodes { id kind ... on \
         ProductChange { after { sku } before { sku } } } } }",
        r#"{"a":null}"#,
    ),
    (
        "mutation($input: CreateProductInput!) { createProduct(input: $input) { product { id sku } change { cursor } userErrors { code \
         message path } } }",
        r#"{"input":{"sku":"FUZZ-1","name":"x","price":"1.00","stock":1,"tags":["a"]}}"#,
    ),
    (
        "mutation($input: UpdateProductsInput!) { updateProducts(input: $input) { products { id } userErrors { code path } } }",
        r#"{"input":{"filter":{"stock":{"lt":0}},"patch":{"stock":3},"atMost":10}}"#,
    ),
    (
        "{ products { aggregate { count sum { stock } min { price } } } orders { groupBy(keys: [status]) { groups { count } } } }",
        "{}",
    ),
    (
        "query Q { ...F } fragment F on Query { products(first: 1) { nodes { ...G } } } fragment G on Product { id sku }",
        "{}",
    ),
];

/// A source of them, the same for the same seed.
pub struct Garbage {
    dice: StdRng,
}

impl Garbage {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self { dice: StdRng::seed_from_u64(seed) }
    }

    /// Less than `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.dice.random_range(0..limit)
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Noise.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        let mut bytes = vec![0; length];
        self.dice.fill_bytes(&mut bytes);
        bytes
    }

    /// Characters of all kinds.
    pub fn text(&mut self, most: usize) -> String {
        let length = self.below(most + 1);
        let character = |garbage: &mut Self| match garbage.below(4) {
            0 => char::from(garbage.dice.random_range(0..128_u8)),
            1 => char::from_u32(garbage.dice.random_range(0..0x11_0000)).unwrap_or('\u{feff}'),
            _ => char::from(garbage.dice.random_range(b' '..=b'~')),
        };
        (0..length).map(|_| character(self)).collect()
    }

    /// Letters and digits, and what base64 has besides.
    pub fn base64(&mut self, most: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/.";
        let length = self.below(most + 1);
        (0..length).map(|_| char::from(self.one_of(LETTERS))).collect()
    }

    /// Words in any order.
    pub fn soup(&mut self, most: usize) -> String {
        let length = self.below(most + 1);
        (0..length).map(|_| self.one_of(&WORDS)).collect::<Vec<_>>().join(" ")
    }

    /// A text with a few things changed in it.
    pub fn spoilt(&mut self, text: &str) -> String {
        let mut characters: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(4) {
            let at = self.below(characters.len() + 1);
            let end = (at + self.below(8)).min(characters.len());
            match self.below(5) {
                0 => drop(characters.drain(at..end)),
                1 => {
                    let copy = characters[at..end].to_vec();
                    characters.splice(at..at, copy);
                }
                2 => drop(characters.splice(at..at, self.text(4).chars().collect::<Vec<_>>())),
                3 => drop(characters.splice(at..at, self.one_of(&WORDS).chars().collect::<Vec<_>>())),
                _ => {
                    let other = self.below(characters.len().max(1));
                    if at < characters.len() {
                        characters.swap(at, other);
                    }
                }
            }
        }
        characters.into_iter().collect()
    }

    /// Any JSON.
    pub fn json(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.dice.random::<i64>()),
            3 => json!(self.dice.random_range(-1e6..1e6_f64)),
            4 => json!(self.text(20)),
            5 => json!(self.one_of(&WORDS)),
            6 => (0..self.below(5)).map(|_| self.json(depth - 1)).collect(),
            _ => {
                let field = |garbage: &mut Self| (garbage.one_of(&WORDS).to_owned(), garbage.json(depth - 1));
                Value::Object((0..self.below(5)).map(|_| field(self)).collect::<Map<_, _>>())
            }
        }
    }

    /// A document with variables: right, spoilt or nonsense.
    pub fn request(&mut self) -> (String, Value) {
        let (document, variables) = self.one_of(&DOCUMENTS);
        let right = || serde_json::from_str::<Value>(variables).unwrap_or_default();
        match self.below(8) {
            0 => (self.text(300), self.json(3)),
            1 => (self.soup(120), right()),
            2 => (self.deep(), right()),
            3 => (document.to_owned(), self.json(5)),
            4 => (document.to_owned(), self.spoilt_json(right())),
            5 => (document.to_owned(), right()),
            _ => (self.spoilt(document), right()),
        }
    }

    /// Another value somewhere in it.
    fn spoilt_json(&mut self, value: Value) -> Value {
        match value {
            Value::Object(fields) if !fields.is_empty() && self.below(4) > 0 => {
                let chosen = self.below(fields.len());
                let spoil =
                    |(number, (name, value))| (name, if number == chosen { self.spoilt_json(value) } else { value });
                Value::Object(fields.into_iter().enumerate().map(spoil).collect())
            }
            Value::Array(mut items) if !items.is_empty() && self.below(4) > 0 => {
                let chosen = self.below(items.len());
                let item = items[chosen].take();
                items[chosen] = self.spoilt_json(item);
                Value::Array(items)
            }
            Value::String(text) if self.below(2) == 0 => json!(self.spoilt(&text)),
            _ => self.json(3),
        }
    }

    /// More of one thing than anybody needs.
    fn deep(&mut self) -> String {
        let times = 1 << self.below(13);
        match self.below(5) {
            0 => format!("{}a{}", "{a".repeat(times), "}".repeat(times)),
            1 => format!("{{ {} }}", (0..times).map(|n| format!("a{n}: __typename ")).collect::<String>()),
            2 => format!("{{ products(filter: {}{}) {{ totalCount }} }}", "{not: ".repeat(times), "}".repeat(times)),
            3 => format!(
                "{{ ...A }} {}",
                (0..times.min(300)).map(|_| "fragment A on Query { ...A } ").collect::<String>()
            ),
            _ => format!("{{ viewer {{ sub }} }} #{}", "x".repeat(times * 4)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_again() {
        let many = |seed| {
            let mut garbage = Garbage::new(seed);
            (0..200).map(|_| garbage.request()).collect::<Vec<_>>()
        };
        assert_eq!(many(7), many(7));
        assert_ne!(many(7), many(8));
    }
}
