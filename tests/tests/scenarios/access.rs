//! Who may do what, asked of running processes: every route of the matrix by everybody, and secrets that must be nowhere.

use std::process::Command;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use switchboard_common::access::{Rule, Surface, TokenScopes, rules};
use switchboard_tests::harness::{Fleet, FleetOptions, Process, customer, free_port, until};

use crate::taken_chat;

/// As the fleet's own file says.
const KEY: &str = "a key of the tests, 32 bytes long";

fn token(subject: &str, changes: Value) -> String {
    let exp = get_current_timestamp() + 600;
    let mut claims = json!({ "sub": subject, "iss": "switchboard", "aud": "switchboard-agents", "exp": exp });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(KEY.as_bytes())).unwrap()
}

/// A loader beside the fleet.
pub struct Loader {
    pub process: Process,
    pub base: String,
    pub admin: u16,
}

impl Loader {
    pub async fn start(fleet: &Fleet, environment: &[(&str, String)]) -> Self {
        let (port, admin) = (free_port(), free_port());
        let mut command: Command = fleet.command_of("loader");
        command.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
        command.args(["loader", "--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--admin-listen", &format!("127.0.0.1:{admin}")]);
        let process = Process::start("loader", &fleet.dir, command);
        let base = format!("http://127.0.0.1:{port}");
        let ready = format!("{base}/readyz");
        let answers = async || reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success());
        until("the loader", 30, async || answers().await.then_some(())).await;
        Self { process, base, admin }
    }
}

/// Where the routes are, and what they are asked about.
struct Scene {
    fleet: Fleet,
    loader: Loader,
    http: Client,
    /// A chat that anna has, and a file in it.
    chat: String,
    file: String,
    puts: usize,
}

impl Scene {
    async fn start() -> Self {
        let options = FleetOptions { chatservers: 1, ..FleetOptions::new("access") };
        let mut fleet = Fleet::start(options).await;
        let quick = [("SWITCHBOARD_PUBLIC__REQUESTS_AT_ONCE", "100000".to_owned())];
        fleet.surroundings[0].insert(quick[0].0.to_owned(), quick[0].1.clone());
        let links = fleet.dir.join("links");
        std::fs::write(&links, "a key of signed links, 32 bytes long").unwrap();
        fleet.surroundings[0].insert("SWITCHBOARD_FILES__LINK_SECRET_FILE".to_owned(), links.display().to_string());
        fleet.connector(0).stop(30).await;
        fleet.start_connector(0, &[]).await;
        let loader = Loader::start(&fleet, &quick).await;
        fleet.operate(&["queue", "add", "others"]);
        // Another account of the same fleet, which this connector does not serve.
        let (set, base) = (format!("token=file:{}", fleet.dir.join("token").display()), fleet.platform.base());
        let account = ["account", "add", "second", "--platform", "telegram", "--queue", "others", "--set", &set];
        fleet.operate(&[&account[..], &["--set", &format!("base_url={base}")]].concat());
        fleet.operate(&["agent", "add", "eve", "--queue", "others"]);
        fleet.operate(&["agent", "add", "robo", "--queue", "support", "--scope", "bot"]);
        fleet.operate(&["agent", "add", "lead", "--queue", "others", "--scope", "agent", "--scope", "supervisor"]);
        fleet.operate(&["agent", "add", "former", "--queue", "others", "--scope", "supervisor"]);
        fleet.operate(&["agent", "disable", "boris"]);
        let anna = fleet.agent_online("anna").await;
        let chat = taken_chat(&fleet, &anna, customer(1), "hello [[q1]]").await;
        let uploaded =
            fleet.file_client("anna").put(&fleet.public_base(), "k0", "a.txt", "text/plain", b"of anna").await;
        let file = uploaded.file();
        anna.stop().await;
        Self { fleet, loader, http: Client::new(), chat, file, puts: 0 }
    }

    /// A request of a route about what anna sees, and what it is answered with when it is let in.
    fn sample(&mut self, rule: &Rule, sees: bool) -> (RequestBuilder, u16) {
        let (files, loader, chat, file) =
            (format!("{}/files/support", self.fleet.public_base()), &self.loader.base, &self.chat, &self.file);
        let found = if sees { 200 } else { 404 };
        let day = |days| (chrono::Utc::now() + chrono::TimeDelta::days(days)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let span = format!("from={}&to={}", day(-1), day(1));
        let get = |url: String| self.http.get(url);
        self.puts += 1;
        match rule.name {
            "POST /files/{account}" => (self.http.post(format!("{files}?name=a.txt")).body("bytes"), 201),
            "PUT /files/{account}/{file}" => {
                (self.http.put(format!("{files}/k{}?name=a.txt", self.puts)).body("bytes"), 201)
            }
            "GET /files/{account}/{file}" => (get(format!("{files}/{file}")), found),
            "POST /files/{account}/{file}/link" => (self.http.post(format!("{files}/{file}/link")), found),
            "GET /v1/chats" => (get(format!("{loader}/v1/chats?{span}")), 200),
            "GET /v1/chats/export" => (get(format!("{loader}/v1/chats/export?{span}&format=ndjson")), 200),
            "GET /v1/chats/{chat}/history" => (get(format!("{loader}/v1/chats/{chat}/history")), found),
            "GET /v1/customers" => (get(format!("{loader}/v1/customers?account=support&platform_id=1")), 200),
            "GET /v1/accounts" => (get(format!("{loader}/v1/accounts")), 200),
            "GET /v1/audit" => (get(format!("{loader}/v1/audit")), 200),
            other => panic!("a route without a sample: {other}"),
        }
    }
}

fn routes() -> impl Iterator<Item = &'static Rule> {
    rules::ALL.iter().copied().filter(|rule| rule.surface != Surface::Frame)
}

async fn words(answer: Response) -> (u16, String) {
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_for_whom_its_rule_says() {
    let mut scene = Scene::start().await;
    // Who, with what in the token, what is left of it, and whether anna's chat and file are theirs to see.
    for (who, scope, left, sees) in [
        ("anna", None, "agent", true),
        ("anna", Some("agent supervisor loader admin"), "agent", true),
        ("eve", None, "agent", false),
        ("lead", Some("agent"), "agent", false),
        ("lead", Some("supervisor"), "supervisor", true),
        ("lead", Some("agent supervisor"), "agent supervisor", true),
        ("former", Some("agent supervisor"), "supervisor", true),
        ("robo", Some("bot"), "bot", false),
        ("reports", Some("loader"), "loader", true),
        ("tools", Some("admin"), "admin", true),
    ] {
        let scopes = TokenScopes::from_words(left.split(' '));
        let token = token(who, scope.map_or(json!({}), |scope| json!({ "scope": scope })));
        for rule in routes() {
            let (request, let_in) = scene.sample(rule, sees);
            let (status, body) = words(request.bearer_auth(&token).send().await.unwrap()).await;
            let want = if scopes.has_any(rule.allow) { let_in } else { 403 };
            // A link is made, a page is found.
            let same = status == want || want == 200 && status == 201;
            assert!(same, "{who} as {left}: {}: {status} instead of {want}: {body}", rule.name);
        }
    }
    let now = get_current_timestamp();
    let stranger = EncodingKey::from_secret(b"another key of more than 32 bytes....");
    let claims = json!({ "sub": "anna", "iss": "switchboard", "aud": "switchboard-agents", "exp": now + 600 });
    for (who, token, want) in [
        ("nobody", String::new(), 401),
        ("an expired one", token("anna", json!({ "exp": now - 31 })), 401),
        ("one for others", token("anna", json!({ "aud": "others" })), 401),
        ("one of others", token("anna", json!({ "iss": "them" })), 401),
        ("a forged one", encode(&Header::new(Algorithm::HS256), &claims, &stranger).unwrap(), 401),
        ("another system's scopes", token("anna", json!({ "scope": "openid" })), 401),
        ("a huge one", token("anna", json!({ "x": "x".repeat(10_000) })), 401),
        ("a disabled agent", token("boris", json!({})), 403),
        ("an unknown agent", token("mallory", json!({ "scope": "agent supervisor" })), 403),
    ] {
        for rule in routes() {
            let (request, _) = scene.sample(rule, true);
            let request = if token.is_empty() { request } else { request.bearer_auth(&token) };
            let (status, body) = words(request.send().await.unwrap()).await;
            assert_eq!(status, want, "{who}: {}: {body}", rule.name);
            assert!(body.contains("\"request_id\"") && !body.contains("SELECT") && !body.contains("/src/"), "{body}");
        }
    }
    elsewhere(&mut scene).await;
    from_outside(&scene).await;
}

/// Tokens in other places, and ids of another account.
async fn elsewhere(scene: &mut Scene) {
    let good = token("anna", json!({}));
    for rule in routes() {
        for place in ["access_token", "token"] {
            let (request, _) = scene.sample(rule, true);
            let (status, _) = words(request.query(&[(place, &good)]).send().await.unwrap()).await;
            assert!(status == 401 || status == 400, "{}: a token in the URL: {status}", rule.name);
        }
        let (request, _) = scene.sample(rule, true);
        let cookie = request.header("Cookie", format!("token={good}; Authorization=Bearer {good}"));
        assert_eq!(words(cookie.send().await.unwrap()).await.0, 401, "{}: a cookie", rule.name);
    }
    // What is not there, is of another account, and is not theirs to see, cannot be told apart.
    let (base, absent) = (scene.fleet.public_base(), "0".repeat(32));
    let (foreign, own) = (token("eve", json!({})), token("anna", json!({})));
    let mut answers = Vec::new();
    for (token, path) in [
        (&foreign, format!("support/{}", scene.file)),
        (&own, format!("support/{absent}")),
        (&own, format!("second/{}", scene.file)),
    ] {
        let answer = scene.http.get(format!("{base}/files/{path}")).bearer_auth(token).send().await.unwrap();
        let (status, body) = words(answer).await;
        let mut body: Value = serde_json::from_str(&body).unwrap();
        body.as_object_mut().unwrap().remove("request_id");
        answers.push((status, body));
    }
    assert_eq!(answers[0].0, 404);
    assert!(answers[0] == answers[1] && answers[0].0 == answers[2].0, "{answers:?}");
    let history = |chat: String| scene.http.get(format!("{}/v1/chats/{chat}/history", scene.loader.base));
    let mut answers = Vec::new();
    for chat in [scene.chat.clone(), "999999".to_owned()] {
        let (status, body) = words(history(chat).bearer_auth(&foreign).send().await.unwrap()).await;
        let mut body: Value = serde_json::from_str(&body).unwrap();
        body.as_object_mut().unwrap().remove("request_id");
        answers.push((status, body));
    }
    assert!(answers[0].0 == 404 && answers[0] == answers[1], "{answers:?}");
}

/// Nothing of the operators' is on a listener of the public, and other origins read nothing.
async fn from_outside(scene: &Scene) {
    let chatserver = scene.fleet.websockets()[0].replace("ws://", "http://").replace("/v1/agent", "");
    let token = token("tools", json!({ "scope": "admin" }));
    let connector = scene.fleet.public_base();
    for base in [&chatserver, &scene.loader.base, &connector] {
        for path in ["/metrics", "/debug/pprof/", "/admin", "/config", "/env", "/heapdump", "/actuator", "/.git/config"]
        {
            let answer = scene.http.get(format!("{base}{path}")).bearer_auth(&token).send().await.unwrap();
            assert_eq!(answer.status(), 404, "{base}{path}");
        }
        for origin in ["https://evil.example", "null", "file://", &format!("{base}.evil.example")] {
            let answer = scene.http.get(format!("{base}/v1/chats")).header("Origin", origin).bearer_auth(&token);
            let answer = answer.send().await.unwrap();
            assert!(!answer.headers().contains_key("access-control-allow-origin"), "{base} for {origin}");
            let asked = scene.http.request(reqwest::Method::OPTIONS, format!("{base}/v1/chats"));
            let asked = asked.header("Origin", origin).header("Access-Control-Request-Method", "GET").send().await;
            assert!(!asked.unwrap().headers().contains_key("access-control-allow-origin"), "{base} for {origin}");
        }
    }
    for description in ["/openapi.json", "/asyncapi.json"] {
        for base in [&chatserver, &scene.loader.base, &connector] {
            let document: Value = reqwest::get(format!("{base}{description}")).await.unwrap().json().await.unwrap();
            assert!(document["info"]["title"].is_string(), "{base}{description}");
        }
    }
    let admin = reqwest::get(format!("http://127.0.0.1:{}/metrics", scene.loader.admin)).await.unwrap();
    assert!(admin.status().is_success(), "on its own listener it is there");
}
