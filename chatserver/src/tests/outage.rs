use std::sync::Arc;

use switchboard_common::store::DatabaseOptions;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;

/// A way to the database that can be cut.
struct Proxy {
    address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
}

impl Proxy {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(watch::Sender::new(true));
        let state = open.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut state = state.subscribe();
                if !*state.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = state.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { address, open }
    }
}

fn through(proxy: &Proxy, url: &str) -> (String, Database) {
    let config: tokio_tungstenite::tungstenite::http::Uri = url.parse().unwrap();
    let authority = config.authority().unwrap().as_str();
    let (login, _) = authority.rsplit_once('@').unwrap();
    let url = format!("postgresql://{login}@{}{}", proxy.address, config.path());
    let options = DatabaseOptions {
        url: url.clone(),
        password: None,
        pool_size: 6,
        application_name: "cut off".to_owned(),
        statement_timeout: Duration::from_secs(5),
    };
    (url, Database::new(&options).unwrap())
}

/// While the database is away sockets stay open and requests are refused as such; afterwards everything goes on.
#[tokio::test]
async fn a_database_that_goes_away_and_comes_back() {
    let mut fleet = Fleet::new().await;
    let uri: tokio_tungstenite::tungstenite::http::Uri = fleet.test.url.parse().unwrap();
    let target: SocketAddr = format!("{}:{}", uri.host().unwrap(), uri.port_u16().unwrap()).parse().unwrap();
    let proxy = Proxy::to(target).await;
    let (_, database) = through(&proxy, &fleet.test.url);
    let address = fleet.start_with("one", Limits::default(), database).await;
    let mut anna = Client::enter(address, "anna").await;
    fleet.say(vec![message("c1", 1, "before")]).await;
    anna.entries_until(|frame| frame["entry"]["seq"] == 2).await;
    anna.ok(json!({"type": "take", "chat": "1"})).await;
    anna.entries_until(|frame| frame["feed"] == "agent:1").await;

    proxy.open.send_replace(false);
    let send = json!({"type": "send", "chat": "1", "client_key": "k", "text": "in the dark"});
    assert_eq!(anna.refused(send.clone()).await, "unavailable");
    fleet.say(vec![message("c1", 2, "meanwhile")]).await;
    let mut bob = Client::connect(address).await;
    assert_eq!(bob.refused(json!({"type": "hello", "token": token("bob")})).await, "unavailable");
    assert_eq!(bob.closed().await, Some(4011));
    assert_eq!(anna.ok(json!({"type": "ping"})).await, json!({}), "the socket is open");

    proxy.open.send_replace(true);
    let entries = anna.entries_until(|frame| frame["entry"]["text"] == "meanwhile").await;
    assert!(!entries.is_empty());
    assert_eq!(anna.ok(send).await["repeated"], false);
    anna.entries_until(|frame| frame["entry"]["client_key"] == "k").await;
    fleet.finish().await;
}
