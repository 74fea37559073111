//! What a loader must be told.

use switchboard_common::access::AuthSettings;
use switchboard_common::service::http::HttpLimits;

/// Settings of one loader.
#[derive(Clone)]
pub struct LoaderConfig {
    /// Whose tokens are believed.
    pub auth: AuthSettings,
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
