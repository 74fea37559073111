//! What a doctor asks one server, apart from the process's own session.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zookeeper_client::{Acls, Client, CreateMode, Error};

use super::{EnsembleOptions, bounded};

/// How a session with one server went.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The session timeout that the server grants.
    pub granted: Duration,
    /// Whether nodes can be made and removed under the chroot, or why not.
    pub writable: Result<(), String>,
}

/// No answer after this is none.
const PATIENCE: Duration = Duration::from_secs(3);
/// An answer to `cons` of a busy server.
const ANSWER_MAX: u64 = 1 << 20;

/// Opens a session of its own with the server that `options.connect` names, and tries to write.
pub async fn examine(options: &EnsembleOptions) -> Result<Examined, String> {
    let connector = Client::connector().with_session_timeout(options.session_timeout).connect(&options.connect);
    let client = tokio::time::timeout(PATIENCE, connector).await.map_err(|_| "no session within 3 s".to_owned())?;
    let client = client.map_err(|error| error.to_string())?;
    let writable = write(&client, &options.chroot).await.map_err(|error| error.to_string());
    Ok(Examined { granted: client.session_timeout(), writable })
}

async fn write(client: &Client, chroot: &str) -> Result<(), Error> {
    let open = Acls::anyone_all();
    if chroot != "/" {
        bounded(client.mkdir(chroot, &CreateMode::Persistent.with_acls(open))).await?;
    }
    let path = format!("{}/doctor-", chroot.trim_end_matches('/'));
    let (_, sequence) = bounded(client.create(&path, b"", &CreateMode::EphemeralSequential.with_acls(open))).await?;
    bounded(client.delete(&format!("{path}{sequence}"), None)).await
}

/// The answer to one of ZooKeeper's four letter words, or why there is none.
pub async fn four_letters(server: &str, word: &str) -> Result<String, String> {
    let asking = async {
        let mut socket = TcpStream::connect(server).await?;
        socket.write_all(word.as_bytes()).await?;
        let mut answer = Vec::new();
        socket.take(ANSWER_MAX).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("no answer within 3 s".to_owned()),
    }
}
