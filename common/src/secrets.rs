//! Secrets are named by reference and read when needed: from a file, a credential of the service manager or the
//! environment, never a flag. Files are read again when they change.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};

/// A secret's file is looked at no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a secret's reference could not be followed. Never holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretRefError {
    /// Not of a form we know. What was given is not shown: it may be the secret itself.
    #[error(
        "this is no reference to a secret: write file:/path, credential:NAME or env:NAME, so that the secret itself is stored nowhere"
    )]
    Form,
    /// The file could not be read.
    #[error("cannot read the secret file {path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    Variable(String),
    /// There is nothing in it.
    #[error("the secret at {0} is empty")]
    Empty(String),
}

/// Reads the secret that `file:/path`, `credential:NAME` (a file in `$CREDENTIALS_DIRECTORY`) or `env:NAME` refers to;
/// white space around it is dropped.
pub fn resolve_secret(reference: &str) -> Result<SecretString, SecretRefError> {
    let text = match file_of(reference)? {
        Some(path) => std::fs::read_to_string(&path)
            .map_err(|error| SecretRefError::File { path: path.display().to_string(), error })?,
        None => variable(reference.split_once(':').map_or("", |(_, name)| name))?,
    };
    match text.trim() {
        "" => Err(SecretRefError::Empty(reference.to_owned())),
        secret => Ok(SecretString::from(secret)),
    }
}

/// The file that a reference names; none: it names a variable.
fn file_of(reference: &str) -> Result<Option<PathBuf>, SecretRefError> {
    match reference.split_once(':') {
        Some(("file", path)) => Ok(Some(PathBuf::from(path))),
        Some(("credential", name)) if !name.is_empty() && !name.contains('/') && name != ".." => {
            variable("CREDENTIALS_DIRECTORY").map(|folder| Some(Path::new(&folder).join(name)))
        }
        Some(("env", _)) => Ok(None),
        _ => Err(SecretRefError::Form),
    }
}

#[allow(clippy::disallowed_methods)] // the one place where a reference reads the environment
fn variable(name: &str) -> Result<String, SecretRefError> {
    std::env::var(name).map_err(|_| SecretRefError::Variable(name.to_owned()))
}

/// A secret that is read again when its file changes, so that it can be changed without a restart. A file that cannot be
/// read, or is empty, leaves what was there before.
pub struct SecretFile {
    reference: String,
    path: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    secret: SecretString,
    stamp: Option<Stamp>,
    looked: Instant,
}

/// Changes whenever the file does, also when it is replaced by another with the times of the old one.
type Stamp = (u64, u64, i64, i64, u64);

impl SecretFile {
    /// Reads the secret that a reference names.
    pub fn open(reference: &str) -> Result<Self, SecretRefError> {
        let path = file_of(reference)?;
        // Before the read: what changes in between is seen as a change.
        let stamp = path.as_deref().and_then(stamp);
        let secret = resolve_secret(reference)?;
        let state = Mutex::new(State { secret, stamp, looked: Instant::now() });
        Ok(Self { reference: reference.to_owned(), path, state })
    }

    /// A secret that was given directly and never changes.
    pub fn fixed(secret: SecretString) -> Self {
        let state = Mutex::new(State { secret, stamp: None, looked: Instant::now() });
        Self { reference: String::new(), path: None, state }
    }

    /// The secret as it is now; its file is looked at once a second at most.
    pub fn current(&self) -> SecretString {
        let mut state = self.lock();
        if state.looked.elapsed() >= LOOK_EVERY {
            self.look(&mut state);
        }
        state.secret.clone()
    }

    /// Looks at the file at once, because the secret was refused; true when there is another one now.
    pub fn reread(&self) -> bool {
        let mut state = self.lock();
        state.stamp = None;
        self.look(&mut state)
    }

    fn look(&self, state: &mut State) -> bool {
        state.looked = Instant::now();
        let Some(path) = &self.path else { return false };
        let stamp = stamp(path);
        if stamp.is_some() && stamp == state.stamp {
            return false;
        }
        match resolve_secret(&self.reference) {
            Ok(secret) => {
                let changed = secret.expose_secret() != state.secret.expose_secret();
                if changed {
                    tracing::info!(file = %path.display(), "a secret has changed");
                }
                (state.secret, state.stamp) = (secret, stamp);
                changed
            }
            Err(error) => {
                if state.stamp.take().is_some() {
                    tracing::error!(%error, "a changed secret cannot be read: the one before stays in use");
                }
                false
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretFile").field("path", &self.path).finish_non_exhaustive()
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.dev(), data.ino(), data.ctime(), data.ctime_nsec(), data.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    struct File(PathBuf);

    impl File {
        fn new(text: &str) -> Self {
            let file = Self(std::env::temp_dir().join(format!("switchboard-secret-{}", uuid::Uuid::new_v4())));
            file.write(text);
            file
        }

        fn write(&self, text: &str) {
            std::fs::write(&self.0, text).unwrap();
        }

        fn reference(&self) -> String {
            format!("file:{}", self.0.display())
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn now(secret: &SecretFile) -> String {
        secret.lock().looked = Instant::now() - LOOK_EVERY;
        secret.current().expose_secret().to_owned()
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_is_not_believed() {
        let file = File::new("one\n");
        let secret = SecretFile::open(&file.reference()).unwrap();
        assert_eq!(now(&secret), "one");
        file.write("two");
        assert_eq!(secret.current().expose_secret(), "one", "it was looked at a moment ago");
        assert_eq!(now(&secret), "two");
        for broken in ["", " \n"] {
            file.write(broken);
            assert_eq!(now(&secret), "two");
        }
        std::fs::remove_file(&file.0).unwrap();
        assert_eq!(now(&secret), "two");
        // Replaced as tools do it: written beside, then renamed; same length.
        let beside = File::new("six");
        std::fs::rename(&beside.0, &file.0).unwrap();
        assert_eq!(now(&secret), "six");
        assert!(!secret.reread());
        file.write("ten");
        assert!(secret.reread() && !secret.reread());
        assert_eq!(secret.current().expose_secret(), "ten");
        assert!(!format!("{secret:?}").contains("ten"));
    }

    #[test]
    fn only_references_are_followed() {
        for bad in ["hunter2", "", "files:/x", "credential:", "credential:../x", "credential:..", "https://x/y"] {
            let error = SecretFile::open(bad).unwrap_err();
            assert!(matches!(error, SecretRefError::Form), "{bad}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        // Cargo runs tests without a service manager.
        assert!(matches!(SecretFile::open("credential:x"), Err(SecretRefError::Variable(_))));
        assert!(matches!(SecretFile::open("env:SWITCHBOARD_NO_SUCH"), Err(SecretRefError::Variable(_))));
        assert_eq!(SecretFile::open("env:PATH").map(|secret| secret.reread()).ok(), Some(false));
        let empty = File::new("\n");
        assert!(matches!(SecretFile::open(&empty.reference()), Err(SecretRefError::Empty(_))));
    }
}
