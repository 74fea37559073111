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
    let secret = config.hs256_secret()?.ok_or_else(|| {
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
        exp: now + seconds(&args.ttl)?,
    };
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    println!("{}", encode(&Header::new(Algorithm::HS256), &claims, &key)?);
    Ok(())
}

/// `90s`, `30m`, `12h`, `7d`.
fn seconds(text: &str) -> anyhow::Result<u64> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => anyhow::bail!("--ttl {text}: write a number and s, m, h or d, for example 12h"),
    };
    let number: u64 = number.parse().map_err(|_| anyhow::anyhow!("--ttl {text}: \"{number}\" is no number"))?;
    number.checked_mul(factor).ok_or_else(|| anyhow::anyhow!("--ttl {text}: too long"))
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn spans_are_read() {
        assert_eq!(seconds("12h").expect("a span"), 43_200);
        assert!(seconds("12").is_err() && seconds("").is_err() && seconds("h").is_err());
    }
}
