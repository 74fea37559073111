//! By what an account's webhook requests are known. Read anew when the file changes, so that a rotation needs no restart.

use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use switchboard_common::service::config::SecretFile;

use crate::platform::SettingsError;

/// While a secret is replaced there are two: the new one in the first line, the old one in the second.
const AT_ONCE: usize = 2;

/// What is wrong with a secret, in the platform's eyes.
type Check = fn(&str) -> Result<(), &'static str>;

/// The secrets of one account.
#[derive(Debug)]
pub struct Secrets {
    file: SecretFile,
    check: Check,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    text: SecretString,
    secrets: Arc<[SecretString]>,
}

impl Secrets {
    /// Reads them; `check` is asked about each.
    pub fn open(reference: &str, check: Check) -> Result<Self, SettingsError> {
        let file = SecretFile::open(reference).map_err(|error| wrong(&error))?;
        let text = file.current();
        let secrets = read(&text, check)?;
        Ok(Self { file, check, state: Mutex::new(State { text, secrets }) })
    }

    /// Those in force, the newest first: the same `Arc` until the file changes. What is wrong leaves the known ones in force.
    pub fn current(&self) -> Arc<[SecretString]> {
        let text = self.file.current();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !bool::from(text.expose_secret().as_bytes().ct_eq(state.text.expose_secret().as_bytes())) {
            match read(&text, self.check) {
                Ok(secrets) => state.secrets = secrets,
                Err(error) => tracing::error!(%error, "the webhook secrets changed; those known stay in force"),
            }
            state.text = text;
        }
        state.secrets.clone()
    }
}

/// Whether `given` is one of `secrets`. How long it takes tells neither where they differ, nor how long a secret is, nor which
/// one it was: digests of equal length are compared, and all of them.
pub(crate) fn is_one_of(given: &[u8], secrets: &[SecretString]) -> bool {
    let digest = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes));
    is_among(&digest(given), secrets.iter().map(|secret| digest(secret.expose_secret().as_bytes())))
}

/// Their length is one by their type; each element of each is compared, whatever the others are.
fn is_among<T: ConstantTimeEq, const N: usize>(given: &[T; N], all: impl Iterator<Item = [T; N]>) -> bool {
    all.fold(Choice::from(0), |found, one| found | one.as_slice().ct_eq(given)).into()
}

fn wrong(why: &dyn std::fmt::Display) -> SettingsError {
    SettingsError(format!("webhook_secret: {why}"))
}

fn read(text: &SecretString, check: Check) -> Result<Arc<[SecretString]>, SettingsError> {
    let lines: Vec<&str> = text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() > AT_ONCE {
        return Err(wrong(&format!("{} lines; one secret, or the new one and below it the old", lines.len())));
    }
    for line in &lines {
        check(line).map_err(|why| wrong(&why))?;
    }
    Ok(lines.into_iter().map(SecretString::from).collect())
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "secrets_timing_tests.rs"]
mod timing_tests;
