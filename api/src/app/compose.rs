//! Puts the server together from its settings.

use std::fs;
use std::sync::Arc;

use anyhow::Context;
use futures_util::FutureExt;

use super::parts::{self, Options, Parts};
use super::{App, BadInput, Lifetime};
use crate::catalog::{self, Catalog};
use crate::config::{DatabaseSettings, ResourceSettings, Settings};
use crate::database::{Database, Sql};
use crate::http::{self, NotReady};
use crate::schema::{Engine, types};
use crate::store::tables::{self, Allowed, Plan};

/// Builds what serves requests. Its tasks belong to `lifetime`.
pub async fn build(settings: &Settings, lifetime: &Lifetime) -> anyhow::Result<App<Engine>> {
    let catalog = Arc::new(read_catalog(&settings.resources)?);
    let resources = catalog.resources().count();
    let options = Options {
        database_url: settings.database.url().expose().to_owned(),
        catalog,
        allowed: settings.tables.allowed(),
        writer: settings.writer.options(),
        webhook_allow: settings.webhook_allow(),
        webhook_schedule: settings.webhook.retry_schedule.clone(),
        webhook_timeout: settings.webhook.timeout,
        retention: settings.retention.options(),
        webhooks: settings.registry(),
        sending: settings.signing.public_url.clone().unwrap_or_default(),
        encryption: settings.encryption_source()?,
        debug_extensions: settings.http.debug_extensions,
    };
    let Parts { engine, database, metrics, .. } = parts::open(options, &lifetime.shutdown, &lifetime.tasks).await?;
    let readiness = Arc::new(move || check(database.clone()).boxed());
    let routes = http::webhook_routes(engine.registry().clone());
    Ok(App { executor: engine, readiness, resources, metrics, routes })
}

async fn check(database: Database) -> Vec<NotReady> {
    let sql = Sql::text(database.dialect(), "SELECT position FROM tandem_head");
    match database.query(sql).await {
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::warn!(%error, "the database cannot be read");
            vec![NotReady { part: "database", reason: "it cannot be read".to_owned() }]
        }
    }
}

/// The SDL of the API of these resources.
pub fn schema(resources: &ResourceSettings) -> anyhow::Result<String> {
    Ok(types::build(&read_catalog(resources)?)?.sdl)
}

/// Brings the tables in line with the resources.
///
/// # Errors
/// If steps are refused, [`tables::Error::Refused`]; then nothing is changed.
pub async fn migrate(
    resources: &ResourceSettings,
    database: &DatabaseSettings,
    allowed: &Allowed,
) -> anyhow::Result<Plan> {
    let catalog = read_catalog(resources)?;
    Ok(parts::migrate(database.url().expose(), &catalog, allowed).await?.0)
}

/// What [`migrate`] would do. Changes nothing, and may run beside a server.
pub async fn plan(
    resources: &ResourceSettings,
    database: &DatabaseSettings,
    allowed: &Allowed,
) -> anyhow::Result<Plan> {
    let catalog = read_catalog(resources)?;
    let conn = parts::connect(database.url().expose()).await?;
    let plan = tables::plan(&conn, &catalog, allowed).await;
    conn.close().await?;
    Ok(plan?)
}

fn read_catalog(settings: &ResourceSettings) -> anyhow::Result<Catalog> {
    let path = &settings.resources;
    let shown = path.display().to_string();
    let source = fs::read_to_string(path)
        .with_context(|| format!("the resource file {shown} cannot be read (--resources, TANDEM_RESOURCES)"))?;
    Ok(catalog::parse(&shown, &source).map_err(|problems| BadInput(problems.to_string()))?)
}
