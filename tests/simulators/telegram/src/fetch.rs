//! Files that the platform fetches itself, by the URL that a call names in the place of a file.

use std::time::Duration;

use serde_json::Value;

use crate::{
    delivery::client,
    methods::Method,
    params::{Params, Upload},
    reply::ApiError,
    server::Simulator,
    text::sha256_hex,
};

/// How long a foreign server may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fetches every file that a call names by URL. Only servers of this machine are asked: no test leaves it.
pub async fn all(simulator: &Simulator, method: &Method, params: &mut Params) {
    for url in urls(method, params) {
        let fetched = one(simulator, &url).await;
        params.keep_fetched(url, fetched);
    }
}

fn urls(method: &Method, params: &Params) -> Vec<String> {
    let is_url = |text: &str| text.starts_with("http://") || text.starts_with("https://");
    let own = method.sends().map(|kind| params.get(kind.field()).to_owned());
    let items = method.parameters().any(|name| name == "media").then(|| params.get("media"));
    let items: Value = items.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let items = match items {
        Value::Array(items) => items,
        one => vec![one],
    };
    let named = items.iter().filter_map(|item| item["media"].as_str().map(str::to_owned));
    own.into_iter().chain(named).filter(|url| is_url(url)).collect()
}

async fn one(simulator: &Simulator, url: &str) -> Result<Upload, ApiError> {
    let failed = || ApiError::bad("failed to get HTTP URL content");
    let parsed = reqwest::Url::parse(url).map_err(|_| ApiError::bad("wrong file identifier/HTTP URL specified"))?;
    let near = parsed.host_str().is_some_and(|host| ["127.0.0.1", "[::1]", "localhost"].contains(&host));
    if !near {
        return Err(failed());
    }
    let name = parsed.path_segments().and_then(|mut parts| parts.next_back()).filter(|name| !name.is_empty());
    let name = name.map(str::to_owned);
    let response = client(simulator).get(parsed).timeout(PATIENCE).send().await.map_err(|_| failed())?;
    if !response.status().is_success() {
        return Err(failed());
    }
    let mime = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let mime = mime.and_then(|kind| kind.split(';').next()).map(|kind| kind.trim().to_ascii_lowercase());
    let bytes = response.bytes().await.map_err(|_| failed())?;
    let sha256 = sha256_hex(&bytes);
    Ok(Upload { name, mime, bytes, sha256 })
}
