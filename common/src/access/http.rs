//! Letting a request in, or answering why not.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};

use super::{Identity, Rule, TokenScope, Verifier};
use crate::model::AgentId;
use crate::service::problem::Problem;
use crate::store::{AgentStanding, Database};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Of the token; an agent's scopes are those that both the token and the agent's row have.
    pub identity: Identity,
    /// The agent's key, when the caller is one.
    pub agent: Option<AgentId>,
}

/// Why the bearer of a believed token is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The token is an agent's, and there is no such agent.
    Unknown,
    /// The agent is disabled.
    Disabled,
    /// The token, or what is left of it by the agent's row, has no scope that the rule lets in.
    Scope(&'static [TokenScope]),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no agent of this name"),
            Self::Disabled => f.write_str("this agent is disabled"),
            Self::Scope(allow) => {
                write!(f, "this needs a token with one of the scopes {}", words(allow))
            }
        }
    }
}

fn words(scopes: &[TokenScope]) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
}

impl Caller {
    /// Whether the token's bearer may do what `rule` is about: the one decision, for REST and websockets. `standing` is of
    /// the agent whom the token names, when there is one.
    pub fn admit(mut identity: Identity, standing: Option<AgentStanding>, rule: &Rule) -> Result<Self, Refused> {
        let personal = identity.scopes.has_any(&[TokenScope::Agent, TokenScope::Bot, TokenScope::Supervisor]);
        match &standing {
            Some(agent) if !agent.enabled => return Err(Refused::Disabled),
            Some(agent) => identity.scopes = identity.scopes.and(agent.scopes),
            None if personal => return Err(Refused::Unknown),
            None => {}
        }
        match identity.scopes.has_any(rule.allow) {
            true => Ok(Self { identity, agent: standing.map(|agent| agent.id) }),
            false => Err(Refused::Scope(rule.allow)),
        }
    }

    /// Whose eyes decide what is shown: an agent's, or none when every chat may be seen. For `chat_visible`.
    pub fn viewer(&self) -> Option<AgentId> {
        // Whoever is no agent and may not see everything sees what nobody has: no agent has the id 0.
        (!self.identity.scopes.see_all()).then(|| self.agent.unwrap_or(AgentId(0)))
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
        let identity = self.verifier.verify(token.expose_secret()).map_err(|denied| {
            tracing::info!(%denied, rule = rule.name, "a token was not believed");
            Problem::unauthorized("the token is not accepted")
        })?;
        let standing = self.database.agent_standing(&identity.subject).await?;
        Caller::admit(identity, standing, rule).map_err(|refused| Problem::forbidden(refused.to_string()))
    }
}
