//! Secrets are named by reference and read when needed: from a file or the environment, never a flag.

use secrecy::{ExposeSecret, SecretString};

use super::ConfigError;

/// Why a secret's reference could not be followed. Never holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretRefError {
    /// Not of a form we know. What was given is not shown: it may be the secret itself.
    #[error(
        "this is no reference to a secret: write file:/path or env:NAME, so that the secret itself is stored nowhere"
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

/// Reads the secret that `file:/path` or `env:NAME` refers to; white space around it is dropped.
pub fn resolve_secret(reference: &str) -> Result<SecretString, SecretRefError> {
    let text = match reference.split_once(':') {
        Some(("file", path)) => {
            std::fs::read_to_string(path).map_err(|error| SecretRefError::File { path: path.to_owned(), error })?
        }
        #[allow(clippy::disallowed_methods)] // the one place where a reference reads the environment
        Some(("env", name)) => std::env::var(name).map_err(|_| SecretRefError::Variable(name.to_owned()))?,
        _ => return Err(SecretRefError::Form),
    };
    match text.trim() {
        "" => Err(SecretRefError::Empty(reference.to_owned())),
        secret => Ok(SecretString::from(secret)),
    }
}

/// A secret given directly or by a file; `None` when neither is set.
pub(super) fn either(key: &str, direct: &SecretString, file: &str) -> Result<Option<SecretString>, ConfigError> {
    match (direct.expose_secret().is_empty(), file) {
        (true, "") => Ok(None),
        (false, "") => Ok(Some(direct.clone())),
        (true, path) => resolve_secret(&format!("file:{path}"))
            .map(Some)
            .map_err(|error| ConfigError::Value { key: format!("{key}_file"), why: error.to_string() }),
        (false, _) => {
            Err(ConfigError::Value { key: key.to_owned(), why: "give it directly or by file, not both".to_owned() })
        }
    }
}
