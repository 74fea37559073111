//! Parameters of a request, whichever of the four ways they came: query string, form, JSON body, multipart.
//!
//! As in the platform's own server every parameter is text once read: a number in a JSON body becomes its digits, an
//! array or object its JSON.

use std::collections::HashMap;

use axum::{
    body::{Body, Bytes},
    extract::{Form, FromRequest as _, Query},
    http::{HeaderMap, Method, Request, Uri, header},
};
use serde_json::value::RawValue;

use crate::reply::ApiError;

/// The parameters of one request.
#[derive(Debug, Default)]
pub struct Params(HashMap<String, String>);

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
            pairs.extend(from_multipart(kind, &body)?);
        }
        Ok(Self(pairs.into_iter().collect()))
    }

    /// A parameter; one that is absent is empty, as it is for the platform.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A parameter that is there and not empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
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

/// Fields of a multipart body, RFC 7578. Parts that carry a file are left out: no method here takes one yet.
fn from_multipart(kind: &str, body: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    let unreadable = || ApiError::bad("can't parse multipart form data");
    let boundary = parameter(kind, "boundary").ok_or_else(unreadable)?;
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    // The first delimiter has no line break before it: give it one, so that all look alike.
    let body = [b"\r\n", body].concat();
    let mut pairs = Vec::new();
    let mut rest = &body[find(&body, &delimiter).ok_or_else(unreadable)? + delimiter.len()..];
    while !rest.starts_with(b"--") {
        let end = find(rest, &delimiter).ok_or_else(unreadable)?;
        let part = rest[..end].strip_prefix(b"\r\n").ok_or_else(unreadable)?;
        let blank = find(part, b"\r\n\r\n").ok_or_else(unreadable)?;
        let head = std::str::from_utf8(&part[..blank]).map_err(|_| unreadable())?;
        let disposition = head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))
            .ok_or_else(unreadable)?;
        let name = parameter(disposition, "name").ok_or_else(unreadable)?;
        if parameter(disposition, "filename").is_none() {
            let value = std::str::from_utf8(&part[blank + 4..])
                .map_err(|_| ApiError::bad("strings must be encoded in UTF-8"))?;
            pairs.push((name.to_owned(), value.to_owned()));
        }
        rest = &rest[end + delimiter.len()..];
    }
    Ok(pairs)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// The value of `; name=value` or `; name="value"` in a header.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn multipart_fields_are_read_and_files_left_out() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n--x\r\n\
            Content-Disposition: form-data; name=\"text\"\r\nContent-Type: text/plain\r\n\r\na\r\n\r\nb--\r\n--x\r\n\
            Content-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\n\r\n\xff\xd8\r\n--x--\r\n";
        let pairs = from_multipart("multipart/form-data; boundary=x", body).unwrap();
        assert_eq!(pairs, [("chat_id".into(), "7".into()), ("text".into(), "a\r\n\r\nb--".into())]);
        assert!(from_multipart("multipart/form-data; boundary=x", b"--x\r\nhalf").is_err());
        assert!(from_multipart("multipart/form-data", body).is_err());
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
