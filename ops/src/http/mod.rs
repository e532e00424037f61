//! The ops thread: `/metrics`, `/healthz`, `/readyz` over HTTP, and the signals of the process.
//!
//! Path: `server` starts it once with [`start`] -> one thread named `ops`, tokio current-thread, axum.
//! Invariant: it reads counters and flags, and never asks a core anything; so it answers while cores
//! are busy, and a slow scraper costs no client anything.
//!
//! | Request | Answer |
//! |---|---|
//! | `GET /metrics` | 200, every metric in the Prometheus text format |
//! | `GET /healthz` | 200 while the process lives |
//! | `GET /readyz` | 200 while clients are served; 503 during recovery and shutdown |

mod guard;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::sync::oneshot;

use crate::metrics::Metrics;
use guard::GuardedListener;

/// A signal that asks the server to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM: a service manager, `kill`.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
}

/// The ops thread could not start.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// The address cannot be listened on.
    #[error(
        "cannot serve metrics on {address}: {problem}; \
         choose another port with --metrics-port, or 0 for none"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        problem: String,
    },
    /// The system refused the thread, its event queue or its signals.
    #[error("cannot start the ops thread: {problem}; check the limits on threads and open files")]
    System {
        /// What the system says.
        problem: String,
    },
}

/// The running ops thread. Dropping it stops the thread and waits for it.
#[derive(Debug)]
pub struct OpsThread {
    address: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread: signals always, HTTP if there is an address (port 0 in it picks a free one).
///
/// `on_signal` runs on the ops thread at each SIGTERM and SIGINT and must not block; it should hand the
/// signal on to the cores. SIGHUP is ignored from here on.
///
/// # Errors
/// The address is taken or not ours, or the system is out of resources. Nothing runs then.
pub fn start(
    metrics: Arc<Metrics>,
    address: Option<SocketAddr>,
    on_signal: impl Fn(StopSignal) + Send + 'static,
) -> Result<OpsThread, OpsError> {
    let listener = address.map(listen).transpose()?;
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(system)?;
    let (listener, signals) = {
        let _entered = runtime.enter();
        let listener = listener.map(TcpListener::from_std).transpose().map_err(system)?;
        (listener, Signals::register().map_err(system)?)
    };
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("ops".to_owned())
        .spawn(move || runtime.block_on(run(metrics, listener, signals, on_signal, stopped)))
        .map_err(system)?;
    Ok(OpsThread { address, stop: Some(stop), thread: Some(thread) })
}

impl OpsThread {
    /// Where HTTP listens; `None` if it is off.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl Drop for OpsThread {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It fails only if the thread is gone already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn listen(address: SocketAddr) -> Result<std::net::TcpListener, OpsError> {
    let bind = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|error: std::io::Error| OpsError::Bind {
        address,
        problem: crate::system_text(&error),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "shape of a map_err function")]
fn system(error: std::io::Error) -> OpsError {
    OpsError::System { problem: crate::system_text(&error) }
}

/// Registered from the start, so that no signal of the first moments is lost.
struct Signals {
    terminate: SignalStream,
    interrupt: SignalStream,
    /// Only held: a signal with a listener no longer ends the process.
    _hangup: SignalStream,
}

impl Signals {
    fn register() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal::Terminate,
            _ = self.interrupt.recv() => StopSignal::Interrupt,
        }
    }
}

async fn run(
    metrics: Arc<Metrics>,
    listener: Option<TcpListener>,
    mut signals: Signals,
    on_signal: impl Fn(StopSignal),
    stopped: oneshot::Receiver<()>,
) {
    let handle_signals = async {
        loop {
            on_signal(signals.next().await);
        }
    };
    let serve = async {
        match listener {
            Some(listener) => serve(listener, metrics).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = handle_signals => {}
        () = serve => {}
        _ = stopped => {}
    }
}

async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(metrics);
    if let Err(error) = axum::serve(GuardedListener::new(listener), router).await {
        tracing::error!("The metrics port stopped working: {error}");
    }
}

async fn render(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, FORMAT)], metrics.render())
}

async fn ready(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    match metrics.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;
    use crate::metrics::BuildInfo;

    fn started() -> (Arc<Metrics>, OpsThread) {
        let build = BuildInfo { version: "0.1.0", redis_version: "7.2.6" };
        let metrics = Arc::new(Metrics::new(build, 1));
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let ops = start(Arc::clone(&metrics), Some(any_port), |_| {}).expect("a free port");
        (metrics, ops)
    }

    fn connect(ops: &OpsThread) -> TcpStream {
        TcpStream::connect(ops.address().expect("HTTP is on")).expect("it listens")
    }

    fn request(ops: &OpsThread, line: &str) -> String {
        let mut stream = connect(ops);
        write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer in text");
        answer
    }

    #[test]
    fn metrics_are_served_in_the_prometheus_format() {
        let (metrics, ops) = started();
        metrics.core(0).commands_processed.add(42);
        let answer = request(&ops, "GET /metrics");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
        assert!(answer.contains("\nrialto_commands_processed_total{core=\"0\"} 42\n"), "{answer}");
    }

    #[test]
    fn health_and_readiness_are_two_things() {
        let (metrics, ops) = started();
        assert!(request(&ops, "GET /healthz").starts_with("HTTP/1.1 200 "));
        assert!(request(&ops, "GET /readyz").starts_with("HTTP/1.1 503 "));
        metrics.set_ready(true);
        assert!(request(&ops, "GET /readyz").starts_with("HTTP/1.1 200 "));
        metrics.set_ready(false);
        assert!(request(&ops, "GET /readyz").starts_with("HTTP/1.1 503 "));
    }

    #[test]
    fn other_requests_are_refused() {
        let (_metrics, ops) = started();
        assert!(request(&ops, "GET /").starts_with("HTTP/1.1 404 "));
        assert!(request(&ops, "POST /metrics").starts_with("HTTP/1.1 405 "));
        let mut stream = connect(&ops);
        stream.write_all(b"*1\r\n$4\r\nPING\r\n").expect("open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer in text");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }

    #[test]
    fn a_busy_port_is_one_sentence() {
        let (metrics, ops) = started();
        let address = ops.address().expect("HTTP is on");
        let error = start(metrics, Some(address), |_| {}).expect_err("the port is taken");
        assert_eq!(
            error.to_string(),
            format!(
                "cannot serve metrics on {address}: Address already in use; \
                 choose another port with --metrics-port, or 0 for none"
            )
        );
    }

    #[test]
    fn http_can_be_off_and_dropping_frees_the_port() {
        let (metrics, ops) = started();
        let address = ops.address();
        drop(ops);
        let again = start(Arc::clone(&metrics), address, |_| {}).expect("the port is free again");
        drop(again);
        let silent = start(metrics, None, |_| {}).expect("nothing to listen on");
        assert_eq!(silent.address(), None);
    }

    #[test]
    fn silent_connections_beyond_the_limit_wait_and_the_others_are_served() {
        let (_metrics, ops) = started();
        let mut silent: Vec<TcpStream> =
            (0..guard::CONNECTIONS_MAX).map(|_| connect(&ops)).collect();
        let mut waiting = connect(&ops);
        waiting
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("open");
        silent.pop();
        let mut answer = String::new();
        waiting.read_to_string(&mut answer).expect("an answer in text");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}
