//! What a person sees when the server starts.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;

use crate::auth::KeySource;
use crate::auth::{NewToken, issue, local_secret};
use crate::config::Settings;

/// How long the admin token is valid that is printed on loopback.
const ADMIN_TOKEN_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Prints where everything is, on standard output.
pub fn print(settings: &Settings, source: &KeySource, address: SocketAddr, resources: usize) -> anyhow::Result<()> {
    let block = block(settings, source, address, resources)?;
    match io::stdout().write_all(block.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn block(settings: &Settings, source: &KeySource, address: SocketAddr, resources: usize) -> anyhow::Result<String> {
    let mut lines = vec![
        ("GraphQL", format!("http://{address}/graphql")),
        ("Console", format!("http://{address}/")),
        ("Database", settings.database.shown_url()),
        ("Resources", format!("{resources} in {}", settings.resources.resources.display())),
        ("Webhooks", format!("to public addresses; also allowed: {}", settings.webhook_allow())),
    ];
    if let Some(path) = source.local_path() {
        let token = NewToken {
            sub: "admin".to_owned(),
            roles: vec![settings.auth.admin_role.clone()],
            ttl: ADMIN_TOKEN_TTL,
            ..NewToken::default()
        };
        let token = issue(&local_secret(path)?, &settings.auth, &token).context("the admin token cannot be signed")?;
        lines.push(("Admin token", format!("{token}  (valid for 24 hours)")));
    }
    let mut block = format!("\n  Tandem {}\n\n", env!("CARGO_PKG_VERSION"));
    for (name, value) in lines {
        block.push_str(&format!("  {name:<12} {value}\n"));
    }
    block.push('\n');
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;
    use crate::config::settings;

    #[test]
    fn the_block_names_everything_and_shows_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let local = KeySource::Local(directory.path().join("jwt-secret"));
        let address = "127.0.0.1:8080".parse().unwrap();
        let settings = settings(&["--database-url", "postgres://me:hunter2@db/shop"]);
        let block = |source: &KeySource| block(&settings, source, address, 4).unwrap();
        let with_token = block(&local);
        for expected in [
            "http://127.0.0.1:8080/graphql\n",
            "http://127.0.0.1:8080/\n",
            "postgres://me@db/shop\n",
            "4 in resources.graphql\n",
            "127.0.0.0/8,::1/128\n",
            "Admin token",
        ] {
            assert!(with_token.contains(expected), "{expected}: {with_token}");
        }
        assert!(!with_token.contains("hunter2"));
        assert!(!block(&KeySource::Secret(Secret::new("x"))).contains("Admin token"));
    }
}
