//! Many values that SQLite hands over as one, for what is nested and does not fit into the columns of a row.
//!
//! - `tandem_parts(a, b, …)`: its arguments
//! - `tandem_rows(a, b, …)`: those of many rows, one after the other; of no rows null
//!
//! Whoever made the statement knows how many values there are and of what types, so nothing here says so: each value is a
//! byte for its kind and then what it is, numbers in eight bytes, texts and blobs behind their length in four. What is
//! packed is a blob and may be packed again. Nothing is written as text and read again, so floats are what they were.

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Packed<'b> {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(&'b str),
    /// A blob, or packed values.
    Bytes(&'b [u8]),
}

const NULL: u8 = 0;
const INT: u8 = 1;
const FLOAT: u8 = 2;
const TEXT: u8 = 3;
const BYTES: u8 = 4;

/// Takes the first value off packed ones; `None` if there is none, or these are not packed values.
pub fn unpack<'b>(packed: &mut &'b [u8]) -> Option<Packed<'b>> {
    let (kind, rest) = packed.split_first()?;
    if *kind == NULL {
        *packed = rest;
        return Some(Packed::Null);
    }
    let (value, rest) = match *kind {
        INT => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (Packed::Int(i64::from_le_bytes(*bytes)), rest)
        }
        FLOAT => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (Packed::Float(f64::from_le_bytes(*bytes)), rest)
        }
        TEXT | BYTES => {
            let (length, rest) = rest.split_first_chunk()?;
            let (bytes, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            let value = if *kind == TEXT { Packed::Text(str::from_utf8(bytes).ok()?) } else { Packed::Bytes(bytes) };
            (value, rest)
        }
        _ => return None,
    };
    *packed = rest;
    Some(value)
}

/// Adds the functions to a connection.
pub(super) fn add_functions(conn: &rusqlite::Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("tandem_parts", -1, flags, |arguments| {
        let mut packed = Vec::with_capacity(256);
        pack(arguments, &mut packed)?;
        Ok(packed)
    })?;
    conn.create_aggregate_function("tandem_rows", -1, flags, Rows)
}

struct Rows;

impl Aggregate<Vec<u8>, Option<Vec<u8>>> for Rows {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Vec<u8>> {
        Ok(Vec::with_capacity(1024))
    }

    fn step(&self, arguments: &mut Context<'_>, packed: &mut Vec<u8>) -> rusqlite::Result<()> {
        pack(arguments, packed)
    }

    fn finalize(&self, _: &mut Context<'_>, packed: Option<Vec<u8>>) -> rusqlite::Result<Option<Vec<u8>>> {
        Ok(packed)
    }
}

fn pack(arguments: &Context<'_>, packed: &mut Vec<u8>) -> rusqlite::Result<()> {
    for index in 0..arguments.len() {
        pack_value(arguments.get_raw(index), packed).ok_or_else(|| {
            let what = format!("argument {index} is too long to be packed");
            rusqlite::Error::UserFunctionError(what.into())
        })?;
    }
    Ok(())
}

/// `None` if it is longer than SQLite lets anything be.
fn pack_value(value: ValueRef<'_>, packed: &mut Vec<u8>) -> Option<()> {
    let mut sized = |kind, bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).ok()?;
        packed.reserve(1 + size_of::<u32>() + bytes.len());
        packed.push(kind);
        packed.extend_from_slice(&length.to_le_bytes());
        packed.extend_from_slice(bytes);
        Some(())
    };
    match value {
        ValueRef::Text(text) => return sized(TEXT, text),
        ValueRef::Blob(bytes) => return sized(BYTES, bytes),
        ValueRef::Null => packed.push(NULL),
        ValueRef::Integer(int) => {
            packed.push(INT);
            packed.extend_from_slice(&int.to_le_bytes());
        }
        ValueRef::Real(float) => {
            packed.push(FLOAT);
            packed.extend_from_slice(&float.to_le_bytes());
        }
    }
    Some(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Packs values, as the functions do.
    pub(crate) fn packed(values: &[Packed<'_>]) -> Vec<u8> {
        let mut packed = Vec::new();
        for value in values {
            let value = match *value {
                Packed::Null => ValueRef::Null,
                Packed::Int(int) => ValueRef::Integer(int),
                Packed::Float(float) => ValueRef::Real(float),
                Packed::Text(text) => ValueRef::Text(text.as_bytes()),
                Packed::Bytes(bytes) => ValueRef::Blob(bytes),
            };
            pack_value(value, &mut packed).unwrap();
        }
        packed
    }

    fn all(mut bytes: &[u8]) -> Vec<Packed<'_>> {
        std::iter::from_fn(|| unpack(&mut bytes)).collect()
    }

    fn query(sql: &str) -> Option<Vec<u8>> {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        add_functions(&conn).unwrap();
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn values_come_back_as_they_were() {
        let values = [
            Packed::Int(-1),
            Packed::Int(i64::MAX),
            Packed::Null,
            Packed::Float(5e-324),
            Packed::Text("a,;]é"),
            Packed::Text(""),
            Packed::Bytes(&[0, 1, 255]),
            Packed::Bytes(&[]),
        ];
        assert_eq!(all(&packed(&values)), values);
        let sql = "SELECT tandem_parts(-1,9223372036854775807,NULL,5e-324,'a,;]é','',x'0001ff',x'')";
        assert_eq!(all(&query(sql).unwrap()), values);
    }

    #[test]
    fn rows_follow_one_another_and_may_be_packed_again() {
        let inner = packed(&[Packed::Int(1), Packed::Int(2)]);
        let rows = "FROM (SELECT 1 AS a UNION ALL SELECT 2)";
        assert_eq!(query(&format!("SELECT tandem_rows(a) {rows}")).unwrap(), inner);
        assert_eq!(query(&format!("SELECT tandem_rows(a) {rows} WHERE a>2")), None);
        let nested = query(&format!("SELECT tandem_parts((SELECT tandem_rows(a) {rows}),3)")).unwrap();
        assert_eq!(all(&nested), [Packed::Bytes(&inner), Packed::Int(3)]);
        assert_eq!(query("SELECT tandem_parts()"), Some(Vec::new()));
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        let values = [Packed::Int(7), Packed::Float(1.5), Packed::Text("abc"), Packed::Bytes(&[1, 2])];
        for value in values {
            let whole = packed(&[value]);
            for length in 0..whole.len() {
                assert_eq!(unpack(&mut &whole[..length]), None, "{value:?}, {length}");
            }
        }
        assert_eq!(unpack(&mut &[9, 0, 0][..]), None);
        assert_eq!(unpack(&mut &packed(&[Packed::Text("é")])[..6]), None);
    }
}
