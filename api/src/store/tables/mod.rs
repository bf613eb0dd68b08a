//! Tables follow the file: compares the catalog with the database and makes the tables of the resources fit it.
//!
//! What loses no data is done; if anything else is asked for, nothing at all is changed and the plan says why, until it
//! is [`Allowed`] by name. All happens in one transaction, and one process at a time. A second run finds nothing to do.
//!
//! - `schema`: catalog → the tables that are wanted
//! - `memory`: what the last run made, kept in `tandem_catalog`; tables and columns that are not in it are not touched
//! - `introspect`: the tables that are there
//! - `rename`, `diff`: the three of them → the steps of a [`Plan`]; `probe` asks the rows, `convert` and `ddl` write the
//!   SQL, `hazard` says what is locked
//! - `lineage`: what a plan means for the events that are in the log already, kept in `tandem_lineage`
//! - `search`: what `@search` needs, and the words of rows that are already there
//! - `names`: names of keys, which the writer maps back to fields when the database reports a violation
//!
//! Neighbours: start-up and `tandem migrate` call [`prepare`] and [`plan`()]; the reader and the writer of `store` rely
//! on the types that `column` gives to columns.

mod allow;
mod apply;
mod column;
mod convert;
mod ddl;
mod diff;
mod hazard;
mod introspect;
mod lineage;
mod memory;
mod names;
mod plan;
mod probe;
mod rename;
mod schema;
mod search;
#[cfg(test)]
mod tests;

pub use allow::Allowed;
pub use apply::{apply, plan, prepare};
pub use names::{foreign_key_name, index_name, unique_key_name};
pub use plan::{Level, Plan, Step};

use sea_orm::{DbBackend, DbErr};

/// Why the tables could not be made to fit the resource file. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Steps that could lose data, or that are not possible at all, are needed. The plan says which.
    #[error("the resource file asks for changes that are refused; the database was not changed\n\n{0}")]
    Refused(Plan),
    /// The same, of a plan that was only to be printed, and was: so many steps are refused.
    #[error("{0} of the steps would be refused")]
    WouldRefuse(usize),
    /// The database did not accept a step.
    #[error("could not {step}: {reason}; the database was not changed")]
    Failed {
        /// What was to be done, [`Step::title`].
        step: String,
        /// Why it failed, for people.
        reason: String,
        /// What the database said.
        #[source]
        source: DbErr,
    },
    /// The migrations of Tandem's own tables failed.
    #[error("could not bring Tandem's own tables up to date")]
    Migration(#[source] DbErr),
    /// `tandem_catalog` holds something that this version did not write.
    #[error("cannot read what Tandem remembers about its tables (in tandem_catalog): {0}")]
    Memory(String),
    /// SQLite: foreign keys cannot be left alone for a while on a pool of several connections, or on one that others use.
    #[error("tables of SQLite can only be changed over a pool of one connection that nobody else uses meanwhile")]
    SharedConnection,
    /// Neither SQLite nor PostgreSQL.
    #[error("Tandem works with SQLite and PostgreSQL, not with {0:?}")]
    UnknownDatabase(DbBackend),
    /// The database failed otherwise.
    #[error("the database failed: {0}")]
    Database(#[from] DbErr),
}

/// The databases that differ in their SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    fn of(backend: DbBackend) -> Result<Self, Error> {
        match backend {
            DbBackend::Sqlite => Ok(Self::Sqlite),
            DbBackend::Postgres => Ok(Self::Postgres),
            other => Err(Error::UnknownDatabase(other)),
        }
    }
}
