//! Keeps the metrics port from eating the server's file descriptors: a limit on connections, and an end
//! for those that stay silent.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Connections at a time; more wait in the kernel's queue.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// A connection that neither sends nor takes anything for so long is closed.
const SILENCE_MAX: Duration = Duration::from_secs(60);

pub(super) struct GuardedListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl GuardedListener {
    pub(super) fn new(listener: TcpListener) -> GuardedListener {
        GuardedListener { listener, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl axum::serve::Listener for GuardedListener {
    type Io = GuardedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (GuardedStream, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        // Axum's own accept waits a second and tries again when the system is out of descriptors.
        let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
        let silence = Box::pin(sleep(SILENCE_MAX));
        (GuardedStream { stream, silence, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that holds its place, and fails once it has been silent for too long.
pub(super) struct GuardedStream {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl GuardedStream {
    /// Passes progress on; turns waiting into an error once the silence has lasted too long.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.silence.set(sleep(SILENCE_MAX));
            return progress;
        }
        match self.silence.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch(context, progress)
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, progress)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::serve::Listener as _;

    use super::*;

    #[test]
    fn a_silent_connection_ends() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("it listens");
            let _client = TcpStream::connect(address).await.expect("it listens");
            let (mut stream, _) = GuardedListener::new(listener).accept().await;
            // Move the end of the silence to now instead of waiting for it.
            stream.silence.set(sleep(Duration::ZERO));
            let mut bytes = [0; 8];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = std::future::poll_fn(|context| {
                Pin::new(&mut stream).poll_read(context, &mut buffer)
            });
            let error = read.await.expect_err("nobody sends");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }
}
