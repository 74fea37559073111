//! Keys of tokens are changed without a restart: their files are read again every few seconds.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use secrecy::ExposeSecret;

use super::{AuthKey, AuthSettings, Verifier};
use crate::service::config::Config;
use crate::service::shutdown::Shutdown;

/// A key that was taken away is believed no longer than this.
const LOOK_EVERY: Duration = Duration::from_secs(3);

impl Verifier {
    /// Reads the keys of the section `[auth]`, and again whenever their files change, until the shutdown. New files that
    /// cannot be used leave the keys that were there.
    pub fn watched(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Arc<Self>> {
        let settings = AuthSettings::of(config)?;
        let verifier = Arc::new(Self::new(&settings).context("auth")?);
        let (watched, config, ending) = (verifier.clone(), config.clone(), shutdown.clone());
        shutdown.spawn(async move { watched.watch(&config, settings.keys, &ending).await });
        Ok(verifier)
    }

    async fn watch(&self, config: &Config, mut keys: Vec<AuthKey>, shutdown: &Shutdown) {
        let mut trouble = None;
        while shutdown.pause(LOOK_EVERY).await {
            match self.look(config, &mut keys) {
                Ok(changed) => {
                    if changed || trouble.take().is_some() {
                        tracing::info!(keys = keys.len(), "tokens are checked with the keys as they are now");
                    }
                }
                Err(error) => {
                    let words = format!("{error:#}");
                    if trouble.as_ref() != Some(&words) {
                        tracing::error!(error = words, "the keys of tokens cannot be read: those before stay in use");
                    }
                    trouble = Some(words);
                }
            }
        }
    }

    /// Takes up other keys; true when there are any.
    fn look(&self, config: &Config, keys: &mut Vec<AuthKey>) -> anyhow::Result<bool> {
        let settings = AuthSettings::of(config)?;
        if same(&settings.keys, keys) {
            return Ok(false);
        }
        self.replace(&settings).context("auth")?;
        *keys = settings.keys;
        Ok(true)
    }
}

fn same(one: &[AuthKey], other: &[AuthKey]) -> bool {
    let same = |(one, other): (&AuthKey, &AuthKey)| {
        one.algorithm == other.algorithm && one.material.expose_secret() == other.material.expose_secret()
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
    use serde_json::json;

    use super::*;

    const OLD: &str = "the old shared secret of 32 bytes and more";
    const NEW: &str = "the new shared secret of 32 bytes and more";

    fn token(secret: &str) -> String {
        let exp = get_current_timestamp() + 600;
        let claims = json!({ "sub": "anna", "iss": "switchboard", "aud": "switchboard-agents", "exp": exp });
        encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    fn config(file: &Path) -> Config {
        let variable = ("SWITCHBOARD_AUTH__HS256_SECRET_FILE".to_owned(), file.display().to_string());
        Config::load(None, std::iter::once(variable)).unwrap()
    }

    #[test]
    fn old_and_new_are_believed_while_both_are_there() {
        let file = std::env::temp_dir().join(format!("switchboard-keys-{}", uuid::Uuid::new_v4()));
        std::fs::write(&file, OLD).unwrap();
        let config = config(&file);
        let mut keys = AuthSettings::of(&config).unwrap().keys;
        let verifier = Verifier::new(&AuthSettings::of(&config).unwrap()).unwrap();
        let mut believed = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let taken = verifier.look(&config, &mut keys).is_ok();
            (taken, verifier.verify(&token(OLD)).is_ok(), verifier.verify(&token(NEW)).is_ok())
        };
        assert_eq!(believed(OLD), (true, true, false));
        assert_eq!(believed(&format!("{OLD}\n{NEW}\n")), (true, true, true));
        assert_eq!(believed(&format!("{NEW}\n\n{OLD}")), (true, true, true));
        for broken in ["", "short", &format!("{NEW}\nshort"), "-----BEGIN PUBLIC KEY-----\nis no shared secret at all"]
        {
            assert_eq!(believed(broken), (false, true, true), "{broken:?}: what was there stays");
        }
        assert_eq!(believed(&format!("{NEW}\n")), (true, false, true));
        std::fs::remove_file(&file).unwrap();
        assert!(verifier.look(&config, &mut keys).is_err() && verifier.verify(&token(NEW)).is_ok());
    }

    #[test]
    fn several_public_keys_stand_in_one_file() {
        let file = std::env::temp_dir().join(format!("switchboard-keys-{}", uuid::Uuid::new_v4()));
        let pem = include_str!("testdata/ed25519.pub.pem");
        std::fs::write(&file, format!("{pem}\n{pem}")).unwrap();
        let pair = |key: &str, value: &str| (format!("SWITCHBOARD_AUTH__{key}"), value.to_owned());
        let variables =
            [pair("PUBLIC_KEY_FILE", file.to_str().unwrap()), pair("PUBLIC_KEY_ALGORITHM", "EdDSA")].into_iter();
        let settings = AuthSettings::of(&Config::load(None, variables).unwrap()).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(settings.keys.len(), 2);
        Verifier::new(&settings).unwrap();
    }
}
