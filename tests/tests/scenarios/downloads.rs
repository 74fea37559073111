//! What strangers and agents can make of files, through the reverse proxy with its sample configuration: nothing runs in a
//! browser, nobody gets another's answer, and a slow reader holds nothing up.

mod polyglots;
mod smuggling;

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde_json::Value;
use switchboard_tests::agent::View;
use switchboard_tests::harness::{Fleet, FleetOptions, customer, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout};

use crate::{full, taken_chat};

/// Everything here comes from one address, and more of it than from any office.
pub const SETTINGS: &str = "[public]\nrequests_per_second = 10000\nrequests_at_once = 10000\n";
/// More than sockets and the proxy hold back for a reader.
const LARGE: usize = 24 << 20;
/// More of them than connections in `files.pool_size`.
const SLOW_READERS: usize = 4;

/// Who asks, and how.
pub struct Street {
    pub client: reqwest::Client,
    pub base: String,
    pub anna: String,
    pub eve: String,
}

impl Street {
    async fn ask(&self, url: &str, token: Option<&str>) -> (u16, HeaderMap, Vec<u8>) {
        let request = self.client.get(url);
        let answer = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth).send().await.unwrap();
        (answer.status().as_u16(), answer.headers().clone(), answer.bytes().await.unwrap().to_vec())
    }

    /// A signed link of anna's, made by the server at `base`, and its end.
    async fn link(&self, base: &str, file: &str) -> (String, DateTime<Utc>) {
        let request = self.client.post(format!("{base}/files/support/{file}/link")).bearer_auth(&self.anna);
        let told: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        (told["url"].as_str().unwrap().to_owned(), told["expires_at"].as_str().unwrap().parse().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_run_nowhere_and_are_nobody_elses() {
    let options = FleetOptions {
        proxy: true,
        loader: true,
        chatservers: 1,
        settings: SETTINGS,
        ..FleetOptions::pair("downloads")
    };
    let mut fleet = Fleet::start(options).await;
    fleet.operate(&["queue", "add", "billing"]);
    fleet.operate(&["agent", "add", "eve", "--display-name", "Eve", "--queue", "billing"]);
    let street = Street {
        client: reqwest::Client::new(),
        base: fleet.public_base(),
        anna: fleet.operate(&["token", "--agent", "anna"]),
        eve: fleet.operate(&["token", "--agent", "eve"]),
    };
    // Links of the standby are short: those of the other may be used by a slow browser.
    let standby = 1 - fleet.paired().await;
    fleet.connector(standby).stop(15).await;
    fleet.start_connector(standby, &[("SWITCHBOARD_FILES__LINK_GOOD_FOR_S", "8")]).await;
    fleet.paired().await;

    let own = only_for_its_chat(&fleet, &street).await;
    let (link, end) = street.link(&fleet.connector_bases()[standby], &own).await;
    assert!(link.starts_with(&street.base));
    good_as_it_is(&fleet, &street, &link, &own).await;
    tokio::join!(slow_readers(&fleet, &street), polyglots::run_nowhere(&fleet, &street));
    smuggling::mixes_nothing_up(&fleet, &street).await;
    until("the link's end", 20, async || {
        let asked = Utc::now();
        match street.ask(&link, None).await.0 {
            200 => assert!(asked < end, "good after its end"),
            404 => assert!(Utc::now() >= end, "not good before its end"),
            status => panic!("{status}"),
        }
        (asked >= end).then_some(())
    })
    .await;
    fleet.verdict(&fleet.expectations().require(&["LOG", "IN-1", "IN-4", "FI-1", "FI-2"])).await.assert_clean();
    fleet.no_secret_was_written();
}

/// A customer's document, for the agent who has the chat: to all others it is as if it were not there. Returns it.
async fn only_for_its_chat(fleet: &Fleet, street: &Street) -> String {
    let anna = fleet.agent("anna", 1);
    let chat = taken_chat(fleet, &anna, customer(1), "hello [[q1]]").await;
    fleet.platform.document(customer(1), "act.bin", "application/zip", b"act no. 17", "the act [[q2]]").await;
    let said = |view: &View| view.customer_messages(0).any(|seen| seen.text.as_deref() == Some("the act [[q2]]"));
    anna.wait_until("the document", Duration::from_secs(20), said).await.unwrap();
    let page = anna.history(&chat, None, 50).await.unwrap();
    let entries = page["entries"].as_array().unwrap();
    let file = entries.iter().find_map(|entry| entry["files"][0]["file"].as_str()).unwrap().to_owned();
    let url = format!("{}/files/support/{file}", street.base);
    until("the bytes", 20, async || (street.ask(&url, Some(&street.anna)).await.0 == 200).then_some(())).await;
    assert_eq!(fleet.file_client("anna").get(&street.base, &file).await.body, b"act no. 17");

    let absent = street.ask(&format!("{}/files/support/{}", street.base, "0".repeat(32)), Some(&street.eve)).await;
    let absent = without_names(absent);
    assert_eq!((absent.0, absent.2["code"].as_str()), (404, Some("not_found")));
    assert_eq!(
        without_names(street.ask(&url, Some(&street.eve)).await),
        absent,
        "another's file is like an absent one"
    );
    let link = street.client.post(format!("{url}/link")).bearer_auth(&street.eve).send().await.unwrap();
    assert_eq!(link.status(), 404);
    let boris = fleet.operate(&["token", "--agent", "boris"]);
    assert_eq!(street.ask(&url, Some(&boris)).await.0, 200, "he serves its queue");
    file
}

/// An answer without what every answer has of its own.
fn without_names((status, mut headers, body): (u16, HeaderMap, Vec<u8>)) -> (u16, HeaderMap, Value) {
    let said = String::from_utf8_lossy(&body).into_owned();
    let mut body: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{status}: {said}"));
    assert!(body.as_object_mut().unwrap().remove("request_id").is_some());
    for own in ["date", "x-request-id"] {
        headers.remove(own);
    }
    (status, headers, body)
}

/// Whoever is given a link may use it; nobody can make another of it.
async fn good_as_it_is(fleet: &Fleet, street: &Street, link: &str, file: &str) {
    let other = fleet.file_client("anna").put(&street.base, "other", "other.txt", "text/plain", b"other").await.file();
    for base in fleet.connector_bases().iter().chain([&street.base]) {
        let link = link.replace(&street.base, base);
        assert_eq!(street.ask(&link, None).await.2, b"act no. 17", "{base}");
        for (from, to) in [("/files/support/", "/files/sales/"), (file, &other), ("&agent=", "&agent=1"), ("?", "?a&")]
        {
            let forged = link.replacen(from, to, 1);
            let want = if from == "?" { 200 } else { 404 };
            assert!(forged != link && street.ask(&forged, None).await.0 == want, "{forged}");
        }
    }
}

/// Who reads at a trickle, behind the proxy or not, holds no connection to the database, and others are served meanwhile.
pub async fn slow_readers(fleet: &Fleet, street: &Street) {
    let bytes: Vec<u8> = (0..LARGE as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let anna = fleet.file_client("anna");
    let large = anna.put(&street.base, "large", "large.bin", "application/octet-stream", &bytes).await.file();
    let small = anna.put(&street.base, "small", "small.bin", "application/octet-stream", b"small").await.file();
    let end = Instant::now() + Duration::from_secs(if full() { 300 } else { 5 });
    let readers: Vec<_> = (0..SLOW_READERS)
        .map(|number| {
            let base = if number % 2 == 0 { &street.base } else { &fleet.connector_bases()[0] };
            let (address, bytes) = (base.replace("http://", ""), bytes.clone());
            let head = format!(
                "GET /files/support/{large} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
                street.anna
            );
            tokio::spawn(async move {
                let socket = TcpSocket::new_v4().unwrap();
                socket.set_recv_buffer_size(16 << 10).unwrap();
                let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
                stream.write_all(head.as_bytes()).await.unwrap();
                let (mut got, mut again) = (Vec::new(), tokio::time::interval(Duration::from_millis(100)));
                while Instant::now() < end {
                    again.tick().await;
                    let mut some = [0; 1024];
                    let read = stream.read(&mut some).await.unwrap();
                    assert!(read > 0, "the connection lasts");
                    got.extend_from_slice(&some[..read]);
                }
                let rest = timeout(Duration::from_secs(60), stream.read_to_end(&mut got)).await;
                rest.expect("the rest comes at once").unwrap();
                assert!(got.starts_with(b"HTTP/1.1 200 ") && got.ends_with(&bytes));
            })
        })
        .collect();
    let pool = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '% files'";
    let held = format!("{pool} AND state <> 'idle' AND clock_timestamp() - state_change > interval '2 s'");
    let mut served = 0;
    while Instant::now() < end {
        assert_eq!(fleet.onlooker.number(&held).await, Some(0), "a connection is held for a slow reader");
        let small = timeout(Duration::from_secs(5), anna.get(&street.base, &small)).await.expect("others are served");
        assert_eq!(small.body, b"small");
        if served == 0 {
            assert!(anna.get(&street.base, &large).await.body == bytes);
        }
        served += 1;
    }
    assert!(served > 2 && fleet.onlooker.number(pool).await > Some(0));
    for reader in readers {
        reader.await.unwrap();
    }
}
