//! Agents' tokens: JWTs by configured keys.
//!
//! Which algorithm a token may use is decided by the key, never by the token's header. `exp`, `aud`, `iss` and `sub` must
//! be there (the library's defaults accept a token without `aud` and `iss`), `nbf` is checked, and clocks may differ by 30 s.
//! `jku`, `jwk` and `x5u` of a header are ignored, a header with `crit` is refused.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::model::{TokenScope, TokenScopes};
use crate::service::config::{Config, ConfigError};

/// How far clocks may differ.
const LEEWAY_S: u32 = 30;

/// Longer than any honest token: what is longer is not even decoded.
const LONGEST_TOKEN_BYTES: usize = 8 * 1024;

/// Longest `sub`, in characters.
const LONGEST_SUBJECT: usize = 128;

/// Shortest shared secret: the length of the hash, below which it could be guessed from a token.
const SHORTEST_SECRET_BYTES: usize = 32;

/// Whose tokens are believed.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// The `iss` of every token.
    pub issuer: String,
    /// The `aud` of every token.
    pub audience: String,
    /// At least one.
    pub keys: Vec<AuthKey>,
}

impl AuthSettings {
    /// The section `[auth]`, its secrets read.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        let mut keys = Vec::new();
        for material in config.hs256_secrets()? {
            keys.push(AuthKey { id: None, algorithm: TokenAlgorithm::Hs256, material });
        }
        let (path, algorithm) = (&config.auth.public_key_file, &config.auth.public_key_algorithm);
        if !path.is_empty() {
            let wrong = |key: &str, why: String| ConfigError::Value { key: key.to_owned(), why };
            let pem = std::fs::read_to_string(path)
                .map_err(|error| wrong("auth.public_key_file", format!("{path}: {error}")))?;
            let algorithm = algorithm
                .parse()
                .map_err(|error: AuthSettingsError| wrong("auth.public_key_algorithm", error.to_string()))?;
            // Several, one after the other, while they are changed.
            for material in pem.split_inclusive("-----END PUBLIC KEY-----").filter(|block| !block.trim().is_empty()) {
                keys.push(AuthKey { id: None, algorithm, material: SecretString::from(material.trim()) });
            }
        }
        match keys.is_empty() {
            false => Ok(Self { issuer: config.auth.issuer.clone(), audience: config.auth.audience.clone(), keys }),
            true => Err(ConfigError::Value {
                key: "auth".to_owned(),
                why: "set auth.hs256_secret_file or auth.public_key_file: without a key nobody could come in"
                    .to_owned(),
            }),
        }
    }
}

/// A key that tokens may be signed with.
#[derive(Clone, Debug)]
pub struct AuthKey {
    /// When set, only tokens naming this `kid` are tried with it.
    pub id: Option<String>,
    /// The one algorithm it is used with.
    pub algorithm: TokenAlgorithm,
    /// The shared secret, or the public key as PEM.
    pub material: SecretString,
}

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// A secret shared with whoever makes tokens.
    Hs256,
    /// RSA.
    Rs256,
    /// Elliptic curve P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthSettingsError {
    /// Nobody could ever come in.
    #[error("no key is set: agents' tokens could not be checked")]
    NoKey,
    /// Could be guessed.
    #[error("a shared secret needs at least {SHORTEST_SECRET_BYTES} bytes")]
    ShortSecret,
    /// Anybody who knows the public key could make tokens.
    #[error("a public key was given as a shared secret")]
    PublicSecret,
    /// Not a key of this kind.
    #[error("the {0} key cannot be read: {1}")]
    Unreadable(TokenAlgorithm, String),
    /// Not one of ours.
    #[error("unknown algorithm \"{0}\": use HS256, RS256, ES256 or EdDSA")]
    UnknownAlgorithm(String),
}

impl fmt::Display for TokenAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        })
    }
}

impl FromStr for TokenAlgorithm {
    type Err = AuthSettingsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.to_string() == text)
            .ok_or_else(|| AuthSettingsError::UnknownAlgorithm(text.to_owned()))
    }
}

/// Who a believed token speaks for, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The token's `sub`: an agent's name, or a program's.
    pub subject: String,
    /// What it is good for. A token that says nothing of it is an agent's.
    pub scopes: TokenScopes,
    /// When the session ends, clocks' difference included.
    pub until: DateTime<Utc>,
    /// Which key said so.
    pub key: KeyMark,
}

/// Names a key of tokens and tells nothing of it: a digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyMark([u8; 32]);

/// The token is not believed. Why is nobody's business but the log's; the words quote nothing of the token.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Denied(&'static str);

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Self(match error.kind() {
            ErrorKind::ExpiredSignature => "it has expired",
            ErrorKind::ImmatureSignature => "it is not valid yet",
            ErrorKind::InvalidSignature => "its signature is wrong",
            ErrorKind::InvalidIssuer => "its issuer is another",
            ErrorKind::InvalidAudience => "it is for another audience",
            ErrorKind::MissingRequiredClaim(_) => "a claim is missing",
            _ => "it cannot be read",
        })
    }
}

/// Checks tokens.
pub struct Verifier {
    keys: RwLock<Arc<[Key]>>,
}

struct Key {
    mark: KeyMark,
    id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    // Read again, strictly: the library also takes a list of issuers.
    #[serde(rename = "iss")]
    _iss: String,
    exp: f64,
    /// As OAuth has it: words with spaces between (RFC 8693, section 4.2).
    scope: Option<String>,
}

impl Verifier {
    /// Reads the keys.
    pub fn new(settings: &AuthSettings) -> Result<Self, AuthSettingsError> {
        Ok(Self { keys: RwLock::new(Self::read(settings)?) })
    }

    /// From now on believes these keys alone; those before stay when one of these cannot be used.
    pub fn replace(&self, settings: &AuthSettings) -> Result<(), AuthSettingsError> {
        let keys = Self::read(settings)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    fn read(settings: &AuthSettings) -> Result<Arc<[Key]>, AuthSettingsError> {
        if settings.keys.is_empty() {
            return Err(AuthSettingsError::NoKey);
        }
        let key = |key: &AuthKey| {
            let mut validation = Validation::new(match key.algorithm {
                TokenAlgorithm::Hs256 => Algorithm::HS256,
                TokenAlgorithm::Rs256 => Algorithm::RS256,
                TokenAlgorithm::Es256 => Algorithm::ES256,
                TokenAlgorithm::EdDsa => Algorithm::EdDSA,
            });
            validation.set_issuer(&[&settings.issuer]);
            validation.set_audience(&[&settings.audience]);
            validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
            validation.validate_nbf = true;
            validation.leeway = u64::from(LEEWAY_S);
            let mark = KeyMark(Sha256::digest(key.material.expose_secret()).into());
            Ok(Key { mark, id: key.id.clone(), key: decoding_key(key)?, validation })
        };
        settings.keys.iter().map(key).collect()
    }

    /// Whether tokens by this key are believed: not after it was taken away.
    pub fn believes(&self, mark: KeyMark) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).iter().any(|key| key.mark == mark)
    }

    /// Checks a token.
    pub fn verify(&self, token: &str) -> Result<Identity, Denied> {
        if token.len() > LONGEST_TOKEN_BYTES {
            return Err(Denied("it is too long"));
        }
        let header = decode_header(token)?;
        // A token made for something else (a logout, a proof of possession) says so here.
        let typ = header.typ.as_deref().unwrap_or("JWT");
        if !["JWT", "at+jwt", "application/at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ)) {
            return Err(Denied("it is a token of another type"));
        }
        if header.crit.is_some() {
            return Err(Denied("its header has critical fields"));
        }
        let fits =
            |key: &&Key| key.validation.algorithms.contains(&header.alg) && (key.id.is_none() || key.id == header.kid);
        let mut denied = Denied("no key fits its kid and algorithm");
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        for key in keys.iter().filter(fits) {
            match decode::<Claims>(token, &key.key, &key.validation) {
                Ok(token) => return identity(&token.claims, key.mark),
                Err(error) => denied = error.into(),
            }
        }
        Err(denied)
    }
}

fn identity(claims: &Claims, key: KeyMark) -> Result<Identity, Denied> {
    let expires = DateTime::from_timestamp(claims.exp.ceil() as i64, 0);
    let until = expires.and_then(|at| at.checked_add_signed(TimeDelta::seconds(i64::from(LEEWAY_S))));
    let scopes = match &claims.scope {
        Some(words) => TokenScopes::from_words(words.split(' ')),
        None => TokenScopes::from_iter([TokenScope::Agent]),
    };
    let length = claims.sub.chars().count();
    let named = (1..=LONGEST_SUBJECT).contains(&length) && !claims.sub.contains(char::is_control);
    match (named, until) {
        _ if scopes.is_empty() => Err(Denied("its scope has no word of ours")),
        (true, Some(until)) => Ok(Identity { subject: claims.sub.clone(), scopes, until, key }),
        _ => Err(Denied("its sub is no name, or its exp out of range")),
    }
}

fn decoding_key(key: &AuthKey) -> Result<DecodingKey, AuthSettingsError> {
    let material = key.material.expose_secret().as_bytes();
    let read = match key.algorithm {
        TokenAlgorithm::Hs256 if material.starts_with(b"-----BEGIN") => return Err(AuthSettingsError::PublicSecret),
        TokenAlgorithm::Hs256 if material.len() < SHORTEST_SECRET_BYTES => return Err(AuthSettingsError::ShortSecret),
        TokenAlgorithm::Hs256 => return Ok(DecodingKey::from_secret(material)),
        TokenAlgorithm::Rs256 => DecodingKey::from_rsa_pem(material),
        TokenAlgorithm::Es256 => DecodingKey::from_ec_pem(material),
        TokenAlgorithm::EdDsa => DecodingKey::from_ed_pem(material),
    };
    read.map_err(|error| AuthSettingsError::Unreadable(key.algorithm, error.to_string()))
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
