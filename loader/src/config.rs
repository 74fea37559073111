//! What a loader must be told.

use std::sync::Arc;

use switchboard_common::access::Verifier;
use switchboard_common::service::http::HttpLimits;

/// Settings of one loader.
#[derive(Clone)]
pub struct LoaderConfig {
    /// Checks tokens.
    pub verifier: Arc<Verifier>,
    /// Web origins whose pages may read answers: `https://desk.example.org`.
    pub origins: Vec<String>,
    /// Bounds of the listener.
    pub limits: HttpLimits,
    /// Exports under way at once.
    pub exports_at_once: usize,
    /// What is served as it is.
    pub descriptions: Descriptions,
}

/// The machine-readable descriptions of the interfaces, as JSON.
#[derive(Clone, Debug, Default)]
pub struct Descriptions {
    /// REST: `/openapi.json`.
    pub openapi: String,
    /// The websocket: `/asyncapi.json`. Empty: not served.
    pub asyncapi: String,
}
