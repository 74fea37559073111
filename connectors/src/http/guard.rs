//! Where a download may go: nobody outside shall make us fetch from inside.
//!
//! An address that an operator configured is used as it is. Any other must be https at port 443 of the platform's own host,
//! spelled as it is meant, and its name must lead to global addresses; the connection goes to exactly those that were looked at.

mod global;
mod resolver;

use std::net::IpAddr;

use reqwest::Url;

use global::is_global;
pub(super) use resolver::Resolver;

/// Longest address.
const LONGEST: usize = 2048;

/// Where the files of an account are.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Where an operator's setting points, inside or outside.
    Configured(Url),
    /// At the platform's own host.
    Host(&'static str),
}

/// An address that may be used.
#[derive(Debug)]
pub(super) enum Checked {
    /// As configured.
    Configured(Url),
    /// Of somebody else: to be resolved by [`Resolver`].
    Public(Url),
}

impl Origin {
    /// What `base_url`, an operator's setting, stands for; none when it is no plain address of http. A password in it would be
    /// stored and shown with the other settings.
    pub fn configured(base_url: &str) -> Option<Self> {
        let is_plain = |url: &Url| {
            let further = (url.password(), url.query(), url.fragment());
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && further == (None, None, None)
        };
        Url::parse(base_url).ok().filter(is_plain).map(Self::Configured)
    }

    /// The one parser's result is what is checked and what is used.
    pub(super) fn check(&self, url: &str) -> Result<Checked, &'static str> {
        match self {
            Self::Configured(base) => {
                let url = plain(url)?;
                if url.origin() != base.origin() {
                    return Err("it is not where the account's base_url points");
                }
                Ok(Checked::Configured(url))
            }
            Self::Host(host) => {
                let url = public(url)?;
                if url.host_str() != Some(*host) {
                    return Err("it is not the platform's host");
                }
                Ok(Checked::Public(url))
            }
        }
    }
}

/// An address without anything that two readers could read differently.
fn plain(text: &str) -> Result<Url, &'static str> {
    if text.len() > LONGEST {
        return Err("it is too long");
    }
    // Parsers drop, turn or translate all of these.
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return Err("it has characters that no address has");
    }
    let url = Url::parse(text).map_err(|_| "it cannot be read")?;
    let (scheme, rest) = text.split_once("://").ok_or("it has no host")?;
    let written = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let host = url.host_str().ok_or("it has no host")?;
    let meant = match url.port_or_known_default() {
        Some(port) if written.ends_with(&format!(":{port}")) => format!("{host}:{port}"),
        _ => host.to_owned(),
    };
    // Numbers in other bases, escapes, a name and a password: spelled otherwise than meant.
    if !scheme.eq_ignore_ascii_case(url.scheme()) || !written.eq_ignore_ascii_case(&meant) {
        return Err("its host is spelled oddly");
    }
    match url.fragment() {
        Some(_) => Err("it has a fragment"),
        None => Ok(url),
    }
}

/// An address outside: https at its own port, and no address of ours.
fn public(text: &str) -> Result<Url, &'static str> {
    let url = plain(text)?;
    if url.scheme() != "https" || url.port().is_some() {
        return Err("it is not https at port 443");
    }
    let host = url.host_str().unwrap_or_default();
    // A literal is never resolved, so it must be looked at here.
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) if is_global(address) => Ok(url),
        Ok(_) => Err("it is an address inside"),
        Err(_) if is_whole_name(host) => Ok(url),
        Err(_) => Err("its host is not a whole name"),
    }
}

/// A name without a dot, or with one at its end, is completed by whoever resolves it.
fn is_whole_name(host: &str) -> bool {
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    plain && host.contains('.') && !host.ends_with('.')
}

#[cfg(test)]
#[path = "guard/tests.rs"]
mod tests;
