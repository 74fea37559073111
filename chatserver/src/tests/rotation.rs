//! Keys of tokens change while agents come and go.

use std::path::PathBuf;

use super::*;

const NEW: &str = "another shared secret of more than 32 bytes";

struct KeyFile(PathBuf);

impl KeyFile {
    fn write(&self, keys: &[&str]) {
        // Replaced whole, as an operator's tools do it.
        let beside = self.0.with_extension("new");
        std::fs::write(&beside, keys.join("\n")).unwrap();
        std::fs::rename(beside, &self.0).unwrap();
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn signed(key: &str) -> String {
    encode(&Header::new(Algorithm::HS256), &claims("anna"), &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

/// Whether a token lets in; a session that was let in says goodbye.
async fn let_in(address: SocketAddr, key: &str) -> bool {
    let mut client = Client::connect(address).await;
    match client.ask(json!({"type": "hello", "token": signed(key)})).await["type"].as_str() {
        Some("ok") => {
            client.socket.close(None).await.unwrap();
            true
        }
        _ => {
            assert_eq!(client.closed().await, Some(4500));
            false
        }
    }
}

/// Tries both keys again and again until the new state has come; meanwhile `always` is let in every time.
async fn until(address: SocketAddr, key: &str, want: bool, always: &str) -> usize {
    let mut tries = 0;
    let changing = async {
        while let_in(address, key).await != want {
            assert!(let_in(address, always).await, "the key that stays is believed throughout");
            tries += 1;
        }
    };
    tokio::time::timeout(DEADLINE, changing).await.expect("the file is read again");
    tries
}

#[tokio::test]
async fn keys_change_under_load_and_nobody_is_shut_out() {
    let mut fleet = Fleet::new().await;
    let file = KeyFile(std::env::temp_dir().join(format!("switchboard-keys-{}", uuid::Uuid::new_v4())));
    file.write(&[SECRET]);
    let pair = |key: &str, value: &str| (format!("SWITCHBOARD_AUTH__{key}"), value.to_owned());
    let path = file.0.to_str().unwrap();
    let options = [pair("ISSUER", "us"), pair("AUDIENCE", "agents"), pair("HS256_SECRET_FILE", path)];
    let config = Config::load(None, options.into_iter()).unwrap();
    let watching = Shutdown::default();
    fleet.verifier = Verifier::watched(&config, &watching).unwrap();
    fleet.public.requests_at_once = 100_000;
    let address = fleet.start("one").await;

    let mut early = Client::enter(address, "anna").await;
    assert!(let_in(address, SECRET).await && !let_in(address, NEW).await);
    file.write(&[SECRET, NEW]);
    assert!(until(address, NEW, true, SECRET).await > 0);
    file.write(&["broken"]);
    tokio::time::timeout(Duration::from_secs(4), async { while let_in(address, SECRET).await {} })
        .await
        .expect_err("a broken file changes nothing");
    let mut late = Client::connect(address).await;
    late.ok(json!({"type": "hello", "token": signed(NEW)})).await;
    file.write(&[NEW]);
    assert!(until(address, SECRET, false, NEW).await > 0);
    // What the withdrawn key let in ends with it; what the other let in stays.
    assert_eq!(early.closed().await, Some(4500));
    late.ok(json!({"type": "ping"})).await;
    watching.begin();
    assert!(watching.drained(DEADLINE).await);
    fleet.finish().await;
}
