//! Names of keys: deterministic, so that the writer can map the one in a violation back to the fields.
//!
//! Table and columns are joined by two underscores. With one, the key of `line_number` of `order` and that of `number`
//! of `order_line` would have the same name, and either could be that of a table: all of them share one namespace.

use crate::catalog::{FieldId, Key, Resource};

/// What PostgreSQL keeps of a name, in bytes.
const MAX_LENGTH: usize = 63;

/// Name of the unique index of a key of [`Resource::unique_keys`], `order_line__order_id__product_id_key`.
pub fn unique_key_name(resource: &Resource, key: &Key) -> String {
    key_name(resource, &key.fields, "key")
}

/// Name of an index of [`Resource::indexes`], or of the index of a foreign key, `order__customer_id_idx`.
pub fn index_name(resource: &Resource, key: &Key) -> String {
    key_name(resource, &key.fields, "idx")
}

/// Name of the foreign key of a to-one field, `order__customer_id_fkey`. SQLite does not report it.
pub fn foreign_key_name(resource: &Resource, field: FieldId) -> String {
    key_name(resource, &[field], "fkey")
}

fn key_name(resource: &Resource, fields: &[FieldId], suffix: &str) -> String {
    let columns = fields.iter().map(|id| resource.field(*id).column.as_str());
    let parts: Vec<_> = std::iter::once(resource.prefix.as_str()).chain(columns).collect();
    let full = format!("{}_{suffix}", parts.join("__"));
    if full.len() <= MAX_LENGTH {
        return full;
    }
    // Names are ASCII, so that every byte is a place to cut.
    let end = format!("_{:08x}_{suffix}", hash(full.as_bytes()));
    format!("{}{end}", &full[..MAX_LENGTH - end.len()])
}

/// FNV-1a, because it must never change: a name with another hash is another index.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{FieldType, Scalar};
    use crate::store::tables::tests::catalogs::{field, resource};

    fn named(prefix: &str, columns: &[&str]) -> (Resource, Key) {
        let text = FieldType::Scalar(Scalar::String);
        let fields =
            columns.iter().map(|c| crate::catalog::Field { column: (*c).to_owned(), ..field(c, text.clone()) });
        let resource = Resource { prefix: prefix.to_owned(), ..resource("Any", fields.collect()) };
        let key = Key { fields: (1..=columns.len() as u16).map(FieldId).collect() };
        (resource, key)
    }

    #[test]
    fn names_tell_tables_from_columns() {
        let (resource, key) = named("order", &["line_number"]);
        assert_eq!(unique_key_name(&resource, &key), "order__line_number_key");
        let (resource, key) = named("order_line", &["number"]);
        assert_eq!(unique_key_name(&resource, &key), "order_line__number_key");
        assert_eq!(index_name(&resource, &key), "order_line__number_idx");
        assert_eq!(foreign_key_name(&resource, FieldId(1)), "order_line__number_fkey");
    }

    #[test]
    fn long_names_end_in_a_hash() {
        let (resource, key) =
            named("a_name_of_exactly_forty_characters_xxxxx", &["a_long_column", "another_long_column"]);
        let name = unique_key_name(&resource, &key);
        assert_eq!(name, "a_name_of_exactly_forty_characters_xxxxx__a_long_c_c2e0f1c2_key");
        assert_eq!(name.len(), MAX_LENGTH);
        let (resource, key) =
            named("a_name_of_exactly_forty_characters_xxxxx", &["a_long_column", "yet_another_column"]);
        assert_ne!(unique_key_name(&resource, &key), name);
    }
}
