//! The command line: `serve` (also without a command), `schema`, `migrate`, `token`, `verify`.
//!
//! Each command has a file with its arguments and what it prints; the work is done by [`crate::app`]. Exit status:
//! 0 done, 1 failed, 2 the command line, a setting or the resource file is wrong, 3 the resource file asks for changes of
//! the tables that are refused.

mod migrate;
mod schema;
mod token;
mod verify;

use std::ffi::OsString;
use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command as ClapCommand, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::app::{self, BadInput, parts};
use crate::auth::KeyError;
use crate::config::{self, Settings};
use crate::store::tables;

/// GraphQL resources with live and durable push, from one log.
///
/// Declare resources in one GraphQL file and start the server: clients query and mutate them, subscribe to their changes,
/// and register webhooks that get the same changes. Each setting is a flag and an environment variable; the flag wins.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server (the default)
    Serve(Box<Settings>),
    /// Print the GraphQL schema of the API
    Schema(schema::Schema),
    /// Bring the tables in line with the resource file, or show what that would do
    Migrate(Box<migrate::Migrate>),
    /// Make a token that the server accepts
    Token(Box<token::Token>),
    /// Check a request that a receiver of webhooks got, and say why it is not valid
    Verify(verify::Verify),
}

/// Runs a command line, the name of the program included.
pub fn run(line: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line: Vec<_> = line.into_iter().collect();
    let cli = match parse(&line) {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come here too, with status 0.
            let _ = error.print();
            print_variable(&error, &line);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match cli.command.unwrap_or_else(|| Command::Serve(Box::new(cli.settings))) {
        Command::Serve(settings) => block_on(app::serve(*settings)),
        Command::Schema(command) => command.run(),
        Command::Migrate(command) => block_on(command.run()),
        Command::Token(command) => command.run(),
        Command::Verify(command) => block_on(command.run()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", described(&error));
            ExitCode::from(status(&error))
        }
    }
}

fn parse(line: &[OsString]) -> Result<Cli, clap::Error> {
    let mut matches = command().try_get_matches_from(line)?;
    Cli::from_arg_matches_mut(&mut matches)
}

/// The command without the values of variables in its help: some of them are secret.
fn command() -> ClapCommand {
    fn hide(command: ClapCommand) -> ClapCommand {
        command.mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(hide)
    }
    hide(Cli::command())
}

/// A value that is wrong is reported with its flag, also if it came from the variable: then that is said too.
fn print_variable(error: &clap::Error, line: &[OsString]) {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return;
    }
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return };
    let Some(flag) = shown.split_whitespace().next() else { return };
    let is_given = line.iter().any(|part| part.to_string_lossy().split('=').next() == Some(flag));
    let command = command();
    let variable = std::iter::once(&command)
        .chain(command.get_subcommands())
        .flat_map(ClapCommand::get_arguments)
        .find(|arg| arg.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long)))
        .and_then(|arg| arg.get_env());
    if let (false, Some(variable)) = (is_given, variable) {
        let _ = writeln!(io::stderr(), "\nThe value is that of the variable {}.", variable.to_string_lossy());
    }
}

fn block_on(future: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("tandem").build()?.block_on(future)
}

/// An error with its causes. The diagnostics of a resource file say themselves that they are errors.
fn described(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    if text.starts_with("error: ") { text } else { format!("error: {text}") }
}

fn status(error: &anyhow::Error) -> u8 {
    let is_input = |cause: &(dyn std::error::Error + 'static)| {
        let is_key = matches!(cause.downcast_ref(), Some(parts::Error::Vault(error)) if error.is_setting());
        is_key || cause.is::<config::Error>() || cause.is::<KeyError>() || cause.is::<BadInput>()
    };
    match error {
        error if error.chain().any(is_input) => 2,
        error if error.chain().any(is_refusal) => 3,
        _ => 1,
    }
}

fn is_refusal(cause: &(dyn std::error::Error + 'static)) -> bool {
    let opened = cause.downcast_ref().and_then(|error| match error {
        parts::Error::Tables(error) => Some(error),
        _ => None,
    });
    let refusal = opened.or_else(|| cause.downcast_ref());
    matches!(refusal, Some(tables::Error::Refused(_) | tables::Error::WouldRefuse(_)))
}

/// Prints the result of a command. A reader that has gone away, such as `head`, is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Cli, clap::Error> {
        let words: Vec<_> = text.split(' ').map(OsString::from).collect();
        parse(&words)
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn serve_is_the_default() {
        let address = |cli: Cli| match cli.command {
            Some(Command::Serve(settings)) => settings.server.listen.to_string(),
            None => cli.settings.server.listen.to_string(),
            Some(other) => panic!("{other:?}"),
        };
        for text in ["tandem --listen 127.0.0.1:1", "tandem serve --listen 127.0.0.1:1"] {
            assert_eq!(address(line(text).unwrap()), "127.0.0.1:1", "{text}");
        }
        assert!(line("tandem --listen 127.0.0.1:1 schema").is_err());
    }

    #[test]
    fn every_setting_has_a_variable_and_every_argument_a_help() {
        let command = command();
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            for arg in command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
                let name = format!("{} {}", command.get_name(), arg.get_id());
                assert!(arg.get_help().is_some(), "{name}");
                assert!(arg.is_hide_env_values_set(), "{name}");
                let is_setting = arg.get_help_heading().is_some();
                assert_eq!(arg.get_env().is_some(), is_setting, "{name}");
            }
        }
    }

    #[test]
    fn wrong_lines_have_status_2() {
        for text in [
            "tandem --listen here",
            "tandem --nonsense",
            "tandem nonsense",
            "tandem token",
            "tandem --live-keepalive 0s",
        ] {
            assert_eq!(line(text).unwrap_err().exit_code(), 2, "{text}");
        }
        assert_eq!(line("tandem --help").unwrap_err().exit_code(), 0);
        assert_eq!(
            status(
                &anyhow::Error::new(config::Error::from(crate::auth::SettingsError::SeveralKeys)).context("starting")
            ),
            2
        );
        assert_eq!(status(&anyhow::anyhow!("the disk is full")), 1);
        let refused = || tables::Error::Refused(tables::Plan::default());
        assert_eq!(status(&anyhow::Error::new(parts::Error::from(refused())).context("starting")), 3);
        assert_eq!(status(&anyhow::Error::new(refused())), 3);
    }

    #[test]
    fn errors_are_called_so_once() {
        let disk = anyhow::anyhow!("the disk is full").context("the file cannot be written");
        assert_eq!(described(&disk), "error: the file cannot be written: the disk is full");
        let diagnostics = anyhow::Error::new(BadInput("error: unknown type".to_owned()));
        assert_eq!(described(&diagnostics), "error: unknown type");
    }
}
