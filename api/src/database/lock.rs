//! The right of one process to an SQLite file.
//!
//! Positions would stay gapless with two processes, but leases, the hub's wake-ups and the numbers of webhooks rely on
//! there being one.

use std::fs::{File, TryLockError};

use super::Error;

/// A lock beside the database file, held until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "it is held, not used")] File);

impl FileLock {
    /// Takes the lock of the database file at `path`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if another process has it.
    pub fn take(path: &str) -> Result<Self, Error> {
        let lock = format!("{path}.lock");
        let cannot = |error: std::io::Error| Error::Other(format!("the lock file {lock} cannot be made: {error}"));
        let file = File::options().create(true).write(true).truncate(false).open(&lock).map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Unavailable(format!(
                "{path} is in use by another tandem; one process owns an SQLite file, several can share a PostgreSQL"
            ))),
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tandem.db").display().to_string();
        let first = FileLock::take(&path).unwrap();
        assert!(FileLock::take(&path).unwrap_err().to_string().contains("in use by another tandem"));
        drop(first);
        FileLock::take(&path).unwrap();
    }
}
