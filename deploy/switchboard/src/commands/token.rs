//! `switchboard token`

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use secrecy::ExposeSecret;
use serde::Serialize;
use switchboard_common::model::{TokenScope, TokenScopes};
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
    scope: String,
}

/// Prints a token.
pub fn run(config: &Config, args: &TokenArgs) -> anyhow::Result<()> {
    let secret = config.hs256_secrets()?.into_iter().next().ok_or_else(|| {
        anyhow::anyhow!(
            "auth.hs256_secret is not set: tokens are made elsewhere, or set it (or auth.hs256_secret_file)"
        )
    })?;
    let now = get_current_timestamp();
    let (subject, scopes) = match (&args.agent, &args.service) {
        (Some(agent), _) if args.scopes.is_empty() => (agent, TokenScopes::from_iter([TokenScope::Agent])),
        (Some(name), _) | (None, Some(name)) => (name, args.scopes.iter().copied().collect()),
        (None, None) => anyhow::bail!("say for whom: --agent or --service"),
    };
    let personal = [TokenScope::Agent, TokenScope::Bot, TokenScope::Supervisor];
    anyhow::ensure!(
        args.service.is_none() || !scopes.has_any(&personal),
        "agent, bot and supervisor are scopes of agents: make one, and a token with --agent"
    );
    let claims = Claims {
        sub: subject,
        iss: &config.auth.issuer,
        aud: &config.auth.audience,
        iat: now,
        nbf: now,
        exp: now + super::seconds("--ttl", &args.ttl)?,
        scope: scopes.to_string(),
    };
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    println!("{}", encode(&Header::new(Algorithm::HS256), &claims, &key)?);
    Ok(())
}
