//! A PostgreSQL cluster for one run: made from the installed server binaries in a temporary folder, trusted on loopback,
//! and gone when this process ends, however it ends.
//!
//! The cluster belongs to a small shell script that waits for its standard input to end. Dropping the [`Cluster`] ends
//! it, and so does the death of this process, even by a signal that nobody can handle.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::process;

/// The oldest major version that Tandem supports.
pub const OLDEST_VERSION: u32 = 15;

const START_SECONDS: u64 = 60;

const KEEPER: &str = r#"
trap '' INT TERM HUP
folder=$1
shift
"$@" </dev/null &
server=$!
cat >/dev/null
kill -INT "$server"
wait "$server"
rm -rf "$folder"
"#;

/// The folder with the binaries of the newest installed server that is new enough.
pub fn binaries() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = debian.map(|entry| entry.path().join("bin")).chain(std::env::split_paths(&path));
    candidates
        .filter(|folder| ["initdb", "postgres", "pg_isready"].iter().all(|name| folder.join(name).is_file()))
        .filter_map(|folder| Some((version(&folder)?, folder)))
        .filter(|(version, _)| *version >= OLDEST_VERSION)
        .max()
        .map(|(_, folder)| folder)
}

/// The major version of the server in this folder. `postgres (PostgreSQL) 15.18 (Debian …)`
fn version(folder: &Path) -> Option<u32> {
    let text = process::output(Command::new(folder.join("postgres")).arg("--version"))?;
    let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A running server.
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    keeper: Child,
}

/// What a cluster promises about what it has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is on the disk, as in production: for measurements.
    Full,
    /// A power cut may take it. For tests, which are about crashes of programs.
    None,
}

impl Cluster {
    /// Makes a cluster and waits until it takes connections.
    pub fn start(durability: Durability) -> anyhow::Result<Self> {
        let binaries = binaries().context("there is no PostgreSQL server")?;
        let user = user()?;
        let folder = std::env::temp_dir().join(format!("tandem-postgres-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        match Self::start_in(&binaries, user, &folder, durability) {
            Ok(cluster) => Ok(cluster),
            Err(error) => {
                // A keeper that has taken over the folder removes it; one that never ran cannot.
                let _ = std::fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    fn start_in(
        binaries: &Path,
        user: Option<&'static str>,
        folder: &Path,
        durability: Durability,
    ) -> anyhow::Result<Self> {
        let data = folder.join("data");
        if let Some(user) = user {
            process::run(Command::new("chown").arg(user).arg(folder))?;
        }
        let mut initdb = as_user(user, &binaries.join("initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]);
        initdb.arg("--pgdata").arg(&data).current_dir(folder).stdout(Stdio::null());
        process::run(&mut initdb)?;

        let port = free_port()?;
        let mut server = as_user(user, &binaries.join("postgres"));
        server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k"]).arg(folder);
        let volatile: &[&str] = match durability {
            Durability::Full => &[],
            Durability::None => &["fsync=off", "full_page_writes=off"],
        };
        for setting in ["listen_addresses=127.0.0.1", "max_connections=300"].iter().chain(volatile) {
            server.args(["-c", setting]);
        }
        let log = File::create(folder.join("log"))?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(folder).arg(server.get_program()).args(server.get_args());
        keeper.current_dir(folder).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let keeper = keeper.spawn().context("cannot run `sh`")?;
        let mut cluster = Self { folder: folder.to_owned(), port, keeper };
        cluster.await_ready(binaries)?;
        Ok(cluster)
    }

    fn await_ready(&mut self, binaries: &Path) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS);
        let port = self.port.to_string();
        while !process::succeeds(Command::new(binaries.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port]))
        {
            if Instant::now() > deadline {
                bail!("PostgreSQL did not start within {START_SECONDS} s:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn log(&self) -> String {
        let mut text = String::new();
        let read = File::open(self.folder.join("log")).and_then(|mut file| file.read_to_string(&mut text));
        read.map_or_else(|error| error.to_string(), |_| text)
    }

    /// Where it listens, for a user who may do everything.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        if let Err(error) = self.keeper.wait() {
            eprintln!("cannot wait for PostgreSQL to stop: {error}");
        }
    }
}

/// `cargo xtask postgres`: runs a cluster until standard input ends.
pub fn serve() -> anyhow::Result<()> {
    let cluster = Cluster::start(Durability::None)?;
    eprintln!("PostgreSQL is ready; it stops when this command's input ends (Ctrl-D).");
    eprintln!("export TEST_POSTGRES_URL={}", cluster.url());
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}

/// Whom to run the server as: PostgreSQL refuses to run as root.
fn user() -> anyhow::Result<Option<&'static str>> {
    if !process::is_root() {
        return Ok(None);
    }
    let exists = |user: &&str| process::succeeds(Command::new("id").args(["-u", user]));
    let user = ["postgres", "nobody"].into_iter().find(exists);
    user.map(Some).context("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`")
}

fn as_user(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--clear-groups", "--"]).arg(program);
    command
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
