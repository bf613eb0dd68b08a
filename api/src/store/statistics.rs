//! Keeps what PostgreSQL's planner knows about the tables in step with their growth.
//!
//! PostgreSQL looks at a table by itself within minutes. Until then it takes a table that is being filled for an empty
//! one: it keeps plans that read all of it (the writer's too, and those that check foreign keys), or finds a parent's rows by way of all rows. So tables are looked at whenever
//! they have doubled. It is not needed for anything to be right, only for it to be fast.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::database::{Database, Dialect};
use crate::log::Hub;

/// The least time between two looks at the tables' sizes.
const PAUSE: Duration = Duration::from_secs(1);

/// Tables of Tandem's own that grow.
const OWN: [&str; 5] = ["tandem_event", "tandem_departure", "tandem_idempotency", "tandem_delivery", "tandem_attempt"];

/// Follows the growth of all tables until it is told to stop. Nothing is done while the log does not grow.
pub async fn follow(database: Database, catalog: Arc<Catalog>, hub: Hub, stop: CancellationToken) {
    if database.dialect() == Dialect::Sqlite {
        return;
    }
    let tables = tables(&catalog);
    let mut known_bytes = HashMap::new();
    loop {
        let seen = hub.tail();
        if let Err(error) = database.analyze_grown(&tables, &mut known_bytes).await {
            tracing::warn!(%error, "the planner's statistics could not be renewed; reads may be slow for a while");
        }
        let next = async {
            tokio::time::sleep(PAUSE).await;
            hub.changed(seen).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = next => {}
        }
    }
}

fn tables(catalog: &Catalog) -> Vec<String> {
    let resources = catalog.resources().map(|(_, resource)| resource.prefix.clone());
    resources.chain(OWN.map(str::to_owned)).collect()
}
