//! What is to be done to the tables, in words and in SQL.

use std::fmt;

use super::search::Backfill;

/// The steps that make the tables fit the resource file, in the order in which they are done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// None if there is nothing to do.
    pub steps: Vec<Step>,
    /// What there is to know about tables, columns and indexes that others made, or about steps that were allowed and are
    /// not needed. Nothing is done about it.
    pub notes: Vec<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does, in a line that goes on after "could not": `add the column note to order`.
    pub title: String,
    /// Statements; none if only Tandem's own view of the data changes.
    pub sql: Vec<String>,
    /// How much to think about it.
    pub level: Level,
    /// What it does to the rows, or why it is refused.
    pub hazard: Option<String>,
    /// What it locks, and for how long.
    pub lock: Option<String>,
    /// Of a step that is refused or was allowed: its name, with which it is allowed: `drop:Product.cost`.
    pub name: Option<String>,
    /// What follows the name to allow it: `=<value>`, or nothing.
    pub value_hint: &'static str,
    /// What is to be written after the statements.
    pub(super) backfill: Option<Backfill>,
}

/// How much to think about a [`Step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Cannot lose anything, and does not depend on the rows.
    Safe,
    /// Takes time, holds others up, may not succeed, or loses what it is allowed to lose.
    Caution,
    /// Not done, and neither is anything else of its plan.
    Refused,
}

impl Plan {
    /// Whether the tables already fit.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps that are refused. If there are any, nothing of the plan is done.
    pub fn refused(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.level == Level::Refused)
    }
}

impl Step {
    pub(super) fn new(title: impl Into<String>, sql: Vec<String>) -> Self {
        let title = title.into();
        Self { title, sql, level: Level::Safe, hazard: None, lock: None, name: None, value_hint: "", backfill: None }
    }

    pub(super) fn caution(self, hazard: impl Into<String>) -> Self {
        Self { level: Level::Caution, hazard: Some(hazard.into()), ..self }
    }

    pub(super) fn refused(self, reason: impl Into<String>) -> Self {
        Self { level: Level::Refused, hazard: Some(reason.into()), ..self }
    }

    pub(super) fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    pub(super) fn with_backfill(self, backfill: Backfill) -> Self {
        Self { backfill: Some(backfill), ..self }
    }

    /// A step without statements is done by another one, which has the lock.
    pub(super) fn lock(self, lock: Option<String>) -> Self {
        Self { lock: lock.filter(|_| !self.sql.is_empty()), ..self }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.steps.len(), self.refused().count()) {
            (0, _) => writeln!(f, "The tables are as the resource file says.")?,
            (1, 0) => writeln!(f, "1 step:")?,
            (n, 0) => writeln!(f, "{n} steps:")?,
            (n, refused) => writeln!(f, "{refused} of {n} steps refused:")?,
        }
        for (number, step) in (1..).zip(&self.steps) {
            write!(f, "\n{number}. {step}")?;
        }
        if self.steps.iter().filter(|step| step.lock.is_some()).count() > 1 {
            writeln!(f, "\nAll steps are one transaction: locks are held to its end.")?;
        }
        if self.refused().next().is_some() {
            writeln!(
                f,
                "\nNothing is done while a step is refused. Change the file, or what is named, or allow steps by"
            )?;
            writeln!(f, "their names: --allow (TANDEM_ALLOW), separated by commas.")?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nTo be noted:")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "- {note}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_refused = self.level == Level::Refused;
        writeln!(f, "{}{}", if is_refused { "REFUSED: " } else { "" }, self.title)?;
        for sql in &self.sql {
            writeln!(f, "     {};", sql.replace('\n', "\n     "))?;
        }
        if let Some(hazard) = &self.hazard {
            writeln!(f, "   {hazard}")?;
        }
        if let Some(name) = self.name.as_ref().filter(|_| is_refused) {
            writeln!(f, "   to allow it: --allow '{name}{}'", self.value_hint)?;
        }
        self.lock.iter().try_for_each(|lock| writeln!(f, "   lock: {lock}"))
    }
}
