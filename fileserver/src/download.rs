//! Downloads, whole or by range.

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use switchboard_common::model::{AgentId, FileState};
use switchboard_common::service::problem::Problem;
use switchboard_common::store::FileRow;

use crate::body::body;
use crate::entitled::{by_link_or_token, no_such_file};
use crate::headers::{describe, etag};
use crate::link::LinkQuery;
use crate::range::{Wanted, wanted};
use crate::server::FileServer;

type FilePath = Result<Path<(String, String)>, PathRejection>;
type Link = Result<Query<LinkQuery>, QueryRejection>;

/// The bytes of a file, whole or a range of them.
#[utoipa::path(
    get,
    path = "/files/{account}/{file}",
    tag = "files",
    operation_id = "getFile",
    params(
        ("account" = String, Path, description = "The account's name."),
        ("file" = String, Path, description = "The file's id."),
        ("Range" = Option<String>, Header, description = "One range of bytes; more are answered by the whole."),
        ("If-Range" = Option<String>, Header, description = "An ETag: the range counts only when the file still has it."),
        ("If-None-Match" = Option<String>, Header, description = "ETags: without new bytes the answer is 304."),
        LinkQuery,
    ),
    responses(
        (status = 200, description = "The bytes. `Content-Type` is what they show, when a browser may be told.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The range.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "The same bytes as those of the ETag."),
        (status = 401, description = "Neither a link nor a token that is accepted.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token has not the scope.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such file, not for these eyes, or a link that is not good.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`not_ready`: the bytes are still with the platform. Come back.", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "`failed`: the bytes will not come.", body = Problem, content_type = "application/problem+json"),
        (status = 416, description = "`bad_range`: there are no such bytes; `Content-Range` says how many there are.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many transfers, or the database does not answer.", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = []), ()),
)]
pub(crate) async fn get(
    State(server): State<FileServer>,
    path: FilePath,
    link: Link,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (row, viewer) = find(&server, path, link, &headers).await?;
    let etag = etag(&row);
    if is_known(&headers, &etag) {
        return Ok(not_modified(&row));
    }
    let size = size(&row);
    // A date is never as good as the hash.
    let same = !headers.contains_key(header::IF_RANGE) || one(&headers, &header::IF_RANGE) == Some(&etag);
    let range = one(&headers, &header::RANGE).filter(|_| same);
    let (status, range) = match wanted(range, size) {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => return Ok(bad_range(size)),
    };
    let turn = server.turn(viewer).await?;
    let mut described = describe(&row);
    described.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    if status == StatusCode::PARTIAL_CONTENT {
        insert(&mut described, header::CONTENT_RANGE, &format!("bytes {}-{}/{size}", range.start, range.end - 1));
    }
    Ok((status, described, body(server, row.id, range, turn)).into_response())
}

/// What `GET` would say, without the bytes.
#[utoipa::path(
    head,
    path = "/files/{account}/{file}",
    tag = "files",
    operation_id = "headFile",
    params(
        ("account" = String, Path, description = "The account's name."),
        ("file" = String, Path, description = "The file's id."),
        LinkQuery,
    ),
    responses(
        (status = 200, description = "The headers of the whole file."),
        (status = 304, description = "The same bytes as those of the ETag."),
        (status = 401, description = "Neither a link nor a token that is accepted."),
        (status = 403, description = "The token has not the scope."),
        (status = 404, description = "No such file, not for these eyes, or a link that is not good."),
        (status = 409, description = "The bytes are still with the platform."),
        (status = 410, description = "The bytes will not come."),
        (status = 503, description = "The database does not answer."),
    ),
    security(("bearer" = []), ()),
)]
pub(crate) async fn head(
    State(server): State<FileServer>,
    path: FilePath,
    link: Link,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (row, _) = find(&server, path, link, &headers).await?;
    if is_known(&headers, &etag(&row)) {
        return Ok(not_modified(&row));
    }
    let mut described = describe(&row);
    described.insert(header::CONTENT_LENGTH, size(&row).into());
    Ok((described, Body::empty()).into_response())
}

/// The file, if these eyes may see it and it is there; and whose eyes they are.
async fn find(
    server: &FileServer,
    path: FilePath,
    link: Link,
    headers: &HeaderMap,
) -> Result<(FileRow, Option<AgentId>), Problem> {
    // What cannot be read is no id and no link: it gets the answer of those.
    let (account, file) = path.map(|Path(path)| path).unwrap_or_default();
    let Query(link) = link.map_err(|_| no_such_file())?;
    let (row, viewer) = by_link_or_token(server, headers, &link, &account, &file).await?;
    match row.state {
        FileState::Ready => Ok((row, viewer)),
        FileState::Pending => {
            let why = "the bytes are still with the platform: come back in a moment";
            Err(Problem::new(StatusCode::CONFLICT, "not_ready", why).retry_after(2))
        }
        FileState::Failed => {
            let why = row.reason.unwrap_or_else(|| "the platform did not give the bytes".to_owned());
            Err(Problem::new(StatusCode::GONE, "failed", why))
        }
    }
}

fn size(row: &FileRow) -> u64 {
    row.size_bytes.and_then(|size| u64::try_from(size).ok()).unwrap_or_default()
}

/// Whether the client has these bytes.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).any(|known| {
        // A weak validator of the same bytes is as good here.
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag
    })
}

/// A header that may stand once; several say nothing.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())?.to_str().ok()
}

fn not_modified(row: &FileRow) -> Response {
    let mut described = describe(row);
    described.remove(header::CONTENT_TYPE);
    described.remove(header::CONTENT_DISPOSITION);
    (StatusCode::NOT_MODIFIED, described).into_response()
}

fn bad_range(size: u64) -> Response {
    let why = format!("the file has {size} bytes");
    let mut response = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "bad_range", why).into_response();
    insert(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
    response
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
