//! The parameters in the URL of a GET: `application/x-www-form-urlencoded`, read strictly.
//!
//! Whatever cannot be read is an error. The usual decoders put replacement characters for broken UTF-8, so that the
//! server would run another document than the client sent.

/// The value of each of these names, if it is there. Other parameters are ignored.
///
/// # Errors
/// What is wrong with the URL: a name that comes twice, or a value that is broken.
pub(in crate::http) fn parameters<const N: usize>(
    query: &str,
    names: [&str; N],
) -> Result<[Option<String>; N], String> {
    let mut values = [const { None }; N];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(name) = decode(name) else { continue };
        let Some(place) = names.iter().position(|known| *known == name) else { continue };
        let value = decode(value).ok_or_else(|| format!("the parameter \"{name}\" is not URL-encoded UTF-8"))?;
        if values[place].replace(value).is_some() {
            return Err(format!("the parameter \"{name}\" is given twice"));
        }
    }
    Ok(values)
}

/// `None` if an escape is broken or the bytes are no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strictly() {
        let cases = [
            ("", Ok([None, None])),
            ("a", Ok([Some(""), None])),
            ("a=1&b=x%20y+z&c=%FF&%FF=1", Ok([Some("1"), Some("x y z")])),
            ("%61=%F0%9F%A7%AD%2B", Ok([Some("🧭+"), None])),
            ("a=1&a=2", Err("given twice")),
            ("a=%", Err("UTF-8")),
            ("a=%4", Err("UTF-8")),
            ("a=%zz", Err("UTF-8")),
            ("a=%FF", Err("UTF-8")),
            ("b=%ED%A0%80", Err("UTF-8")),
        ];
        for (query, expected) in cases {
            match (parameters(query, ["a", "b"]), expected) {
                (Ok(values), Ok(expected)) => assert_eq!(values.each_ref().map(Option::as_deref), expected, "{query}"),
                (Err(message), Err(part)) => assert!(message.contains(part), "{query}: {message}"),
                (values, _) => panic!("{query}: {values:?}"),
            }
        }
    }
}
