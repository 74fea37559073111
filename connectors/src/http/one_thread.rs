//! One thread for the connections of all calls.
//!
//! Between the look at a call's fence and its first byte a connection does not wait for anything, so of the calls of one
//! thread at most one is there. A process that is stopped in that moment, for however long, writes that one call when it goes
//! on, and not one for each of its threads (OUT-8).

use std::future::poll_fn;
use std::pin::pin;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

static CALLS: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("calls").enable_all().build();
    runtime.expect("a process may have one thread more")
});

/// Starts the thread: a process that cannot have it says so when it starts, not at its first call.
pub(super) fn begin() {
    LazyLock::force(&CALLS);
}

/// Polls an exchange so that the connection it opens is a task of the one thread; the exchange itself stays where it is.
pub(super) async fn on_one_thread<T>(exchange: impl Future<Output = T>) -> T {
    let mut exchange = pin!(exchange);
    poll_fn(|context| {
        let _entered = CALLS.enter();
        exchange.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use futures_util::{StreamExt, stream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each connection's first bytes; never ends.
    async fn answer(listener: TcpListener) {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            });
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn bodies_of_all_calls_are_asked_for_by_one_thread() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(answer(listener));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let calls = (0..32).map(|_| {
            let seen = seen.clone();
            let body = stream::iter([()]).map(move |()| {
                seen.lock().unwrap().push(std::thread::current().name().unwrap_or_default().to_owned());
                Ok::<_, std::io::Error>(Bytes::from_static(b"a call"))
            });
            tokio::spawn(on_one_thread(client.post(&url).body(reqwest::Body::wrap_stream(body)).send()))
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap().unwrap().status(), 200);
        }
        assert_eq!(*seen.lock().unwrap(), ["calls"; 32]);
    }
}
