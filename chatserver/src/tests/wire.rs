//! A wire to the database that counts what is said to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The URL of a server as reached through the wire, and how many bytes went to the server.
pub(super) async fn to(url: &str) -> (String, Arc<AtomicUsize>) {
    let config: String = url.split_once("://").map(|(_, rest)| rest.to_owned()).unwrap();
    let host = config.split('/').next().unwrap().rsplit('@').next().unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = url.replacen(&host, &listener.local_addr().unwrap().to_string(), 1);
    let counted = Arc::new(AtomicUsize::new(0));
    let count = counted.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&host).await else { continue };
            let count = count.clone();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let mut buffer = vec![0; 16 * 1024];
                while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
                    count.fetch_add(n, Ordering::SeqCst);
                    if to_server.write_all(&buffer[..n]).await.is_err() {
                        break;
                    }
                }
                back.abort();
            });
        }
    });
    (through, counted)
}
