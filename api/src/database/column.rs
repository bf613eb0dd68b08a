//! The values of one field in several rows, bound as one array of PostgreSQL.
//!
//! A statement for many rows binds one array for each field, so its text does not depend on their number. The array is
//! written here in PostgreSQL's own binary form while the rows are gone through: nothing is turned into text and parsed
//! again, and null is a value like any other.

use sqlx::encode::{Encode, IsNull};
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Postgres, Type};
use uuid::Uuid;

/// Microseconds from 1970 to 2000, when PostgreSQL's time begins.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// What the values are, as PostgreSQL calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// `boolean`
    Boolean,
    /// `bigint`
    BigInt,
    /// `double precision`
    Double,
    /// `text`; what has no other way is sent as text and cast.
    Text,
    /// `timestamptz`
    Timestamp,
    /// `uuid`
    Uuid,
    /// `tsvector`
    Words,
}

impl Element {
    /// The type of an array of such values.
    fn array(self) -> &'static str {
        match self {
            Self::Boolean => "boolean[]",
            Self::BigInt => "bigint[]",
            Self::Double => "double precision[]",
            Self::Text => "text[]",
            Self::Timestamp => "timestamptz[]",
            Self::Uuid => "uuid[]",
            Self::Words => "tsvector[]",
        }
    }

    /// The numbers by which PostgreSQL knows the type and the type of its arrays; they never change (`pg_type.dat`).
    fn oids(self) -> (u32, u32) {
        match self {
            Self::Boolean => (16, 1000),
            Self::BigInt => (20, 1016),
            Self::Double => (701, 1022),
            Self::Text => (25, 1009),
            Self::Timestamp => (1184, 1185),
            Self::Uuid => (2950, 2951),
            Self::Words => (3614, 3643),
        }
    }
}

/// An array under construction. Values are of its element's type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    element: Element,
    count: i32,
    has_null: bool,
    /// The values, each after its length in bytes.
    bytes: Vec<u8>,
}

impl Column {
    /// Of no values yet, with room for so many.
    pub fn new(element: Element, count: usize) -> Self {
        let value_bytes = match element {
            Element::Boolean => 1,
            Element::BigInt | Element::Double | Element::Timestamp => 8,
            Element::Uuid => 16,
            Element::Text | Element::Words => 32,
        };
        Self { element, count: 0, has_null: false, bytes: Vec::with_capacity(count * (value_bytes + 4)) }
    }

    /// Makes room for texts that have so many bytes together.
    pub fn reserve(&mut self, text_bytes: usize) {
        self.bytes.reserve(text_bytes);
    }

    /// How many bytes the values have.
    pub(super) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The type of the array.
    pub(super) fn ty(&self) -> &'static str {
        self.element.array()
    }

    /// Adds null.
    pub fn null(&mut self) {
        self.has_null = true;
        self.count += 1;
        self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    }

    /// Adds a truth value.
    pub fn boolean(&mut self, value: bool) {
        self.value(Element::Boolean, &[u8::from(value)]);
    }

    /// Adds a whole number.
    pub fn int(&mut self, value: i64) {
        self.value(Element::BigInt, &value.to_be_bytes());
    }

    /// Adds a float.
    pub fn double(&mut self, value: f64) {
        self.value(Element::Double, &value.to_be_bytes());
    }

    /// Adds a text.
    pub fn text(&mut self, value: &str) {
        self.value(Element::Text, value.as_bytes());
    }

    /// Adds a text, or null.
    pub fn text_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// Adds a point in time, in microseconds since 1970.
    pub fn instant(&mut self, micros: i64) {
        self.value(Element::Timestamp, &micros.saturating_sub(EPOCH_MICROS).to_be_bytes());
    }

    /// Adds a UUID.
    pub fn uuid(&mut self, value: Uuid) {
        self.value(Element::Uuid, value.as_bytes());
    }

    /// Adds a value that `write` writes: a text in UTF-8, or what PostgreSQL sends and receives for the type.
    pub fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&mut self.bytes);
        let length = i32::try_from(self.bytes.len() - start - 4).expect("a value has less than 2 GiB");
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
        self.count += 1;
    }

    fn value(&mut self, element: Element, bytes: &[u8]) {
        debug_assert_eq!(self.element, element, "all values of a column are of one type");
        let length = i32::try_from(bytes.len()).expect("a value has less than 2 GiB");
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        self.count += 1;
    }
}

impl Type<Postgres> for Column {
    /// Never asked for: [`Encode::produces`] knows better.
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(Element::Text.oids().1))
    }
}

impl Encode<'_, Postgres> for Column {
    /// As `array_recv` of PostgreSQL reads it: dimensions, whether there are nulls, type, length, lower bound, values.
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, sqlx::error::BoxDynError> {
        let dimensions = i32::from(self.count > 0);
        buffer.extend_from_slice(&dimensions.to_be_bytes());
        buffer.extend_from_slice(&i32::from(self.has_null).to_be_bytes());
        buffer.extend_from_slice(&self.element.oids().0.to_be_bytes());
        if self.count > 0 {
            buffer.extend_from_slice(&self.count.to_be_bytes());
            buffer.extend_from_slice(&1_i32.to_be_bytes());
            buffer.extend_from_slice(&self.bytes);
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.element.oids().1)))
    }

    fn size_hint(&self) -> usize {
        20 + self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Database, Dialect, Sql};

    /// What PostgreSQL makes of a column, as texts.
    async fn read(database: &Database, column: Column) -> Vec<Option<String>> {
        let mut sql = Sql::text(Dialect::Postgres, "SELECT CAST(unnest(");
        sql.bind_column(column).push(") AS text)");
        database.query(sql).await.unwrap().iter().map(|row| row.text(0).unwrap()).collect()
    }

    #[tokio::test]
    async fn postgresql_reads_what_is_written() {
        let url = std::env::var("TEST_POSTGRES_URL").expect("`cargo xtask test` starts a PostgreSQL for the tests");
        let database = Database::connect_postgres(&url).await.unwrap();
        database.query(Sql::text(Dialect::Postgres, "SELECT set_config('timezone', 'UTC', false)")).await.unwrap();
        let check = async |element, write: &dyn Fn(&mut Column), expected: &[&str]| {
            let mut column = Column::new(element, 1);
            assert!(read(&database, column.clone()).await.is_empty(), "{element:?}");
            column.null();
            write(&mut column);
            column.null();
            let expected = expected.iter().map(|text| Some((*text).to_owned()));
            let expected: Vec<_> = [None].into_iter().chain(expected).chain([None]).collect();
            assert_eq!(read(&database, column).await, expected, "{element:?}");
        };
        let booleans = |column: &mut Column| [true, false].into_iter().for_each(|value| column.boolean(value));
        check(Element::Boolean, &booleans, &["true", "false"]).await;
        let ints = |column: &mut Column| [i64::MIN, -1, 0, i64::MAX].into_iter().for_each(|value| column.int(value));
        check(Element::BigInt, &ints, &["-9223372036854775808", "-1", "0", "9223372036854775807"]).await;
        let doubles = |column: &mut Column| [0.1, -1e300, 5e-324].into_iter().for_each(|value| column.double(value));
        check(Element::Double, &doubles, &["0.1", "-1e+300", "5e-324"]).await;
        let texts = ["", "NULL", "a\"b\\,{}\n", "日本 🙂"];
        check(Element::Text, &|column| texts.into_iter().for_each(|value| column.text(value)), &texts).await;
        let instants = |column: &mut Column| {
            [-62_135_596_800_000_000, 0, 253_402_300_799_999_999].into_iter().for_each(|value| column.instant(value));
        };
        let expected = ["0001-01-01 00:00:00+00", "1970-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"];
        check(Element::Timestamp, &instants, &expected).await;
        let ids =
            |column: &mut Column| [0, u128::MAX].into_iter().for_each(|value| column.uuid(Uuid::from_u128(value)));
        let expected = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"];
        check(Element::Uuid, &ids, &expected).await;
    }
}
