//! What a JSON value may be, so that it comes back from both databases as it went in; and its size.

use serde_json::Value;

/// Arrays and objects inside each other. A row is read inside a document that nests by itself, some 40 deep at most, and
/// serde_json reads no more than 128 levels: a deeper value could be written but never read.
const MAX_DEPTH: usize = 64;

/// Checks a JSON value that a client gave. The error is a sentence for the client.
pub(super) fn check(value: &Value) -> Result<(), String> {
    let mut waiting = vec![(value, 0)];
    while let Some((value, depth)) = waiting.pop() {
        if depth > MAX_DEPTH {
            return Err(format!("JSON is nested at most {MAX_DEPTH} levels deep"));
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => check_text(text)?,
            Value::Array(items) => waiting.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(entries) => {
                for (name, value) in entries {
                    check_text(name)?;
                    waiting.push((value, depth + 1));
                }
            }
        }
    }
    Ok(())
}

/// About how much memory a value takes.
pub(super) fn size_bytes(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size_bytes).sum(),
        // With the table by which names are found.
        Value::Object(entries) => entries.iter().map(|(name, value)| name.len() + 64 + size_bytes(value)).sum(),
    };
    size_of::<Value>() + inside
}

/// PostgreSQL holds no U+0000, neither in texts nor in those inside of JSON.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    match text.contains('\0') {
        true => Err("the character U+0000 is not allowed".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_characters_are_limited() {
        let nested =
            |depth: usize| serde_json::from_str(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).unwrap();
        assert_eq!(check(&nested(MAX_DEPTH + 1)), Ok(()));
        assert!(check(&nested(MAX_DEPTH + 2)).is_err());
        assert!(check(&serde_json::json!({"a": ["b\0"]})).is_err());
        assert!(check(&serde_json::json!([{"a\0": 1}])).is_err());
    }
}
