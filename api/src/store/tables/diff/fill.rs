//! What the rows that are there get for a column: one that is added, or one that may be null no more.

use serde_json::Value;

use super::super::column::{ColumnType, Item};
use super::super::ddl::quoted;
use super::super::schema::{Column, Fill, Literal, Table};
use super::super::{Dialect, Step};
use super::{Comparison, field_name};
use crate::catalog::Datum;
use crate::catalog::lineage::Filling;

/// What they get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filler {
    /// Null, or there are no rows.
    Nothing,
    Literal(Literal),
    /// When the row was created, for `@default(now:)`.
    CreatedAt,
    /// The next numbers, in the order in which the rows were created, for `@default(sequence:)`.
    Numbers,
}

/// Why there is nothing to fill a column with.
pub(super) struct Unfilled {
    pub reason: String,
    /// With which the user can say what the rows get.
    pub name: String,
    pub value_hint: &'static str,
}

impl Unfilled {
    pub fn refuse(self, step: Step) -> Step {
        Step { value_hint: self.value_hint, ..step.named(self.name).refused(self.reason) }
    }
}

impl Filler {
    /// As older events are read.
    pub fn filling(&self) -> Option<Filling> {
        match self {
            Self::Literal(literal) => Some(Filling::Value(literal.image.clone())),
            Self::CreatedAt => Some(Filling::CreatedAt),
            // Only the rows know their numbers.
            Self::Nothing | Self::Numbers => None,
        }
    }

    /// The value in SQL where it is missing; `null` says whether the column is there, and may be null. Only SQLite takes
    /// window functions here.
    pub fn sql(&self, dialect: Dialect, column: &str, ty: &ColumnType, null: bool) -> String {
        match self {
            Self::Nothing => "NULL".to_owned(),
            Self::Literal(literal) => literal.sql.clone(),
            Self::CreatedAt if ty.item != Item::Date => quoted("created_at"),
            Self::CreatedAt => match dialect {
                Dialect::Sqlite => format!("date({} / 1000000, 'unixepoch')", quoted("created_at")),
                Dialect::Postgres => format!("CAST({} AT TIME ZONE 'UTC' AS date)", quoted("created_at")),
            },
            Self::Numbers if null => {
                let column = quoted(column);
                format!(
                    "coalesce(max({column}) OVER (), 0) + \
                     row_number() OVER (PARTITION BY {column} IS NULL ORDER BY \"created_at\", \"id\")"
                )
            }
            Self::Numbers => "row_number() OVER (ORDER BY \"created_at\", \"id\")".to_owned(),
        }
    }

    /// PostgreSQL: the statement that fills the rows where the column is null.
    pub fn update(&self, table: &str, column: &str, ty: &ColumnType) -> Option<String> {
        let (name, place) = (quoted(table), quoted(column));
        match self {
            Self::Nothing => None,
            Self::Literal(_) | Self::CreatedAt => {
                let value = self.sql(Dialect::Postgres, column, ty, true);
                Some(format!("UPDATE {name} SET {place} = {value} WHERE {place} IS NULL"))
            }
            Self::Numbers => Some(format!(
                "UPDATE {name} AS t SET {place} = n.number FROM (SELECT \"id\", (SELECT coalesce(max({place}), 0) FROM {name}) \
                 + row_number() OVER (ORDER BY \"created_at\", \"id\") AS number FROM {name} WHERE {place} IS NULL) AS n \
                 WHERE t.\"id\" = n.\"id\""
            )),
        }
    }
}

impl<C> Comparison<'_, C> {
    /// What the rows get for a column that is added.
    pub(super) fn filler_of_new(&self, table: &Table, column: &Column, has_rows: bool) -> Result<Filler, Unfilled> {
        let only_new = match &column.fill {
            Fill::Literal(literal) => return Ok(Filler::Literal(literal.clone())),
            _ if column.nullable || !has_rows => return Ok(Filler::Nothing),
            Fill::Now => return Ok(Filler::CreatedAt),
            Fill::Sequence => return Ok(Filler::Numbers),
            Fill::Claim => "@default(claim:) is for new rows only; ",
            Fill::Nothing => "",
        };
        let name = format!("fill:{}", field_name(table, column));
        let given = self.given(table, column, &name)?;
        given.ok_or_else(|| Unfilled {
            reason: format!(
                "the table has rows, which would have no value: {only_new}make the field nullable, give it a \
                 @default(value:), or say what the rows get"
            ),
            name,
            value_hint: "=<value>",
        })
    }

    /// What the rows get for a column that is null in some of them and may be so no more. That they were null is lost, so
    /// it is done only if it is allowed.
    pub(super) fn filler_of_null(&self, table: &Table, column: &Column, nulls: &str) -> Result<Filler, Unfilled> {
        let name = format!("fill:{}", field_name(table, column));
        if let Some(filler) = self.given(table, column, &name)? {
            return Ok(filler);
        }
        let (default, what) = match &column.fill {
            Fill::Literal(literal) => (Filler::Literal(literal.clone()), "their @default"),
            Fill::Now => (Filler::CreatedAt, "the time at which they were created"),
            Fill::Sequence => (Filler::Numbers, "the next numbers"),
            Fill::Claim | Fill::Nothing => {
                let reason = format!("it is null in {nulls}: leave the field nullable, or say what the rows get");
                return Err(Unfilled { reason, name, value_hint: "=<value>" });
            }
        };
        if self.allowed.has(&name) {
            return Ok(default);
        }
        let reason = format!("it is null in {nulls}: leave the field nullable, or let the rows get {what}");
        Err(Unfilled { reason, name, value_hint: "" })
    }

    /// The value that was given with the name of a step.
    fn given(&self, table: &Table, column: &Column, name: &str) -> Result<Option<Filler>, Unfilled> {
        let Some(text) = self.allowed.value(name) else { return Ok(None) };
        let field = self.catalog.resource(table.id).field(column.id);
        let parse = |value: &Value| Datum::parse(self.catalog, table.id, &field.ty, value);
        let text_value = Value::String(text.to_owned());
        let json: Option<Value> = serde_json::from_str(text).ok();
        // A text may look like JSON; a list, or a number, has to.
        let parsed = match json.filter(|json| json.is_array()) {
            Some(json) => parse(&json).or_else(|_| parse(&text_value)),
            None => parse(&text_value).or_else(|error| match serde_json::from_str(text) {
                Ok(json) => parse(&json),
                Err(_) => Err(error),
            }),
        };
        let refused = |reason: String| Unfilled {
            reason: format!("{name}={text}: {reason}"),
            name: name.to_owned(),
            value_hint: "=<value>",
        };
        let datum = parsed.map_err(refused)?;
        if let Some(violation) = field.constraint.violations(&field.ty, &datum).first() {
            return Err(refused(format!("it {}", violation.message)));
        }
        let literal = Literal::of(&datum, &field.ty, self.dialect);
        literal.map(|literal| Some(Filler::Literal(literal))).ok_or_else(|| refused("null is no value".to_owned()))
    }
}
