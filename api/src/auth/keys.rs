//! Keys that verify tokens, from files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Secret;
use super::jwks;
use super::key::Key;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Why the keys could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file could not be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// It is no PEM file with a public key of a known type.
    #[error("{}: expected a PEM file with one RSA, P-256, P-384 or Ed25519 public key: {reason}", path.display())]
    NotAPublicKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The secret file has too little in it.
    #[error("{}: the secret has {length_bytes} bytes, at least 32 are needed", path.display())]
    ShortSecret {
        /// Which file.
        path: PathBuf,
        /// How many it has.
        length_bytes: usize,
    },
    /// The key set could not be loaded.
    #[error(transparent)]
    Jwks(#[from] jwks::LoadError),
}

/// The public key in a PEM file. Its type decides the algorithm: RS256, ES256 (ES384 for P-384) or EdDSA.
pub(super) fn public_key(path: &Path) -> Result<Key, KeyError> {
    let pem = fs::read(path).map_err(|reason| KeyError::File { path: path.to_owned(), reason })?;
    Key::from_pem(&pem).map_err(|reason| KeyError::NotAPublicKey { path: path.to_owned(), reason })
}

/// The secret in this file; made, readable by its owner alone, if the file is not there.
///
/// Two processes that start at once end up with the same secret: the file appears complete or not at all.
pub fn local_secret(path: &Path) -> Result<Secret, KeyError> {
    let failed = |reason| KeyError::File { path: path.to_owned(), reason };
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_secret(path).map_err(failed)?,
        Err(error) => return Err(failed(error)),
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    match text.trim() {
        secret if secret.len() < 32 => Err(KeyError::ShortSecret { path: path.to_owned(), length_bytes: secret.len() }),
        secret => Ok(Secret::new(secret)),
    }
}

fn create_secret(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    let bytes: [u8; 32] = rand::random();
    writeln!(file, "{}", URL_SAFE_NO_PAD.encode(bytes))?;
    file.sync_all()?;
    // Unlike a rename, a link never replaces the secret that another process may have made meanwhile.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_secret_is_made_once_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data").join("jwt-secret");
        let first = local_secret(&path).unwrap();
        assert!(first.expose().len() >= 32);
        assert_eq!(local_secret(&path).unwrap(), first);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(&path, "short\n").unwrap();
        assert!(matches!(local_secret(&path), Err(KeyError::ShortSecret { length_bytes: 5, .. })));
    }
}
