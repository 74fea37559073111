//! Parameters of a request, whichever of the four ways they came: query string, form, JSON body, multipart.
//!
//! As in the platform's own server every parameter is text once read: a number in a JSON body becomes its digits, an
//! array or object its JSON.

use std::{collections::HashMap, io::BufRead as _};

use axum::{
    body::{Body, Bytes},
    extract::{Form, FromRequest as _, Query},
    http::{HeaderMap, Method, Request, Uri, header},
};
use futures_util::StreamExt as _;
use serde_json::{Value, value::RawValue};

use crate::{reply::ApiError, text::sha256_hex};

/// Largest request body in bytes: a file of 50 MB and what is around it.
pub const MAX_BODY: usize = 52 << 20;
/// Of a body that is too large so much is still read and thrown away, so that its sender sees the answer.
const MAX_DISCARDED: usize = 1 << 30;

/// A body as far as it came.
#[derive(Debug)]
pub enum Received {
    /// To its end.
    Whole(Bytes),
    /// To its end, but larger than [`MAX_BODY`].
    TooLarge,
    /// The caller left in the middle.
    Torn,
}

/// Reads a body to its end.
pub async fn receive(body: Body) -> Received {
    let (mut kept, mut seen) = (Vec::new(), 0);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { return Received::Torn };
        seen += piece.len();
        if seen <= MAX_BODY {
            kept.extend_from_slice(&piece);
        } else if seen <= MAX_DISCARDED {
            kept = Vec::new();
        } else {
            break;
        }
    }
    if seen <= MAX_BODY { Received::Whole(kept.into()) } else { Received::TooLarge }
}

/// A file in a multipart body.
#[derive(Clone, Debug)]
pub struct Upload {
    /// As declared.
    pub name: Option<String>,
    /// As declared.
    pub mime: Option<String>,
    /// Its bytes.
    pub bytes: Bytes,
    /// Of its bytes.
    pub sha256: String,
}

/// The parameters of one request.
#[derive(Debug, Default)]
pub struct Params {
    texts: HashMap<String, String>,
    uploads: HashMap<String, Upload>,
    fetched: HashMap<String, Result<Upload, ApiError>>,
}

impl Params {
    /// Reads query string and body; of a name that comes twice the body's value wins.
    pub async fn read(uri: &Uri, headers: &HeaderMap, body: Bytes) -> Result<Self, ApiError> {
        let Query(mut pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| ApiError::bad("can't parse the query string"))?;
        let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let lower = kind.to_ascii_lowercase();
        if body.is_empty() {
        } else if lower.starts_with("application/json") {
            pairs.extend(from_json(&body)?);
        } else if lower.starts_with("application/x-www-form-urlencoded") {
            pairs.extend(from_form(body).await?);
        } else if lower.starts_with("multipart/form-data") {
            let (texts, files) = from_multipart(kind, &body)?;
            pairs.extend(texts);
            let (texts, uploads) = (pairs.into_iter().collect(), files.into_iter().collect());
            return Ok(Self { texts, uploads, fetched: HashMap::new() });
        }
        Ok(Self { texts: pairs.into_iter().collect(), ..Self::default() })
    }

    /// Parameters that came as one JSON object, as in the answer of a webhook; whatever is no object has none.
    pub fn of_json(value: &Value) -> Self {
        let body = value.to_string();
        let texts = from_json(body.as_bytes()).unwrap_or_default().into_iter().collect();
        Self { texts, ..Self::default() }
    }

    /// The file that came as this parameter: in its own part, or in the one that `attach://` names.
    pub fn upload(&self, name: &str) -> Option<&Upload> {
        let named = self.get(name).strip_prefix("attach://").unwrap_or(name);
        self.uploads.get(named)
    }

    /// The file that `attach://` names.
    pub fn part(&self, named: &str) -> Option<&Upload> {
        self.uploads.get(named.strip_prefix("attach://")?)
    }

    /// What lay at a URL that a parameter names.
    pub fn fetched(&self, url: &str) -> Result<&Upload, ApiError> {
        let failed = || ApiError::bad("failed to get HTTP URL content");
        self.fetched.get(url).ok_or_else(failed)?.as_ref().map_err(Clone::clone)
    }

    /// Keeps what lay there.
    pub fn keep_fetched(&mut self, url: String, upload: Result<Upload, ApiError>) {
        self.fetched.insert(url, upload);
    }

    /// All that came as text, by name.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a parameter is there, be it empty.
    pub fn has(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }

    /// A parameter; one that is absent is empty, as it is for the platform.
    pub fn get(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    /// A parameter that is there and not empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A whole number inside a range; anything else is the default, a number outside is moved to the nearest end.
    pub fn number(&self, name: &str, default: i64, low: i64, high: i64) -> i64 {
        self.get(name).trim().parse::<i64>().map_or(default, |number| number.clamp(low, high))
    }

    /// A flag: the platform takes `true`, `yes` and `1`.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name).trim().to_ascii_lowercase().as_str(), "true" | "yes" | "1")
    }
}

fn from_json(body: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    let unreadable = || ApiError::bad("can't parse JSON body");
    let fields: HashMap<String, Box<RawValue>> = serde_json::from_slice(body).map_err(|_| unreadable())?;
    fields
        .into_iter()
        .filter(|(_, value)| value.get() != "null")
        .map(|(name, value)| {
            let text = match value.get().starts_with('"') {
                true => serde_json::from_str(value.get()).map_err(|_| unreadable())?,
                false => value.get().to_owned(),
            };
            Ok((name, text))
        })
        .collect()
}

async fn from_form(body: Bytes) -> Result<Vec<(String, String)>, ApiError> {
    let request = Request::builder()
        .method(Method::POST)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .expect("a constant request is well formed");
    let Form(pairs) =
        Form::from_request(request, &()).await.map_err(|_| ApiError::bad("strings must be encoded in UTF-8"))?;
    Ok(pairs)
}

/// Names and texts, names and files.
type Parts = (Vec<(String, String)>, Vec<(String, Upload)>);

/// The parts of a multipart body, RFC 7578.
fn from_multipart(kind: &str, body: &Bytes) -> Result<Parts, ApiError> {
    let unreadable = || ApiError::bad("can't parse multipart form data");
    let boundary = parameter(kind, "boundary").ok_or_else(unreadable)?;
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    let (mut texts, mut files) = (Vec::new(), Vec::new());
    // The first delimiter has no line break before it.
    let mut at = match body.starts_with(&delimiter[2..]) {
        true => delimiter.len() - 2,
        false => find(body, &delimiter).ok_or_else(unreadable)? + delimiter.len(),
    };
    while !body[at..].starts_with(b"--") {
        let end = at + find(&body[at..], &delimiter).ok_or_else(unreadable)?;
        let part = body.slice(at..end);
        let blank = find(&part, b"\r\n\r\n").filter(|_| part.starts_with(b"\r\n")).ok_or_else(unreadable)?;
        let head = std::str::from_utf8(&part[2..blank.max(2)]).map_err(|_| unreadable())?;
        let field = |name: &str| head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
        let disposition = field("content-disposition:").ok_or_else(unreadable)?;
        let name = parameter(disposition, "name").ok_or_else(unreadable)?.to_owned();
        let content = part.slice(blank + 4..);
        match parameter(disposition, "filename") {
            Some(file) => {
                let mime = field("content-type:").and_then(|line| line.split_once(':')).map(|(_, kind)| kind.trim());
                let (name_of_file, mime) = (Some(file).filter(|name| !name.is_empty()), mime.map(str::to_owned));
                let sha256 = sha256_hex(&content);
                let upload = Upload { name: name_of_file.map(unescape), mime, bytes: content, sha256 };
                files.push((name, upload));
            }
            None => {
                let text = std::str::from_utf8(&content);
                let text = text.map_err(|_| ApiError::bad("strings must be encoded in UTF-8"))?;
                texts.push((name, text.to_owned()));
            }
        }
        at = end + delimiter.len();
    }
    Ok((texts, files))
}

/// Where `needle` begins. Looks for its first byte by the library's own search: bodies have fifty megabytes.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let mut rest = &haystack[at..];
        let skipped = rest.skip_until(needle[0]).ok().filter(|skipped| *skipped > 0)?;
        at += skipped;
        if haystack[at - 1..].starts_with(needle) {
            return Some(at - 1);
        }
    }
}

/// Browsers and clients write a quote in a file's name as `%22`, or behind a backslash.
fn unescape(name: &str) -> String {
    name.replace("%22", "\"").replace("\\\"", "\"")
}

/// The value of `; name=value` or `; name="value"` in a header. A quoted one may hold semicolons.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (key, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => {
                let closing = |(at, _): &(usize, &str)| !quoted[..*at].ends_with('\\');
                let end = quoted.match_indices('"').find(closing)?.0;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => value.split_at(value.find(';').unwrap_or(value.len())),
        };
        if key.trim().trim_start_matches(';').trim().eq_ignore_ascii_case(name) {
            return Some(value.trim());
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn multipart_bodies_hold_texts_and_files() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n--x\r\n\
            Content-Disposition: form-data; name=\"text\"\r\nContent-Type: text/plain\r\n\r\na\r\n\r\nb--\r\n--x\r\n\
            Content-Disposition: form-data; name=\"photo\"; filename=\"a; \\\"b\\\".jpg\"\r\nContent-Type: image/jpeg\r\n\
            \r\n\xff\xd8\r\n\r\n--\r\n--x--\r\n";
        let whole = Bytes::from_static(body);
        let (texts, files) = from_multipart("multipart/form-data; boundary=x", &whole).unwrap();
        assert_eq!(texts, [("chat_id".into(), "7".into()), ("text".into(), "a\r\n\r\nb--".into())]);
        let (field, photo) = &files[0];
        assert_eq!((field.as_str(), photo.name.as_deref()), ("photo", Some("a; \"b\".jpg")));
        assert_eq!((photo.mime.as_deref(), &photo.bytes[..]), (Some("image/jpeg"), &b"\xff\xd8\r\n\r\n--"[..]));
        assert_eq!(photo.sha256, sha256_hex(&photo.bytes));
        for length in 0..body.len() - 4 {
            let torn = whole.slice(..length);
            assert!(from_multipart("multipart/form-data; boundary=x", &torn).is_err(), "{length} bytes are not all");
        }
        assert!(from_multipart("multipart/form-data", &whole).is_err());
    }

    #[test]
    fn a_part_is_named_by_attach() {
        let upload = Upload { name: None, mime: None, bytes: Bytes::from_static(b"x"), sha256: String::new() };
        let texts = HashMap::from([("photo".to_owned(), "attach://p".to_owned())]);
        let params = Params { texts, uploads: HashMap::from([("p".to_owned(), upload)]), ..Params::default() };
        assert!(params.upload("photo").is_some() && params.upload("document").is_none());
        assert!(params.upload("p").is_some());
        assert!(params.part("attach://p").is_some() && params.part("p").is_none());
    }

    #[test]
    fn json_values_become_text() {
        let mut pairs = from_json(r#"{"a":"x\n","b":-5,"c":[1, 2],"d":null,"e":true}"#.as_bytes()).unwrap();
        pairs.sort();
        let want = [("a", "x\n"), ("b", "-5"), ("c", "[1, 2]"), ("e", "true")];
        assert_eq!(pairs, want.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert!(from_json(br#"{"a":"\ud800"}"#).is_err());
    }
}
