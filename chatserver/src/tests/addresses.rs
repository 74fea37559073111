//! Limits per address at the chatserver's listener.

use tokio_tungstenite::tungstenite::Error;

use super::*;

async fn open(address: SocketAddr, client: &str) -> Result<Client, u16> {
    let headers =
        [("Sec-WebSocket-Protocol", "switchboard.v1".to_owned()), ("X-Forwarded-For", format!("6.6.6.6, {client}"))];
    match Client::open(address, &headers).await {
        Ok(client) => Ok(client),
        Err(Error::Http(response)) => {
            assert!(response.headers().contains_key("retry-after"));
            Err(response.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_address_has_so_many_sockets_behind_its_proxy() {
    let mut fleet = Fleet::new().await;
    fleet.public.trusted_proxies = "127.0.0.1".to_owned();
    fleet.public.sockets_per_address = 2;
    let address = fleet.start("one").await;
    let mut first = open(address, "198.51.100.1").await.unwrap();
    let _second = open(address, "198.51.100.1").await.unwrap();
    assert_eq!(open(address, "198.51.100.1").await.err(), Some(429));
    let mut other = open(address, "198.51.100.2").await.unwrap();
    other.ok(json!({"type": "hello", "token": token("anna")})).await;
    first.socket.close(None).await.unwrap();
    first.closed().await;
    let again = async { while open(address, "198.51.100.1").await.is_err() {} };
    tokio::time::timeout(DEADLINE, again).await.expect("a closed socket is counted no more");
    fleet.finish().await;
}

#[tokio::test]
async fn handshakes_of_an_address_have_a_pace() {
    let mut fleet = Fleet::new().await;
    fleet.public.requests_per_second = 1;
    fleet.public.requests_at_once = 3;
    let address = fleet.start("one").await;
    let mut admitted = 0;
    for n in 0..10 {
        // Nobody's word is believed, so this is one address.
        admitted += usize::from(open(address, &format!("198.51.100.{n}")).await.is_ok());
    }
    assert!((3..=5).contains(&admitted), "{admitted}");
    fleet.finish().await;
}
