//! Uploads: `POST` a form or the bytes alone, `PUT` the bytes under a key of one's own.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use switchboard_common::access::Rule;
use switchboard_common::access::rules::{FILE_PUT, FILE_UPLOAD};
use switchboard_common::model::text::{hex, media_type};
use switchboard_common::model::{AgentId, file_name};
use switchboard_common::service::problem::Problem;
use switchboard_common::store::FileRow;
use utoipa::{IntoParams, ToSchema};

use crate::entitled::no_such_file;
use crate::multipart::{self, Form};
use crate::receive::{Declared, compare, limit, receive};
use crate::server::FileServer;
use crate::source::{Source, too_slow};

/// Longest key, in characters, as of a message.
const LONGEST_KEY: usize = 64;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// The file's name, when the body is the bytes alone.
    name: Option<String>,
}

/// A file that is there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UploadedFile {
    /// Its id: what a message names.
    #[schema(example = "0123456789abcdef0123456789abcdef")]
    file: String,
    /// Its name, without what could do harm.
    name: Option<String>,
    /// The type that its bytes show.
    mime: String,
    /// How much it is.
    size_bytes: i64,
    /// Its hash, in hexadecimal.
    sha256: String,
    /// `photo` or `document`: as what it is sent unless the message says otherwise.
    kind: String,
}

/// Uploads a file: a form with the field `file`, or the bytes alone.
#[utoipa::path(
    post,
    path = "/files/{account}",
    tag = "files",
    operation_id = "uploadFile",
    params(("account" = String, Path, description = "The account's name."), UploadQuery),
    request_body(
        content((Vec<u8> = "application/octet-stream"), (Vec<u8> = "multipart/form-data")),
        description = "The bytes, of any type, or a form whose one field `file` holds them.",
    ),
    responses(
        (status = 201, description = "The file can be named in a message.", body = UploadedFile),
        (status = 400, description = "No form that can be read, an empty file, or a body that ended early.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or one that is not accepted.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token has not the scope.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Another account is served here.", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "Nothing was sent for 30 s, or the upload took half an hour.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`too_large`: more than the platform takes. Nothing of it is kept.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is compressed.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`unsupported`: the platform takes no files.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many transfers, or the database does not answer.", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn post(
    State(server): State<FileServer>,
    account: Result<Path<String>, PathRejection>,
    query: Result<Query<UploadQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let agent = admit(&server, request.headers(), &FILE_UPLOAD, account.ok().map(|Path(account)| account)).await?;
    let name = named(query)?;
    let _turn = server.turn(Some(agent)).await?;
    let storing = async {
        if is_form(request.headers()) {
            return form(&server, agent, request).await;
        }
        limit(&server, length(request.headers()))?;
        // It is kept, and never believed.
        let mime = declared(request.headers()).and_then(media_type);
        let declared = Declared { agent, client_key: None, name: name.as_deref(), mime: mime.as_deref() };
        let mut source = raw(&server, request);
        receive(&server, &declared, &mut source).await?.finish().await
    };
    let (row, _) = in_time(&server, storing).await?;
    Ok((StatusCode::CREATED, Json(answer(&row))).into_response())
}

/// Uploads a file under a key of the agent's own: the same again is the same file.
#[utoipa::path(
    put,
    path = "/files/{account}/{file}",
    tag = "files",
    operation_id = "putFile",
    params(
        ("account" = String, Path, description = "The account's name."),
        ("file" = String, Path, description = "The agent's own key of the upload, 1-64 characters; not the file's id."),
        UploadQuery,
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The bytes, of any type."),
    responses(
        (status = 200, description = "The agent had uploaded the same bytes under this key: this is the file.", body = UploadedFile),
        (status = 201, description = "The file can be named in a message.", body = UploadedFile),
        (status = 400, description = "A key that is none, an empty file, or a body that ended early.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or one that is not accepted.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token has not the scope.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Another account is served here.", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "Nothing was sent for 30 s, or the upload took half an hour.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`key_conflict`: other bytes have this key.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`too_large`: more than the platform takes. Nothing of it is kept.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is compressed, or a form.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`unsupported`: the platform takes no files.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many transfers, or the database does not answer.", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn put(
    State(server): State<FileServer>,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Result<Query<UploadQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (account, key) = path.ok().map(|Path(path)| path).unzip();
    let agent = admit(&server, request.headers(), &FILE_PUT, account).await?;
    let (key, name) = (key.unwrap_or_default(), named(query)?);
    if key.is_empty() || key.chars().count() > LONGEST_KEY || key.chars().any(char::is_control) {
        return Err(Problem::bad_request("a key has 1 to 64 characters, none of them a control character"));
    }
    if is_form(request.headers()) {
        return Err(wrong_type("put the bytes alone; a form is for POST"));
    }
    let _turn = server.turn(Some(agent)).await?;
    let storing = async {
        limit(&server, length(request.headers()))?;
        // It is kept, and never believed.
        let mime = declared(request.headers()).and_then(media_type);
        let mut source = raw(&server, request);
        if let Some(row) = server.database().file_of_key(server.account(), agent, &key).await? {
            compare(&server, &row, &mut source).await?;
            return Ok((row, false));
        }
        let declared = Declared { agent, client_key: Some(&key), name: name.as_deref(), mime: mime.as_deref() };
        receive(&server, &declared, &mut source).await?.finish().await
    };
    let (row, new) = in_time(&server, storing).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(answer(&row))).into_response())
}

/// The file of a form.
async fn form(server: &FileServer, agent: AgentId, request: Request) -> Result<(FileRow, bool), Problem> {
    let mut form = Form::new(request, server.bounds().silence).await?;
    let headroom = form.headroom();
    let mut received = None;
    while let Some(field) = form.next().await? {
        if field.name() != Some("file") {
            continue;
        }
        if received.is_some() {
            return Err(Problem::bad_request("the form has more than one field \"file\": send one at a time"));
        }
        let (name, mime) = (field.file_name().and_then(file_name), field.content_type().and_then(media_type));
        let declared = Declared { agent, client_key: None, name: name.as_deref(), mime: mime.as_deref() };
        let silence = server.bounds().silence;
        let mut source = Source::new(multipart::bytes(field, headroom.clone()), silence, multipart::broken);
        received = Some(receive(server, &declared, &mut source).await?);
    }
    // A form that broke off has no end, and its file is none.
    received.ok_or_else(|| Problem::bad_request("the form has no field \"file\""))?.finish().await
}

async fn admit(
    server: &FileServer,
    headers: &HeaderMap,
    rule: &Rule,
    account: Option<String>,
) -> Result<AgentId, Problem> {
    let caller = server.gate().admit(headers, rule).await?;
    if account.as_deref() != Some(server.name().as_str()) {
        return Err(no_such_file());
    }
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
        return Err(wrong_type("send the bytes as they are: Content-Encoding is not supported"));
    }
    caller.agent.ok_or_else(|| Problem::forbidden("there is no agent of this name"))
}

async fn in_time<T>(server: &FileServer, storing: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    tokio::time::timeout(server.bounds().upload, storing)
        .await
        .unwrap_or_else(|_| Err(too_slow("the upload took too long")))
}

fn raw<'a>(server: &FileServer, request: Request) -> Source<'a> {
    let broken = |_| Problem::bad_request("the body ended early");
    Source::new(request.into_body().into_data_stream(), server.bounds().silence, broken)
}

fn named(query: Result<Query<UploadQuery>, QueryRejection>) -> Result<Option<String>, Problem> {
    let Query(query) = query.map_err(|_| Problem::bad_request("the query cannot be read: ?name=, percent-encoded"))?;
    Ok(query.name.as_deref().and_then(file_name))
}

fn is_form(headers: &HeaderMap) -> bool {
    let mime = declared(headers).and_then(|mime| mime.split(';').next());
    mime.is_some_and(|mime| mime.trim().eq_ignore_ascii_case("multipart/form-data"))
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn declared(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

fn wrong_type(why: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_request", why)
}

fn answer(row: &FileRow) -> UploadedFile {
    UploadedFile {
        file: row.id.to_string(),
        name: row.name.clone(),
        mime: row.sniffed.clone().unwrap_or_else(|| "application/octet-stream".to_owned()),
        size_bytes: row.size_bytes.unwrap_or_default(),
        sha256: row.sha256.as_deref().map(hex).unwrap_or_default(),
        kind: row.kind.as_str().to_owned(),
    }
}
