//! `tandem migrate`.

use clap::Args;

use crate::app;
use crate::config::{DatabaseSettings, LogSettings, ResourceSettings, TableSettings};
use crate::store::tables;

/// Bring the tables in line with the resource file, or show what that would do
#[derive(Debug, Args)]
pub struct Migrate {
    /// Print the SQL and its hazards, and change nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    resources: ResourceSettings,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    tables: TableSettings,
    #[command(flatten)]
    log: LogSettings,
}

impl Migrate {
    /// Does it, or prints the plan.
    pub async fn run(self) -> anyhow::Result<()> {
        app::init_logs(&self.log)?;
        let allowed = self.tables.allowed();
        if !self.plan {
            let done = app::migrate(&self.resources, &self.database, &allowed).await?;
            return super::print(&done.to_string());
        }
        let plan = app::plan(&self.resources, &self.database, &allowed).await?;
        super::print(&plan.to_string())?;
        // So that a script that looks at the plan before a deployment can tell.
        match plan.refused().count() {
            0 => Ok(()),
            count => Err(tables::Error::WouldRefuse(count).into()),
        }
    }
}
