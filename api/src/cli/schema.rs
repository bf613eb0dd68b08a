//! `tandem schema`.

use clap::Args;

use crate::app;
use crate::config::ResourceSettings;

/// Print the GraphQL schema of the API
#[derive(Debug, Args)]
pub struct Schema {
    #[command(flatten)]
    resources: ResourceSettings,
}

impl Schema {
    /// Prints it.
    pub fn run(self) -> anyhow::Result<()> {
        super::print(&app::schema(&self.resources)?)
    }
}
