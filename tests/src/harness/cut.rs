//! A link that can be cut: a TCP proxy in the harness, between a process and what it talks to.
//!
//! A network that swallows packets is told from one that refuses connections, because programs meet them
//! differently: the first is silence, the second an error at once. A link may also swallow one way only, be slow, or
//! tear answers in the middle.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::lasting;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// They pass.
    Open,
    /// Nobody answers and nothing is carried; sockets stay. What was written meanwhile arrives when the link is
    /// open again, unless its writer has closed the connection by then.
    Silent,
    /// New ones are refused, old ones are reset.
    Refused,
    /// One way only: what the client writes arrives, what the server answers does not. New connections are as old ones.
    NoAnswers,
    /// One way only: what the client writes does not arrive; new connections get nowhere.
    NoRequests,
    /// Whatever passes takes so many milliseconds, each way.
    Late(u64),
    /// Of an answer's first bytes half are passed on, then the connection is reset.
    Torn,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

impl Passage {
    /// Whether bytes that go this way stay where they are.
    fn holds_back(self, way: Way) -> bool {
        match self {
            Self::Open | Self::Late(_) | Self::Torn => false,
            Self::Silent | Self::Refused => true,
            Self::NoAnswers => way == Way::Answer,
            Self::NoRequests => way == Way::Request,
        }
    }

    /// Whether somebody answers a new connection.
    fn accepts(self) -> bool {
        !self.holds_back(Way::Request)
    }
}

/// A link that can be cut.
#[derive(Debug)]
pub struct Cut {
    port: u16,
    wanted: watch::Sender<Passage>,
    reached: watch::Receiver<Passage>,
    obstructed: Arc<AtomicU64>,
    task: JoinHandle<()>,
    /// Bound and never listening: nobody else gets the port while connections are refused.
    _reserved: TcpSocket,
}

impl Cut {
    /// An open link to a port of this machine.
    ///
    /// # Panics
    ///
    /// When loopback has no free port.
    pub async fn to(target: u16) -> Self {
        let reserved = bind(0);
        let port = reserved.local_addr().expect("bound").port();
        let (wanted, wish) = watch::channel(Passage::Open);
        let (reach, mut reached) = watch::channel(Passage::Refused);
        let obstructed = Arc::<AtomicU64>::default();
        let task = tokio::spawn(keep(port, target, wish, reach, obstructed.clone()));
        reached.wait_for(|now| *now == Passage::Open).await.expect("the link stands");
        Self { port, wanted, reached, obstructed, task, _reserved: reserved }
    }

    /// Where to connect instead.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often it held back, reset, tore or delayed something: whoever cut it knows by this that it was in use.
    pub fn obstructed(&self) -> u64 {
        self.obstructed.load(Ordering::Relaxed)
    }

    /// Changes what becomes of connections; it is in force when this returns.
    ///
    /// # Panics
    ///
    /// When the link broke by itself.
    pub async fn set(&mut self, passage: Passage) {
        self.wanted.send_replace(passage);
        self.reached.wait_for(|now| *now == passage).await.expect("the link stands");
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn bind(port: u16) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).and_then(|()| socket.set_reuseport(true)).expect("options of a socket");
    socket.bind((Ipv4Addr::LOCALHOST, port).into()).expect("loopback has a free port");
    socket
}

async fn keep(
    port: u16,
    target: u16,
    mut wish: watch::Receiver<Passage>,
    reach: watch::Sender<Passage>,
    obstructed: Arc<AtomicU64>,
) {
    let mut listener: Option<TcpListener> = None;
    loop {
        let passage = *wish.borrow_and_update();
        match passage {
            Passage::Refused => listener = None,
            _ => {
                listener.get_or_insert_with(|| bind(port).listen(1024).expect("the port is ours"));
            }
        }
        reach.send_replace(passage);
        let door = async {
            match &listener {
                Some(listener) => listener.accept().await.ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = wish.changed() => if changed.is_err() { return },
            accepted = door => if let Some((client, _)) = accepted {
                tokio::spawn(carry(client, target, wish.clone(), obstructed.clone()));
            },
        }
    }
}

/// One connection, until either side ends it or the link refuses connections.
async fn carry(mut client: TcpStream, target: u16, wish: watch::Receiver<Passage>, obstructed: Arc<AtomicU64>) {
    let mut door = wish.clone();
    if !door.borrow().accepts() {
        // A silent link's clients are connected, and wait.
        obstructed.fetch_add(1, Ordering::Relaxed);
        let opened =
            door.wait_for(|now| now.accepts() || *now == Passage::Refused).await.is_ok_and(|now| now.accepts());
        if !opened {
            return reset(&client);
        }
    }
    if is_given_up(&client) {
        return;
    }
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return reset(&client) };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut refusal = wish.clone();
    let carried = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let both = async {
            let (requests, answers) = ((from_client, to_server), (from_server, to_client));
            let pump = |ends, way| pump(ends, way, wish.clone(), &obstructed);
            tokio::try_join!(pump(requests, Way::Request), pump(answers, Way::Answer)).is_ok()
        };
        tokio::select! {
            carried = both => carried,
            _ = refusal.wait_for(|now| *now == Passage::Refused) => {
                obstructed.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    };
    if !carried {
        reset(&client);
        reset(&server);
    }
}

/// Carries one direction. An error ends the connection.
async fn pump(
    (mut from, mut to): (ReadHalf<'_>, WriteHalf<'_>),
    way: Way,
    mut wish: watch::Receiver<Passage>,
    obstructed: &AtomicU64,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        if wish.borrow_and_update().holds_back(way) {
            let waits = tokio::select! {
                _ = wish.wait_for(|now| !now.holds_back(way)) => false,
                waits = from.peek(&mut buffer[..1]) => waits.is_ok_and(|bytes| bytes > 0),
            };
            obstructed.fetch_add(u64::from(waits), Ordering::Relaxed);
            let _ = wish.wait_for(|now| !now.holds_back(way)).await;
            if is_given_up(from.as_ref()) {
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
        }
        let read = tokio::select! {
            biased;
            changed = wish.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return Err(std::io::ErrorKind::ConnectionAborted.into()),
            },
            read = from.read(&mut buffer) => read?,
        };
        let now = *wish.borrow();
        if read > 0 && matches!(now, Passage::Late(_) | Passage::Torn) {
            obstructed.fetch_add(1, Ordering::Relaxed);
        }
        match now {
            Passage::Torn if way == Way::Answer && read > 0 => {
                to.write_all(&buffer[..read / 2]).await?;
                to.flush().await?;
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            Passage::Late(milliseconds) => lasting(milliseconds).await,
            _ => {}
        }
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

/// Whether the other end has closed its side: what it wrote before may still be waiting to be read.
fn is_given_up(socket: &TcpStream) -> bool {
    let mut look = [PollFd::new(socket, PollFlags::RDHUP)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut look, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

/// Closed without lingering is a reset.
fn reset(socket: &TcpStream) {
    let _ = socket.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every connection with what it says.
    async fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = socket.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        port
    }

    async fn says(socket: &mut TcpStream, word: &[u8]) -> std::io::Result<Vec<u8>> {
        socket.write_all(word).await?;
        let mut heard = vec![0; word.len()];
        socket.read_exact(&mut heard).await?;
        Ok(heard)
    }

    #[tokio::test]
    async fn what_waits_in_a_silent_link_arrives_when_it_is_open_again() {
        let mut cut = Cut::to(echo().await).await;
        let mut socket = TcpStream::connect(("127.0.0.1", cut.port())).await.expect("open");
        assert_eq!(says(&mut socket, b"one").await.expect("open"), b"one");
        cut.set(Passage::Silent).await;
        socket.write_all(b"two").await.expect("the kernel takes it");
        let mut late = TcpStream::connect(("127.0.0.1", cut.port())).await.expect("the kernel takes it");
        late.write_all(b"late").await.expect("the kernel takes it");
        let mut heard = [0; 3];
        let silence = tokio::time::timeout(std::time::Duration::from_millis(100), socket.read_exact(&mut heard)).await;
        assert!(silence.is_err(), "nothing is carried");
        cut.set(Passage::Open).await;
        socket.read_exact(&mut heard).await.expect("carried now");
        assert_eq!(&heard, b"two");
        let mut heard = [0; 4];
        late.read_exact(&mut heard).await.expect("accepted now");
        assert_eq!(&heard, b"late");
    }

    #[tokio::test]
    async fn what_its_writer_gave_up_never_arrives() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut cut = Cut::to(listener.local_addr().expect("bound").port()).await;
        let mut socket = TcpStream::connect(("127.0.0.1", cut.port())).await.expect("open");
        let (mut server, _) = listener.accept().await.expect("carried");
        cut.set(Passage::Silent).await;
        socket.write_all(b"too late").await.expect("the kernel takes it");
        drop(socket);
        cut.set(Passage::Open).await;
        let mut heard = Vec::new();
        assert!(server.read_to_end(&mut heard).await.is_err(), "a reset");
        assert!(heard.is_empty());
    }

    #[tokio::test]
    async fn a_refusing_link_resets_and_lets_nobody_in() {
        let mut cut = Cut::to(echo().await).await;
        let mut socket = TcpStream::connect(("127.0.0.1", cut.port())).await.expect("open");
        assert_eq!(says(&mut socket, b"one").await.expect("open"), b"one");
        cut.set(Passage::Refused).await;
        assert!(socket.read_u8().await.is_err(), "reset");
        let refused = TcpStream::connect(("127.0.0.1", cut.port())).await.expect_err("refused");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        cut.set(Passage::Open).await;
        let mut socket = TcpStream::connect(("127.0.0.1", cut.port())).await.expect("open again");
        assert_eq!(says(&mut socket, b"two").await.expect("open again"), b"two");
    }

    #[tokio::test]
    async fn one_way_swallows_answers_or_requests() {
        for passage in [Passage::NoAnswers, Passage::NoRequests] {
            let mut cut = Cut::to(echo().await).await;
            let mut socket = TcpStream::connect(("127.0.0.1", cut.port())).await.expect("open");
            assert_eq!(says(&mut socket, b"one").await.expect("open"), b"one");
            cut.set(passage).await;
            let silence = tokio::time::timeout(std::time::Duration::from_millis(100), says(&mut socket, b"two")).await;
            assert!(silence.is_err(), "{passage:?}");
            cut.set(Passage::Open).await;
            let mut heard = [0; 3];
            socket.read_exact(&mut heard).await.expect("carried now");
            assert_eq!(&heard, b"two", "{passage:?}");
        }
    }

    #[tokio::test]
    async fn answers_swallowed_one_way_were_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut cut = Cut::to(listener.local_addr().expect("bound").port()).await;
        cut.set(Passage::NoAnswers).await;
        let mut socket = TcpStream::connect(("127.0.0.1", cut.port())).await.expect("accepted");
        socket.write_all(b"do it").await.expect("written");
        let (mut server, _) = listener.accept().await.expect("carried");
        let mut heard = [0; 5];
        server.read_exact(&mut heard).await.expect("the request arrives");
        assert_eq!(&heard, b"do it");
    }

    #[tokio::test]
    async fn a_torn_answer_is_half_of_it_and_a_reset() {
        let mut cut = Cut::to(echo().await).await;
        let mut socket = TcpStream::connect(("127.0.0.1", cut.port())).await.expect("open");
        cut.set(Passage::Torn).await;
        socket.write_all(b"whole").await.expect("open");
        let mut heard = Vec::new();
        // The half may be lost with the reset.
        let end = socket.read_to_end(&mut heard).await;
        assert!(heard.len() <= 2 && (end.is_err() || !heard.is_empty()), "{heard:?} {end:?}");
    }

    #[tokio::test]
    async fn a_slow_link_takes_its_time_each_way() {
        let mut cut = Cut::to(echo().await).await;
        let mut socket = TcpStream::connect(("127.0.0.1", cut.port())).await.expect("open");
        cut.set(Passage::Late(60)).await;
        let begun = std::time::Instant::now();
        assert_eq!(says(&mut socket, b"slow").await.expect("open"), b"slow");
        assert!(begun.elapsed() >= std::time::Duration::from_millis(120));
    }
}
