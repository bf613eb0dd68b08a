//! Public ids: a TypeID is a prefix and a UUIDv7 in base32, `product_01h455vb4pex5vsknk084sn02q`.
//!
//! The same string stands in every channel; the database holds the UUID. Format:
//! <https://github.com/jetify-com/typeid/tree/main/spec> version 0.3.

use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX_LENGTH: usize = 26;

/// Writes `prefix_suffix` at the end of `out`.
pub fn write(prefix: &str, id: Uuid, out: &mut Vec<u8>) {
    out.reserve(prefix.len() + 1 + SUFFIX_LENGTH);
    out.extend_from_slice(prefix.as_bytes());
    out.push(b'_');
    // In halves of thirteen characters: shifting a number of 128 bits takes three times as long.
    let bits = id.as_u128();
    let halves = [(bits >> 65) as u64, bits as u64];
    let mut suffix = [0; SUFFIX_LENGTH];
    for (i, character) in suffix.iter_mut().enumerate() {
        // The lower half has 65 bits, one more than its number.
        let value = match i {
            0..13 => halves[0] >> (5 * (12 - i)),
            13 => (bits >> 60) as u64,
            _ => halves[1] >> (5 * (25 - i)),
        };
        *character = ALPHABET[value as usize & 31];
    }
    out.extend_from_slice(&suffix);
}

/// `prefix_suffix` as a string.
pub fn format(prefix: &str, id: Uuid) -> String {
    let mut out = Vec::new();
    write(prefix, id, &mut out);
    String::from_utf8(out).expect("the prefix is UTF-8 and the alphabet is ASCII")
}

/// The prefix and the UUID of a TypeID; `None` if the text is none.
pub fn parse(text: &str) -> Option<(&str, Uuid)> {
    let (prefix, suffix) = text.rsplit_once('_')?;
    // 26 characters of 5 bits are 130 bits: the first character may use only its lowest 3.
    if prefix.is_empty() || suffix.len() != SUFFIX_LENGTH || suffix.as_bytes()[0] > b'7' {
        return None;
    }
    let mut bits = 0_u128;
    for byte in suffix.bytes() {
        let value = ALPHABET.iter().position(|c| *c == byte)?;
        bits = bits << 5 | value as u128;
    }
    Some((prefix, Uuid::from_u128(bits)))
}

/// The UUID of a TypeID that has exactly this prefix.
pub fn parse_prefixed(prefix: &str, text: &str) -> Option<Uuid> {
    parse(text).filter(|(found, _)| *found == prefix).map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors_of_the_specification() {
        let cases = [
            ("00000000-0000-0000-0000-000000000000", "prefix_00000000000000000000000000"),
            ("00000000-0000-0000-0000-000000000020", "prefix_00000000000000000000000010"),
            ("ffffffff-ffff-ffff-ffff-ffffffffffff", "prefix_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
            ("0110c853-1d09-52d8-d73e-1194e95b5f19", "prefix_0123456789abcdefghjkmnpqrs"),
        ];
        for (uuid, text) in cases {
            let uuid: Uuid = uuid.parse().unwrap();
            assert_eq!(format("prefix", uuid), text);
            assert_eq!(parse(text), Some(("prefix", uuid)));
        }
    }

    #[test]
    fn refuses_what_is_no_type_id() {
        for text in
            ["", "_", "product", "product_", "product_8zzzzzzzzzzzzzzzzzzzzzzzzz", "product_0123456789ABCDEFGHJKMNPQRS"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse_prefixed("order", "order_line_0123456789abcdefghjkmnpqrs"), None);
        assert!(parse_prefixed("order_line", "order_line_0123456789abcdefghjkmnpqrs").is_some());
    }
}
