//! Who may have a file: decided for every request, by what is so at this moment.

use axum::http::HeaderMap;
use chrono::Utc;
use switchboard_common::access::{Rule, rules};
use switchboard_common::model::{AgentId, FileId};
use switchboard_common::service::problem::Problem;
use switchboard_common::store::FileRow;

use crate::link::LinkQuery;
use crate::server::FileServer;

/// The one answer to what is not there and to what is not for these eyes.
pub(crate) fn no_such_file() -> Problem {
    Problem::not_found("there is no such file")
}

/// By a signed link, or else by the token; tells whose eyes decided.
pub(crate) async fn by_link_or_token(
    server: &FileServer,
    headers: &HeaderMap,
    link: &LinkQuery,
    account: &str,
    file: &str,
) -> Result<(FileRow, Option<AgentId>), Problem> {
    if link.signature.is_none() {
        return by_token(server, headers, &rules::FILE_GET, account, file).await;
    }
    server.links().on()?;
    let id = FileId::parse(file).filter(|_| account == server.name().as_str()).ok_or_else(no_such_file)?;
    let viewer = server.links().believe(&id, link, Utc::now())?;
    Ok((find(server, &id, viewer).await?, viewer))
}

/// By the token and `rule`; tells whose eyes decided.
pub(crate) async fn by_token(
    server: &FileServer,
    headers: &HeaderMap,
    rule: &Rule,
    account: &str,
    file: &str,
) -> Result<(FileRow, Option<AgentId>), Problem> {
    let caller = server.gate().admit(headers, rule).await?;
    if account != server.name().as_str() {
        return Err(no_such_file());
    }
    // What cannot be an id is looked for like every other: as long, and with the same answer.
    let id = FileId::parse(file).unwrap_or_else(FileId::new);
    Ok((find(server, &id, caller.viewer()).await?, caller.viewer()))
}

async fn find(server: &FileServer, id: &FileId, viewer: Option<AgentId>) -> Result<FileRow, Problem> {
    server.database().file_for(server.account(), id, viewer).await?.ok_or_else(no_such_file)
}
