//! Memory does not grow with a file. In a process of its own: other tests' memory is not this one's.

use std::process::Command;

use axum::body::Bytes;
use futures_util::{StreamExt, stream};

use super::*;

const MIB: u64 = 1 << 20;

/// Says to the child that it is one.
const ALONE: &str = "SWITCHBOARD_TEST_ALONE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_a_file() {
    #[allow(clippy::disallowed_methods)] // no option of the product
    let is_set = |name: &str| std::env::var_os(name).is_some();
    if !is_set(ALONE) {
        let this = "tests::memory::memory_does_not_grow_with_a_file";
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([this, "--exact", "--nocapture"]).env(ALONE, "1");
        let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let mib = if is_set("SWITCHBOARD_TEST_FULL") { 1024 } else { 192 };
    let server = Server::start().await;
    server.limits.send(limits(2048 * MIB)).unwrap();
    // Everything that is made once is made by a smaller one.
    let path = format!("main/{}", server.upload("anna", body(8)).await);
    fetch(&server, &path).await;
    let (before, growing) = (resident(), Growth::watch());
    let path = format!("main/{}", server.upload("anna", body(mib)).await);
    fetch(&server, &path).await;
    let most = growing.most();
    assert!(most < before + 32 * MIB, "{} MiB through: from {} KiB to {} KiB", mib, before / 1024, most / 1024);
    server.stop().await;
}

/// Reads a file to its end, and looks whether it is what its ETag says.
async fn fetch(server: &Server, path: &str) {
    let answer = server.get("anna", path).send().await.unwrap();
    let etag = header(&answer, "etag").trim_matches('"').to_owned();
    let (mut hash, mut stream) = (Sha256::new(), answer.bytes_stream());
    while let Some(bytes) = stream.next().await {
        hash.update(bytes.unwrap());
    }
    assert_eq!(switchboard_common::model::text::hex(&hash.finalize()), etag);
}

/// So many MiB, made while they are sent.
fn body(mib: u64) -> reqwest::Body {
    let pieces = (0..mib * 16).map(|n| Ok::<_, std::io::Error>(Bytes::from(vec![n as u8; 64 * 1024])));
    reqwest::Body::wrap_stream(stream::iter(pieces))
}

/// Looks at the memory all the time.
struct Growth {
    most: Arc<std::sync::atomic::AtomicU64>,
    looking: tokio::task::JoinHandle<()>,
}

impl Growth {
    fn watch() -> Self {
        let most = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let seen = most.clone();
        let looking = tokio::spawn(async move {
            loop {
                seen.fetch_max(resident(), std::sync::atomic::Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Self { most, looking }
    }

    fn most(self) -> u64 {
        self.looking.abort();
        self.most.load(std::sync::atomic::Ordering::Relaxed).max(resident())
    }
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
