//! What ends or continues by itself when time is up: idle connections, waiting for an element, a pause.

use std::time::{Duration, Instant};

use blackbox::server::Options;
use blackbox::wait;

/// How late a time-out may be on a busy machine.
const LATE_MAX: Duration = Duration::from_millis(1500);

#[test]
fn idle_connections_are_closed_but_not_those_that_listen_or_wait() {
    let server = Options::rialto().shards(2).param("timeout", &["1"]).start();
    let mut subscriber = server.client();
    subscriber.run("SUBSCRIBE news");
    let mut waiting = server.client();
    waiting.send(&["BLPOP", "queue", "0"]);
    let mut busy = server.client();
    let mut idle = server.client();
    idle.run("PING");
    let since = Instant::now();
    let mut closed_after = None;
    wait::until("the idle connection is closed", || {
        assert_eq!(busy.run("PING").text(), "PONG", "who talks is not idle");
        if !idle.is_silent() {
            closed_after = Some(since.elapsed());
        }
        closed_after.is_some()
    });
    idle.expect_close().expect("nothing is sent, it is just closed");
    let closed_after = closed_after.expect("just seen");
    // Whole seconds are what the parameter is measured in.
    assert!(closed_after > Duration::from_millis(950), "after {closed_after:?}");
    assert!(closed_after < Duration::from_secs(2) + LATE_MAX, "after {closed_after:?}");
    assert_eq!(busy.run("PUBLISH news hello").as_integer(), Some(1));
    assert!(subscriber.read().value.elements().is_some());
    assert_eq!(busy.run("RPUSH queue x").as_integer(), Some(1));
    assert_eq!(waiting.read().value.elements().map(<[_]>::len), Some(2));
}

#[test]
fn without_a_timeout_nobody_is_closed() {
    let server = Options::rialto().start();
    let mut idle = server.client();
    idle.run("PING");
    server.client().ok("CONFIG SET timeout 1");
    wait::until("the new parameter counts for old connections", || !idle.is_silent());
    idle.expect_close().expect("it is closed");
    server.client().ok("CONFIG SET timeout 0");
    let mut idle = server.client();
    assert!(!wait::within(Duration::from_millis(2500), || !idle.is_silent()), "it was closed");
}

#[test]
fn waiting_ends_in_time_with_null() {
    let server = Options::rialto().shards(4).start();
    for (protocol, null) in [("2", &b"*-1\r\n"[..]), ("3", b"_\r\n")] {
        let mut client = server.client();
        client.run(&format!("HELLO {protocol}"));
        for (command, ms) in [("BLPOP a 0.05", 50), ("BRPOP a b c 0.2", 200), ("BLPOP a 1", 1000)] {
            let since = Instant::now();
            client.send_raw(format!("{command}\r\n").as_bytes());
            let reply = client.read().raw;
            let waited = since.elapsed();
            assert_eq!(reply, null, "{command}");
            let asked = Duration::from_millis(ms);
            assert!(waited >= asked, "{command} waited only {waited:?}");
            assert!(waited < asked + LATE_MAX, "{command} waited {waited:?}");
        }
        assert_eq!(client.run("PING").text(), "PONG");
    }
    let mut client = server.client();
    assert_eq!(client.run("RPUSH a x").as_integer(), Some(1), "nobody waits any more");
    assert_eq!(client.run("LLEN a").as_integer(), Some(1));
}

#[test]
fn many_waiting_clients_end_each_in_its_time() {
    const CLIENTS: usize = 200;
    let server = Options::rialto().shards(4).start();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let timeout = format!("0.{:03}", 100 + number);
        client.send(&["BLPOP", &format!("q:{}", number % 7), "shared", &timeout]);
    }
    for client in &mut clients {
        assert_eq!(client.read().raw, b"*-1\r\n");
    }
    assert_eq!(server.client().run("RPUSH shared x").as_integer(), Some(1));
    assert_eq!(server.client().run("LLEN shared").as_integer(), Some(1));
}

#[test]
fn a_pause_holds_commands_and_ends_by_itself() {
    const PAUSE: Duration = Duration::from_millis(300);
    let server = Options::rialto().shards(2).start();
    let (mut control, mut client) = (server.client(), server.client());
    assert!(client.run("SET k 1").is_ok());

    let since = Instant::now();
    control.ok(&format!("CLIENT PAUSE {} WRITE", PAUSE.as_millis()));
    assert_eq!(client.run("GET k").text(), "1");
    assert!(since.elapsed() < PAUSE, "reading goes on");
    client.ok("SET k 2");
    assert!(since.elapsed() >= PAUSE, "writing waited only {:?}", since.elapsed());

    let since = Instant::now();
    control.ok(&format!("CLIENT PAUSE {}", PAUSE.as_millis()));
    assert_eq!(client.run("GET k").text(), "2");
    assert!(since.elapsed() >= PAUSE, "reading waited only {:?}", since.elapsed());

    control.ok("CLIENT PAUSE 100000 WRITE");
    client.send(&["SET", "k", "3"]);
    let since = Instant::now();
    control.ok("CLIENT UNPAUSE");
    assert!(client.read().value.is_ok());
    assert!(since.elapsed() < LATE_MAX);
}
