//! What a chatserver must be told.

use std::sync::Arc;
use std::time::Duration;

use switchboard_common::access::Verifier;
use switchboard_common::service::http::HttpLimits;

/// Settings of one chatserver.
#[derive(Clone)]
pub struct ChatserverConfig {
    /// Its name in znodes, logs and the `hello` answer; unique among live processes.
    pub name: String,
    /// Checks tokens.
    pub verifier: Arc<Verifier>,
    /// Web origins, besides the chatserver's own host, whose pages may open the websocket: `https://desk.example.org`.
    pub origins: Vec<String>,
    /// Bounds of one session.
    pub limits: Limits,
    /// Bounds of the listener, and limits per address.
    pub http: HttpLimits,
    /// What is served as it is, besides the websocket's own `/asyncapi.json`: REST's `/openapi.json`. Empty: not served.
    pub openapi: String,
    /// An account whose lease was not renewed for so long is served by nobody: half a session timeout.
    pub lease_good_for: Duration,
    /// How long a session may stay away and still resume by its cursors.
    pub feed_retention: Duration,
}

/// Bounds of one session. The defaults are those of docs/protocol.md; tests shorten the times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sessions of one agent at this chatserver.
    pub sessions_per_agent: usize,
    /// From the upgrade to the first frame.
    pub hello_within: Duration,
    /// Between two pings; two unanswered ones end the session.
    pub ping_every: Duration,
    /// A frame that cannot be written for so long ends the session.
    pub patience: Duration,
    /// Frames a client may send per second, on average.
    pub frames_per_second: u32,
    /// Frames a client may send at once.
    pub frames_at_once: u32,
    /// Sessions that are told to come back elsewhere, per second, when the chatserver stops; more when they are very many.
    pub leaving_per_second: u32,
    /// Bytes of frames that wait for a slow client; nothing more is read for it meanwhile.
    pub queue_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_per_agent: 10,
            hello_within: Duration::from_secs(5),
            ping_every: Duration::from_secs(25),
            patience: Duration::from_secs(30),
            frames_per_second: 20,
            frames_at_once: 60,
            leaving_per_second: 500,
            queue_bytes: 256 * 1024,
        }
    }
}
