//! The reverse proxy as seen from outside: its certificate, websockets, and what it must not let through.

use std::time::Duration;

use chrono::Utc;
use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode, Url};

use super::{Findings, certificate};

/// Renew a certificate that is good for less.
const DAYS: i64 = 21;

/// Fetches through the proxy at `url`.
pub(super) async fn examine(url: &str, found: &mut Findings) {
    let base = match Url::parse(url) {
        Ok(base) if base.has_host() && ["http", "https"].contains(&base.scheme()) => base,
        _ => return found.bad(format!("{url} is no address"), "write https://chat.example.com"),
    };
    name(&base, found);
    let client = Client::builder()
        .timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        .no_proxy()
        .tls_info(true)
        .pool_max_idle_per_host(0) // each question by itself
        .build();
    let Ok(client) = client else { return };
    let answer = match client.get(at(&base, "/readyz")).send().await {
        Ok(answer) => answer,
        Err(error) => return unreachable(&base, &error, found),
    };
    encryption(&base, &answer, found);
    websocket(&client, &base, found).await;
    for path in ["/metrics", "/livez", "/readyz"] {
        denied(&client, &base, path, found).await;
    }
}

fn at(base: &Url, path: &str) -> String {
    format!("{}{path}", base.as_str().trim_end_matches('/'))
}

fn name(base: &Url, found: &mut Findings) {
    let host = base.host_str().unwrap_or_default();
    let is_address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if is_address || host == "localhost" || !host.contains('.') {
        found.advice(
            format!("{host} is no full domain name"),
            "platforms and browsers want a name with a certificate: chat.example.com",
        );
    }
}

fn unreachable(base: &Url, error: &reqwest::Error, found: &mut Findings) {
    let words = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    let mend = match words.to_lowercase().contains("certificate") {
        true => "install a certificate for this very name, with its whole chain",
        false => "does the name resolve here, is the proxy up, is its port open?",
    };
    found.bad(format!("{base} cannot be fetched: {words}"), mend);
}

fn encryption(base: &Url, answer: &Response, found: &mut Findings) {
    if base.scheme() == "http" {
        return found.advice(
            format!("{base} is not encrypted"),
            "end TLS at the proxy: tokens and messages travel in the clear otherwise",
        );
    }
    let info = answer.extensions().get::<reqwest::tls::TlsInfo>();
    let until = info.and_then(reqwest::tls::TlsInfo::peer_certificate).and_then(certificate::not_after);
    let Some(until) = until else {
        return found.advice("the certificate's end cannot be read", "openssl s_client -connect HOST:443");
    };
    let days = (until - Utc::now()).num_days();
    match days < DAYS {
        true => found.bad(
            format!("the certificate ends in {days} days, on {}", until.format("%Y-%m-%d")),
            "renew it now: connections fail from that moment on",
        ),
        false => found.good(format!("the certificate is good for {days} days")),
    }
}

/// A proxy that strips `Upgrade` leaves an ordinary request, which a chatserver refuses.
async fn websocket(client: &Client, base: &Url, found: &mut Findings) {
    let mut headers = HeaderMap::new();
    let hello = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "c3dpdGNoYm9hcmQgZG9jdG9yIQ=="),
        ("sec-websocket-protocol", "switchboard.v1"),
    ];
    for (name, value) in hello {
        headers.insert(name, value.parse().expect("a fixed value"));
    }
    let answer = client.get(at(base, "/v1/agent")).headers(headers).send().await;
    let (status, words) = match answer {
        Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            return found.good("websockets pass");
        }
        Ok(answer) => (Some(answer.status()), answer.text().await.unwrap_or_default()),
        Err(error) => (None, error.without_url().to_string()),
    };
    let said = status
        .map_or(words.clone(), |status| format!("{status} {}", words.trim().chars().take(120).collect::<String>()));
    match status {
        Some(StatusCode::BAD_REQUEST | StatusCode::UPGRADE_REQUIRED | StatusCode::METHOD_NOT_ALLOWED) => found.bad(
            format!("websockets do not pass: the proxy strips the headers Upgrade and Connection (the answer was {said})"),
            "nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; \
             proxy_read_timeout 75s. HAProxy: mode http, no option httpclose, timeout tunnel 1h",
        ),
        _ => found.bad(
            format!("/v1/agent is not served: {said}"),
            "let the proxy send /v1/agent to the chatservers (chatserver.listen)",
        ),
    }
}

async fn denied(client: &Client, base: &Url, path: &str, found: &mut Findings) {
    match client.get(at(base, path)).send().await {
        Ok(answer) if answer.status().is_success() || answer.status() == StatusCode::SERVICE_UNAVAILABLE => found.bad(
            format!("{path} is open to everybody"),
            "HAProxy: http-request deny deny_status 404 if { path_beg /metrics /livez /readyz }. \
             nginx: location ~ ^/(metrics|livez|readyz) { return 404; }",
        ),
        Ok(_) => found.good(format!("{path} is not let through")),
        Err(error) => found.advice(format!("{path}: {}", error.without_url()), "try again"),
    }
}
