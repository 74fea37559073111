//! What waits to be written to one socket. The hub pushes, the session writes; bounded in frames and bytes.
//!
//! A full outlet is left out of the hub's reading until it has room: its cursor stays, and the entries are in the
//! database. So a slow client holds neither memory nor others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};

use axum::extract::ws::Utf8Bytes;
use switchboard_common::service::metrics::WS_SEND_QUEUE;
use tokio::sync::{Notify, mpsc};

use super::protocol::CloseCode;
use crate::wakes::Wakes;

/// Frames that may wait, however small.
const FRAMES: usize = 256;

/// The hub's end.
pub(crate) struct Outlet {
    frames: mpsc::Sender<Utf8Bytes>,
    shared: Arc<Shared>,
}

/// The session's end.
pub(crate) struct Inlet {
    frames: mpsc::Receiver<Utf8Bytes>,
    shared: Arc<Shared>,
    wakes: Arc<Wakes>,
}

struct Shared {
    waiting_bytes: AtomicUsize,
    most_bytes: usize,
    /// The hub holds back: wake it when there is room.
    starved: AtomicBool,
    /// A [`CloseCode`], or 0.
    kicked: AtomicU16,
    kick: Notify,
}

/// What the session does next.
pub(super) enum Next {
    Write(Utf8Bytes),
    Close(CloseCode),
}

/// What became of a push.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Push {
    Done,
    Full,
    Gone,
}

/// Makes both ends.
pub(crate) fn outlet(most_bytes: usize, wakes: Arc<Wakes>) -> (Outlet, Inlet) {
    let (sender, receiver) = mpsc::channel(FRAMES);
    let shared = Arc::new(Shared {
        waiting_bytes: AtomicUsize::new(0),
        most_bytes,
        starved: AtomicBool::new(false),
        kicked: AtomicU16::new(0),
        kick: Notify::new(),
    });
    (Outlet { frames: sender, shared: shared.clone() }, Inlet { frames: receiver, shared, wakes })
}

impl Drop for Shared {
    /// What nobody wrote waits no more.
    fn drop(&mut self) {
        metrics::gauge!(WS_SEND_QUEUE).decrement(*self.waiting_bytes.get_mut() as f64);
    }
}

impl Outlet {
    /// Whether a frame may be pushed. When not, the session wakes the relay as soon as one may.
    pub(crate) fn has_room(&self) -> bool {
        let room =
            || self.frames.capacity() > 0 && self.shared.waiting_bytes.load(Ordering::SeqCst) < self.shared.most_bytes;
        if room() {
            return true;
        }
        // Said before looking again: a session that made room between the two looks sees it, and wakes us.
        self.shared.starved.store(true, Ordering::SeqCst);
        room() && self.shared.starved.swap(false, Ordering::SeqCst)
    }

    /// Pushes a frame. The last one may go over the bytes, so that a frame larger than all of them passes, too.
    pub(crate) fn push(&self, frame: Utf8Bytes) -> Push {
        if !self.has_room() {
            return if self.frames.is_closed() { Push::Gone } else { Push::Full };
        }
        let bytes = frame.len();
        self.shared.waiting_bytes.fetch_add(bytes, Ordering::SeqCst);
        metrics::gauge!(WS_SEND_QUEUE).increment(bytes as f64);
        match self.frames.try_send(frame) {
            Ok(()) => Push::Done,
            Err(_) => {
                self.shared.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
                metrics::gauge!(WS_SEND_QUEUE).decrement(bytes as f64);
                Push::Gone
            }
        }
    }

    /// Ends the session.
    pub(crate) fn kick(&self, code: CloseCode) {
        self.shared.kicked.store(code as u16, Ordering::SeqCst);
        self.shared.kick.notify_one();
    }
}

impl Inlet {
    /// Waits for the next thing to do. Cancel safe.
    pub(super) async fn next(&mut self) -> Next {
        let kicked = |shared: &Shared| CloseCode::from_number(shared.kicked.load(Ordering::SeqCst));
        loop {
            if let Some(code) = kicked(&self.shared) {
                return Next::Close(code);
            }
            tokio::select! {
                () = self.shared.kick.notified() => {}
                frame = self.frames.recv() => match frame {
                    Some(frame) => return Next::Write(frame),
                    // The hub is gone, with the process, or it dropped us because we looked gone.
                    None => return Next::Close(CloseCode::Draining),
                },
            }
        }
    }

    /// Whether more waits already.
    pub(super) fn has_more(&self) -> bool {
        !self.frames.is_empty()
    }

    /// A further frame that is there already.
    pub(super) fn more(&mut self) -> Option<Utf8Bytes> {
        self.frames.try_recv().ok()
    }

    /// Frames of so many bytes are written.
    pub(super) fn written(&self, bytes: usize) {
        let before = self.shared.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
        metrics::gauge!(WS_SEND_QUEUE).decrement(bytes as f64);
        // Half empty, so that the hub reads pages and not single entries for a slow client.
        let roomy = before - bytes <= self.shared.most_bytes / 2 && self.frames.len() <= FRAMES / 2;
        if roomy && self.shared.starved.swap(false, Ordering::SeqCst) {
            self.wakes.relay.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Utf8Bytes {
        "x".repeat(bytes).into()
    }

    async fn write(inlet: &mut Inlet) {
        let Next::Write(frame) = inlet.next().await else { panic!("a frame waits") };
        inlet.written(frame.len());
    }

    #[tokio::test]
    async fn a_full_outlet_takes_no_more_and_wakes_the_hub_when_there_is_room() {
        let wakes = Arc::new(Wakes::default());
        let (outlet, mut inlet) = outlet(100, wakes.clone());
        assert_eq!(outlet.push(frame(60)), Push::Done);
        assert_eq!(outlet.push(frame(1000)), Push::Done, "the last one may be large");
        assert_eq!(outlet.push(frame(1)), Push::Full);
        write(&mut inlet).await;
        assert_eq!(outlet.push(frame(1)), Push::Full);
        write(&mut inlet).await;
        tokio::time::timeout(std::time::Duration::from_secs(5), wakes.relay.notified()).await.expect("woken");
        assert_eq!(outlet.push(frame(1)), Push::Done);
        drop(inlet);
        assert_eq!(outlet.push(frame(1)), Push::Gone);
    }

    #[tokio::test]
    async fn frames_are_counted_too_and_a_kick_goes_first() {
        let (outlet, mut inlet) = outlet(1_000_000, Arc::new(Wakes::default()));
        assert_eq!((0..FRAMES + 5).filter(|_| outlet.push(frame(1)) == Push::Done).count(), FRAMES);
        outlet.kick(CloseCode::Internal);
        assert!(matches!(inlet.next().await, Next::Close(CloseCode::Internal)));
    }
}
