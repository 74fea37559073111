//! Letting a request in, or answering why not.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};

use super::{Identity, Rule, TokenScope, Verifier};
use crate::model::AgentId;
use crate::service::problem::Problem;
use crate::store::Database;

/// The token of an `Authorization: Bearer` header. Never read from a URL or a cookie.
pub fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| SecretString::from(token.trim()))
}

/// Lets REST requests in by their token and a rule.
#[derive(Clone)]
pub struct Gate {
    verifier: Arc<Verifier>,
    database: Database,
}

/// Whoever was let in.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Of the token; an agent's scopes are those that both the token and the agent's row have.
    pub identity: Identity,
    /// The agent's key, when the caller is one.
    pub agent: Option<AgentId>,
}

impl Caller {
    /// Whose eyes decide what is shown: an agent's, or none when every chat may be seen. For `chat_visible`.
    pub fn viewer(&self) -> Option<AgentId> {
        let sees_all = self.identity.scopes.has_any(&[TokenScope::Supervisor, TokenScope::Loader, TokenScope::Admin]);
        self.agent.filter(|_| !sees_all)
    }
}

impl Gate {
    /// Makes it.
    pub fn new(verifier: Arc<Verifier>, database: Database) -> Self {
        Self { verifier, database }
    }

    /// Lets the request in by `rule`, or says why not: 401 without a believed token, 403 without the scope.
    pub async fn admit(&self, headers: &HeaderMap, rule: &Rule) -> Result<Caller, Problem> {
        let token = bearer(headers).ok_or_else(|| Problem::unauthorized("send a token: Authorization: Bearer"))?;
        let mut identity = self.verifier.verify(token.expose_secret()).map_err(|denied| {
            tracing::info!(%denied, rule = rule.name, "a token was not believed");
            Problem::unauthorized("the token is not accepted")
        })?;
        let agent = self.database.agent_standing(&identity.subject).await?;
        let personal = identity.scopes.has_any(&[TokenScope::Agent, TokenScope::Bot, TokenScope::Supervisor]);
        match &agent {
            Some(agent) if !agent.enabled => return Err(Problem::forbidden("this agent is disabled")),
            Some(agent) => identity.scopes = identity.scopes.and(agent.scopes),
            None if personal => return Err(Problem::forbidden("there is no agent of this name")),
            None => {}
        }
        if !identity.scopes.has_any(rule.allow) {
            let words: Vec<&str> = rule.allow.iter().map(|scope| scope.as_str()).collect();
            return Err(Problem::forbidden(format!("this needs a token with one of the scopes {}", words.join(", "))));
        }
        Ok(Caller { identity, agent: agent.map(|agent| agent.id) })
    }
}
