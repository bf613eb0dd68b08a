//! What is to be done to the tables, in words and in SQL.

use std::fmt;

use super::search::Backfill;

/// The steps that make the tables fit the resource file, in the order in which they are done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// None if there is nothing to do.
    pub steps: Vec<Step>,
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
    /// What it costs or why it is refused; there is none for safe steps.
    pub hazard: Option<String>,
    /// What is to be written after the statements.
    pub(super) backfill: Option<Backfill>,
}

/// How much to think about a [`Step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Done in a moment; cannot lose anything.
    Safe,
    /// Loses nothing, but takes time, holds others up, or may not succeed.
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
    pub(super) fn safe(title: impl Into<String>, sql: Vec<String>) -> Self {
        Self { title: title.into(), sql, level: Level::Safe, hazard: None, backfill: None }
    }

    pub(super) fn caution(title: impl Into<String>, sql: Vec<String>, hazard: impl Into<String>) -> Self {
        Self { title: title.into(), sql, level: Level::Caution, hazard: Some(hazard.into()), backfill: None }
    }

    pub(super) fn refused(title: impl Into<String>, sql: Vec<String>, reason: impl Into<String>) -> Self {
        Self { title: title.into(), sql, level: Level::Refused, hazard: Some(reason.into()), backfill: None }
    }

    pub(super) fn with_backfill(self, backfill: Backfill) -> Self {
        Self { backfill: Some(backfill), ..self }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.steps.len(), self.refused().count()) {
            (0, _) => return writeln!(f, "The tables are as the resource file says."),
            (1, 0) => writeln!(f, "1 step:")?,
            (n, 0) => writeln!(f, "{n} steps:")?,
            (n, refused) => writeln!(f, "{refused} of {n} steps refused:")?,
        }
        for (number, step) in (1..).zip(&self.steps) {
            write!(f, "\n{number}. {step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = if self.level == Level::Refused { "REFUSED: " } else { "" };
        writeln!(f, "{refused}{}", self.title)?;
        for sql in &self.sql {
            writeln!(f, "     {};", sql.replace('\n', "\n     "))?;
        }
        match &self.hazard {
            Some(hazard) => writeln!(f, "   {hazard}"),
            None => Ok(()),
        }
    }
}
