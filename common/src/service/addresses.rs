//! Limits per address, and whose word about an address is believed.
//!
//! A request's address is its connection's, unless that is a configured proxy's: then it is the rightmost address of
//! `X-Forwarded-For` that no such proxy has. What stands left of it anybody may have written.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::networks::{Lists, Networks};
use crate::service::config::{ConfigError, Public};
use crate::service::metrics::TURNED_AWAY;
use crate::service::problem::Problem;

const FORWARDED: &str = "x-forwarded-for";

/// So many addresses are counted apart. Whoever has not called for a moment is forgotten first.
const MOST_ADDRESSES: usize = 65_536;

/// Forgetting looks at all of them, so not more often than this.
const FORGET_EVERY: Duration = Duration::from_millis(100);

/// Limits per address, shared by all listeners of a process.
#[derive(Clone)]
pub struct Addresses(Arc<Inner>);

struct Inner {
    trusted: Networks,
    lists: Lists,
    pace: DefaultKeyedRateLimiter<IpAddr>,
    forgot: Mutex<Instant>,
    sockets: Mutex<HashMap<IpAddr, usize>>,
    most_sockets: usize,
    told: AtomicBool,
}

/// The address a request comes from, as [`Addresses::limited`] found it: an extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// One socket of an address, counted until this is dropped.
pub struct Held {
    addresses: Addresses,
    key: IpAddr,
}

impl Addresses {
    /// Reads the section `[public]`.
    pub fn new(public: &Public) -> Result<Self, ConfigError> {
        let wrong = |key: &str, why: String| ConfigError::Value { key: format!("public.{key}"), why };
        let trusted = Networks::parse(&public.trusted_proxies).map_err(|why| wrong("trusted_proxies", why))?;
        let rate = |key: &str, n: u32| NonZeroU32::new(n).ok_or_else(|| wrong(key, "must be at least 1".to_owned()));
        let quota = Quota::per_second(rate("requests_per_second", public.requests_per_second)?)
            .allow_burst(rate("requests_at_once", public.requests_at_once)?);
        if public.sockets_per_address == 0 || public.connections == 0 {
            return Err(wrong("sockets_per_address, connections", "must be at least 1".to_owned()));
        }
        Ok(Self(Arc::new(Inner {
            trusted,
            lists: Lists::new("public", &public.allow, &public.deny)?,
            pace: RateLimiter::keyed(quota),
            forgot: Mutex::new(Instant::now()),
            sockets: Mutex::default(),
            most_sockets: public.sockets_per_address,
            told: AtomicBool::new(false),
        })))
    }

    /// The address a request comes from.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut address = peer.to_canonical();
        // Whatever bytes a client sent, a proxy's word behind them counts.
        let lines: Vec<_> =
            headers.get_all(FORWARDED).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        for word in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !self.0.trusted.contains(address) {
                break;
            }
            // A proxy wrote it; what cannot be read tells at least that it came through this proxy.
            let Some(before) = written(word.trim()) else { break };
            address = before;
        }
        if !lines.is_empty() && address == peer.to_canonical() && !self.0.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                "X-Forwarded-For is not believed: if this is a proxy of yours, name it in public.trusted_proxies"
            );
        }
        address
    }

    /// Lets a request in and tells its address, or says why not: 403 by the lists, 429 when the address is too fast.
    pub fn admit(&self, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, Problem> {
        let address = self.client(peer, headers);
        if !self.0.lists.serve(address) {
            metrics::counter!(TURNED_AWAY, "outcome" => "denied").increment(1);
            return Err(Problem::forbidden("this address is not served"));
        }
        match self.0.pace.check_key(&self.key(address)) {
            Ok(()) => Ok(address),
            Err(until) => {
                metrics::counter!(TURNED_AWAY, "outcome" => "too_fast").increment(1);
                let wait = until.wait_time_from(DefaultClock::default().now());
                let why = "too many requests from this address: slow down";
                let seconds = wait.as_secs().saturating_add(1).min(60) as u32;
                Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_fast", why).retry_after(seconds))
            }
        }
    }

    /// Counts one more socket of an address, or 429. A proxy's own connections are not counted.
    pub fn hold(&self, address: IpAddr) -> Result<Option<Held>, Problem> {
        if self.0.trusted.contains(address) {
            return Ok(None);
        }
        let key = network(address);
        let mut sockets = self.0.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sockets.entry(key).or_default();
        if *count >= self.0.most_sockets {
            metrics::counter!(TURNED_AWAY, "outcome" => "too_many").increment(1);
            let why = "too many connections from this address";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", why).retry_after(5));
        }
        *count += 1;
        Ok(Some(Held { addresses: self.clone(), key }))
    }

    /// The router behind [`Self::admit`]; its handlers find a [`ClientAddress`] among the request's extensions. The
    /// listener must say who the peer is, as [`crate::service::http::serve`] does; a request without is refused.
    pub fn limited(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), admit))
    }

    /// Whose bucket it is: a customer of a provider has a whole /64 of IPv6.
    fn key(&self, address: IpAddr) -> IpAddr {
        if self.0.pace.len() >= MOST_ADDRESSES {
            let mut forgot = self.0.forgot.lock().unwrap_or_else(PoisonError::into_inner);
            if forgot.elapsed() >= FORGET_EVERY {
                self.0.pace.retain_recent();
                self.0.pace.shrink_to_fit();
                *forgot = Instant::now();
            }
            if self.0.pace.len() >= MOST_ADDRESSES {
                // Somebody has very many: until it is quieter, all share one bucket, and memory stays what it is.
                return IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        network(address)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut sockets = self.addresses.0.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sockets.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                sockets.remove(&self.key);
            }
        }
    }
}

async fn admit(State(addresses): State<Addresses>, mut request: Request, next: Next) -> Response {
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() else {
        tracing::error!("a listener does not tell who its peers are");
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the peer is unknown").into_response();
    };
    match addresses.admit(peer.ip(), request.headers()) {
        Ok(address) => {
            request.extensions_mut().insert(ClientAddress(address));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// An address as proxies write it: some add the port.
fn written(word: &str) -> Option<IpAddr> {
    let bare = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word);
    let address = bare.parse().ok().or_else(|| word.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
#[path = "addresses_tests.rs"]
mod tests;
