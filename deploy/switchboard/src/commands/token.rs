//! `switchboard token`

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use secrecy::ExposeSecret;
use serde::Serialize;
use switchboard_common::service::config::Config;

use crate::cli::TokenArgs;

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iss: &'a str,
    aud: &'a str,
    iat: u64,
    nbf: u64,
    exp: u64,
}

/// Prints a token.
pub fn run(config: &Config, args: &TokenArgs) -> anyhow::Result<()> {
    let secret = config.hs256_secrets()?.into_iter().next().ok_or_else(|| {
        anyhow::anyhow!(
            "auth.hs256_secret is not set: tokens are made elsewhere, or set it (or auth.hs256_secret_file)"
        )
    })?;
    let now = get_current_timestamp();
    let claims = Claims {
        sub: &args.agent,
        iss: &config.auth.issuer,
        aud: &config.auth.audience,
        iat: now,
        nbf: now,
        exp: now + super::seconds("--ttl", &args.ttl)?,
    };
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    println!("{}", encode(&Header::new(Algorithm::HS256), &claims, &key)?);
    Ok(())
}
