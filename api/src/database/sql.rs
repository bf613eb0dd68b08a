//! A statement under construction: text whose values are bound, never formatted in.
//!
//! Identifiers come from the catalog, never from a request.

use sea_orm::Value;

use super::Column;
use crate::catalog::{Datum, FieldType, Scalar};

/// Which database the statement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite 3.45 or newer.
    Sqlite,
    /// PostgreSQL 15 or newer.
    Postgres,
}

/// What stands for a placeholder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Parameter {
    /// One value.
    Value(Value),
    /// The values of several rows; only on PostgreSQL, and not through SeaORM.
    Column(Column),
}

/// The text of a statement and its bound values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sql {
    dialect: Dialect,
    text: String,
    parameters: Vec<Parameter>,
    is_for_each: bool,
}

impl Sql {
    /// An empty statement.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, text: String::with_capacity(512), parameters: Vec::new(), is_for_each: false }
    }

    /// An empty statement that may run for several sets of values at once, by
    /// [`Database::look_up`](super::Database::look_up): values stand in it as the columns of a table.
    pub fn for_each(dialect: Dialect) -> Self {
        Self { is_for_each: true, ..Self::new(dialect) }
    }

    /// Whether it was made by [`Sql::for_each`].
    pub(super) fn is_for_each(&self) -> bool {
        self.is_for_each
    }

    /// A statement without values.
    pub fn text(dialect: Dialect, text: &str) -> Self {
        let mut sql = Self::new(dialect);
        sql.push(text);
        sql
    }

    /// Which database it is for.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The text so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether any value is bound.
    pub(super) fn has_values(&self) -> bool {
        !self.parameters.is_empty()
    }

    /// Text and values, for SeaORM.
    pub fn into_parts(self) -> (String, Vec<Value>) {
        let value = |parameter| match parameter {
            Parameter::Value(value) => value,
            Parameter::Column(_) => unreachable!("columns are bound for the writer on PostgreSQL alone"),
        };
        (self.text, self.parameters.into_iter().map(value).collect())
    }

    /// A statement that tells how the database runs this one.
    #[cfg(test)]
    fn explained(mut self) -> Self {
        let explain = match self.dialect {
            Dialect::Sqlite => "EXPLAIN QUERY PLAN ",
            Dialect::Postgres => "EXPLAIN ",
        };
        self.text.insert_str(0, explain);
        self
    }

    /// What stands for its placeholders.
    pub(super) fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Adds text.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a quoted identifier.
    pub fn ident(&mut self, name: &str) -> &mut Self {
        debug_assert!(!name.contains('"'), "identifiers come from the catalog");
        self.text.push('"');
        self.text.push_str(name);
        self.text.push('"');
        self
    }

    /// Adds `alias."column"`.
    pub fn column(&mut self, alias: &str, name: &str) -> &mut Self {
        self.push(alias).push(".").ident(name)
    }

    /// Adds a placeholder and binds its value.
    pub fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.bind_parameter(Parameter::Value(value.into()))
    }

    /// Adds a placeholder and binds the values of several rows, as one array. For PostgreSQL alone. A statement is prepared
    /// once for each text, so the text says the type.
    pub fn bind_column(&mut self, column: Column) -> &mut Self {
        debug_assert_eq!(self.dialect, Dialect::Postgres, "SQLite has no arrays");
        let ty = column.ty();
        self.push("CAST(").bind_parameter(Parameter::Column(column)).push(" AS ").push(ty).push(")")
    }

    fn bind_parameter(&mut self, parameter: Parameter) -> &mut Self {
        use std::fmt::Write;
        self.parameters.push(parameter);
        let before = match self.dialect {
            _ if self.is_for_each => "v.v",
            Dialect::Postgres => "$",
            Dialect::Sqlite => {
                self.text.push('?');
                return self;
            }
        };
        write!(self.text, "{before}{}", self.parameters.len()).expect("writing to a string does not fail");
        self
    }

    /// Adds what `item` adds for each item, with `separator` between.
    pub fn list<T>(&mut self, separator: &str, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        for (i, it) in items.into_iter().enumerate() {
            if i > 0 {
                self.push(separator);
            }
            item(self, it);
        }
    }

    /// Binds a value of a field, as an expression of the column's type.
    pub fn bind_datum(&mut self, ty: &FieldType, datum: &Datum) -> &mut Self {
        if matches!(ty, FieldType::ScalarList(_) | FieldType::EnumList(_)) {
            let text = (!datum.is_null()).then(|| datum.image_text(ty));
            return self.bind_cast(text, postgres_list(ty));
        }
        match datum {
            Datum::Null => self.push("NULL"),
            Datum::Bool(value) => self.bind(*value),
            Datum::Int(value) => self.bind(*value),
            Datum::Float(value) => self.bind(*value),
            Datum::Text(text) if *ty == FieldType::Scalar(Scalar::Date) => self.bind_cast(Some(text.clone()), "date"),
            Datum::Text(text) => self.bind(text.clone()),
            Datum::Decimal(units) => match self.dialect {
                Dialect::Sqlite => self.bind(*units),
                Dialect::Postgres => {
                    let text = datum.to_image(ty).as_str().map(str::to_owned);
                    self.bind_cast(text, "numeric")
                }
            },
            Datum::Instant(micros) => match self.dialect {
                Dialect::Sqlite => self.bind(*micros),
                Dialect::Postgres => {
                    self.bind_cast(Some(crate::catalog::datum::format_instant(*micros)), "timestamptz")
                }
            },
            Datum::Uuid(id) => self.bind(*id),
            Datum::Json(value) => self.bind_cast(Some(value.to_string()), "json"),
            Datum::List(_) => self.bind_cast(Some(datum.image_text(ty)), postgres_list(ty)),
        }
    }

    /// Binds a text that PostgreSQL must cast to a type that has no text literal; SQLite keeps such types as text.
    fn bind_cast(&mut self, text: Option<String>, ty: &str) -> &mut Self {
        match self.dialect {
            Dialect::Sqlite => self.bind(text),
            Dialect::Postgres => self.push("CAST(").bind(text).push(" AS ").push(ty).push(")"),
        }
    }
}

/// How PostgreSQL holds a list. `jsonb` knows its items, but sorts the keys of objects and rewrites numbers, so JSON itself
/// is kept as it is.
pub fn postgres_list(ty: &FieldType) -> &'static str {
    match ty {
        FieldType::ScalarList(Scalar::Json) => "json",
        _ => "jsonb",
    }
}

#[cfg(test)]
impl super::Database {
    /// How the database runs a statement, a step on each line.
    pub(crate) async fn explain(&self, sql: Sql) -> String {
        let column = match self.dialect() {
            Dialect::Sqlite => 3,
            Dialect::Postgres => 0,
        };
        let records = self.query(sql.explained()).await.expect("a sound statement can be explained");
        records.iter().map(|record| record.need_text(column).expect("steps are texts") + "\n").collect()
    }
}
