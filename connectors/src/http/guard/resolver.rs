//! Names to addresses, once: what is connected to is what was looked at, so that a name cannot lead inside a moment later.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::global::is_global;

type Lookup = dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync;

/// Resolves names to their global addresses; those inside are not even tried.
pub(in crate::http) struct Resolver {
    lookup: Arc<Lookup>,
    admits: fn(IpAddr) -> bool,
    /// The operator's own forward proxy. With it no other name is resolved here: the proxy does that, and is the one to refuse.
    proxy: Option<String>,
}

impl Resolver {
    /// Resolves as the system does; `proxy` is the forward proxy, or empty.
    pub fn new(proxy: &str) -> Self {
        let lookup = |name: String| -> Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
        };
        let proxy = reqwest::Url::parse(proxy).ok().and_then(|url| url.host_str().map(str::to_owned));
        Self { lookup: Arc::new(lookup), admits: is_global, proxy }
    }

    #[cfg(test)]
    pub fn stub(lookup: Arc<Lookup>, admits: fn(IpAddr) -> bool) -> Self {
        Self { lookup, admits, proxy: None }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, admits) = ((self.lookup)(name.as_str().to_owned()), self.admits);
        let own = self.proxy.as_deref() == Some(name.as_str());
        Box::pin(async move {
            let mut addresses = found.await?;
            addresses.retain(|address| own || admits(address.ip()));
            if addresses.is_empty() {
                return Err("the name leads to no address outside".into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
