//! Links that are good for a few minutes without a token: for a browser's own download, or a player.
//!
//! A link is bound to the agent for whom it was made: it shows what that agent may see at the moment it is used.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use switchboard_common::access::rules;
use switchboard_common::model::text::{hex, unhex};
use switchboard_common::model::{AccountName, AgentId, FileId};
use switchboard_common::service::config::SecretFile;
use switchboard_common::service::problem::Problem;
use utoipa::{IntoParams, ToSchema};

use crate::entitled::{by_token, no_such_file};
use crate::server::FileServer;

/// Clocks of two hosts may differ by so much.
const LEEWAY_S: i64 = 30;

/// A link's part after the `?`. Opaque: use it as it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LinkQuery {
    /// Of a signed link.
    pub(crate) expires: Option<String>,
    /// Of a signed link.
    pub(crate) agent: Option<String>,
    /// Of a signed link.
    pub(crate) signature: Option<String>,
}

/// A signed link.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    /// Good for `GET` and `HEAD` without a token.
    #[schema(example = "https://chat.example/files/support/0123456789abcdef0123456789abcdef?expires=1&signature=2")]
    url: String,
    /// Not longer than until then.
    expires_at: DateTime<Utc>,
}

/// Makes links and believes them.
pub(crate) struct Links {
    account: AccountName,
    secret: Option<SecretFile>,
    good_for: Duration,
    base: String,
}

impl Links {
    /// A shorter key could be found by trying.
    pub(crate) const SHORTEST_SECRET_BYTES: usize = 32;

    pub(crate) fn new(account: &AccountName, secret: Option<SecretFile>, good_for: Duration, public_url: &str) -> Self {
        Self { account: account.clone(), secret, good_for, base: public_url.trim_end_matches('/').to_owned() }
    }

    /// The keys as they are now, one a line: the first signs, each is believed. One that is too short is none.
    pub(crate) fn keys(&self) -> Vec<SecretString> {
        let Some(secret) = &self.secret else { return Vec::new() };
        let now = secret.current();
        let lines = now.expose_secret().lines().map(str::trim);
        lines.filter(|line| line.len() >= Self::SHORTEST_SECRET_BYTES).map(SecretString::from).collect()
    }

    /// Without a key there are none.
    pub(crate) fn on(&self) -> Result<Vec<SecretString>, Problem> {
        let keys = self.keys();
        match keys.is_empty() {
            true => Err(Problem::not_found("signed links are switched off here: files.link_secret_file is not set")),
            false => Ok(keys),
        }
    }

    /// Makes one, for the eyes of `viewer`.
    pub(crate) fn make(&self, file: &FileId, viewer: Option<AgentId>, now: DateTime<Utc>) -> Result<Link, Problem> {
        let secret = self.on()?.into_iter().next().ok_or_else(no_such_file)?;
        // Whole seconds: rounded down, so that it is never good for longer.
        let expires = (now + self.good_for).timestamp();
        let agent = viewer.map(|viewer| viewer.to_string()).unwrap_or_default();
        let signature = hex(&self.mac(&secret, file, &expires.to_string(), &agent)?.finalize().into_bytes());
        let agent = if agent.is_empty() { agent } else { format!("&agent={agent}") };
        let url = format!("{}/files/{}/{file}?expires={expires}{agent}&signature={signature}", self.base, self.account);
        Ok(Link { url, expires_at: DateTime::from_timestamp(expires, 0).unwrap_or(now) })
    }

    /// For whose eyes a link was made; the same answer to every other one.
    pub(crate) fn believe(
        &self,
        file: &FileId,
        link: &LinkQuery,
        now: DateTime<Utc>,
    ) -> Result<Option<AgentId>, Problem> {
        let keys = self.on()?;
        let agent = link.agent.as_deref().unwrap_or_default();
        let (Some(expires), Some(signature)) = (&link.expires, &link.signature) else { return Err(no_such_file()) };
        let signature = unhex(signature).ok_or_else(no_such_file)?;
        let mut genuine = false;
        for secret in &keys {
            // Compared in constant time, and the text as it came: no second spelling is as good.
            genuine |= self.mac(secret, file, expires, agent)?.verify_slice(&signature).is_ok();
        }
        let expires: i64 = expires.parse().map_err(|_| no_such_file())?;
        let longest = i64::try_from(self.good_for.as_secs()).unwrap_or(i64::MAX).saturating_add(LEEWAY_S);
        let left = expires.saturating_sub(now.timestamp());
        if !genuine || left <= 0 || left > longest {
            return Err(no_such_file());
        }
        match agent {
            "" => Ok(None),
            agent => Ok(Some(AgentId(agent.parse().map_err(|_| no_such_file())?))),
        }
    }

    fn mac(&self, secret: &SecretString, file: &FileId, expires: &str, agent: &str) -> Result<Hmac<Sha256>, Problem> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).map_err(|_| no_such_file())?;
        // No part can hold the separator: names, numbers and digits.
        mac.update(format!("switchboard file link 1\n{}\n{file}\n{expires}\n{agent}", self.account).as_bytes());
        Ok(mac)
    }
}

/// Makes a link that is good for a few minutes without a token.
#[utoipa::path(
    post,
    path = "/files/{account}/{file}/link",
    tag = "files",
    operation_id = "linkFile",
    params(("account" = String, Path, description = "The account's name."), ("file" = String, Path, description = "The file's id.")),
    responses(
        (status = 200, description = "The link. It shows what its maker may see when it is used.", body = Link),
        (status = 401, description = "No token, or one that is not accepted.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token has not the scope.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such file, or not for these eyes; or links are switched off.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer.", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn make(
    State(server): State<FileServer>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Json<Link>, Problem> {
    // What cannot be read is no id, and that is said to those only who may ask.
    let (account, file) = path.map(|Path(path)| path).unwrap_or_default();
    let (row, viewer) = by_token(&server, &headers, &rules::FILE_LINK, &account, &file).await?;
    Ok(Json(server.links().make(&row.id, viewer, Utc::now())?))
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
