//! The pages for Prometheus and for whoever asks whether the server lives: well formed, and in agreement
//! with what was done.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use blackbox::client::encode;
use blackbox::http::{self, Response};
use blackbox::server::{Options, Program, Server, free_port};
use blackbox::wait;

/// A server with its pages, or `None` where the program has none: a real Redis.
fn start(shards: usize) -> Option<(Server, SocketAddr)> {
    if Program::rialto().is_redis() {
        return None;
    }
    let port = free_port();
    let server = Options::rialto().shards(shards).metrics_port(port).start();
    Some((server, SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
}

fn get(address: SocketAddr, path: &str) -> Response {
    http::get(address, path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
}

/// The samples of the metrics page: name with labels, value.
///
/// # Panics
/// When a line is not of the text format of Prometheus.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let first = name.chars().next().expect("a name is not empty");
        assert!(first.is_ascii_alphabetic() || first == '_', "{line}");
        assert!(samples.insert(name.to_owned(), value).is_none(), "twice: {name}");
    }
    samples
}

/// The sum over all samples of the metrics whose name, without labels, contains all the words.
fn sum(samples: &BTreeMap<String, f64>, words: &[&str]) -> f64 {
    let wanted = |name: &str| {
        let name = name.split('{').next().unwrap_or(name);
        words.iter().all(|word| name.contains(word))
    };
    let found: Vec<f64> =
        samples.iter().filter(|(name, _)| wanted(name)).map(|(_, value)| *value).collect();
    assert!(!found.is_empty(), "no metric is called {words:?}: {:?}", samples.keys());
    found.iter().sum()
}

#[test]
fn health_and_readiness_are_told() {
    let Some((server, address)) = start(2) else { return };
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(address, path).status, 200, "{path}");
    }
    assert_eq!(get(address, "/nonsense").status, 404);
    assert_eq!(server.client().run("PING").text(), "PONG");
}

#[test]
fn metrics_count_what_is_done() {
    const COMMANDS: usize = 1000;
    let Some((server, address)) = start(4) else { return };
    let response = get(address, "/metrics");
    assert_eq!(response.status, 200);
    assert!(response.head.to_lowercase().contains("content-type: text/plain"), "{}", response.head);
    assert!(response.body.contains("# HELP") && response.body.contains("# TYPE"));
    let before = samples(&response.body);

    let mut client = server.client();
    let requests: Vec<u8> = (0..COMMANDS)
        .flat_map(|n| encode(&["SET".into(), format!("key:{n}"), n.to_string()]))
        .collect();
    client.send_raw(&requests);
    client.read_many(COMMANDS);

    let mut after = BTreeMap::new();
    wait::until("the commands are counted", || {
        after = samples(&get(address, "/metrics").body);
        sum(&after, &["commands", "total"])
            >= sum(&before, &["commands", "total"]) + COMMANDS as f64
    });
    wait::until("the keys are counted", || {
        after = samples(&get(address, "/metrics").body);
        (sum(&after, &["_keys"]) - COMMANDS as f64).abs() < 0.5
    });
    assert!(sum(&after, &["connections_open"]) >= 1.0);
    assert!(sum(&after, &["memory"]) > 0.0);
    for (name, value) in &after {
        assert!(value.is_finite() && *value >= 0.0, "{name} {value}");
    }
    let per_core =
        after.keys().filter(|name| name.starts_with("rialto_commands_processed_total{")).count();
    assert!(per_core >= 4, "each of four cores counts its own: {:?}", after.keys());
}

#[test]
fn many_readers_of_the_metrics_stall_no_client() {
    let Some((server, address)) = start(2) else { return };
    let mut client = server.client();
    for _ in 0..50 {
        assert_eq!(get(address, "/metrics").status, 200);
        assert_eq!(client.run("PING").text(), "PONG");
    }
}

#[test]
fn without_a_port_there_are_no_pages() {
    let Some((_, address)) = start(1) else { return };
    wait::until("the pages are gone with their server", || http::get(address, "/healthz").is_err());
    let server = Options::rialto().start();
    assert!(http::get(server.address(), "/healthz").is_err(), "the port of Redis speaks no HTTP");
}
