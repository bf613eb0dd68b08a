//! `tandem migrate`.

use clap::Args;

use crate::app;
use crate::config::{DatabaseSettings, LogSettings, ResourceSettings};

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
    log: LogSettings,
}

impl Migrate {
    /// Does it, or prints the plan.
    pub async fn run(self) -> anyhow::Result<()> {
        app::init_logs(&self.log)?;
        let migration = app::migrate(&self.resources, &self.database, self.plan).await?;
        super::print(&migration.text)?;
        // So that a script that looks at the plan before a deployment can tell.
        anyhow::ensure!(migration.refused == 0, "{} of the steps would be refused", migration.refused);
        Ok(())
    }
}
