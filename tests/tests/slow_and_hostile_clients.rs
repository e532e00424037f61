//! Clients that never read, vanish in the middle of a word, close one half, or come by the thousands:
//! they cost bounded memory and disturb nobody.

use std::io;
use std::net::Shutdown;
use std::time::Duration;

use blackbox::client::{Client, encode};
use blackbox::player::field;
use blackbox::process;
use blackbox::server::{Options, Server};
use blackbox::wait;

const MIB: u64 = 1 << 20;

/// Rows of CLIENT LIST.
fn connections(control: &mut Client) -> usize {
    control.run("CLIENT LIST").text().lines().count()
}

#[test]
fn a_subscriber_that_never_reads_is_closed_and_delays_nobody() {
    const MESSAGES_MAX: usize = 2000;
    let server = Options::rialto().shards(2).start();
    let mut publisher = server.client();
    publisher.ok("CONFIG SET client-output-buffer-limit \"pubsub 8mb 0 0\"");
    let mut deaf = server.client();
    deaf.run("SUBSCRIBE news");
    let mut good = server.client();
    good.run("SUBSCRIBE news");

    let memory_before = process::resident_bytes(server.pid());
    let mut closed_after = None;
    for number in 0..MESSAGES_MAX {
        let message = format!("{number:0>65000}");
        let receivers = publisher.call(&["PUBLISH", "news", &message]).as_integer();
        let heard = good.read().value;
        assert_eq!(heard.elements().expect("a message")[2].text(), message, "in order, whole");
        match receivers {
            Some(2) => {}
            Some(1) => {
                closed_after = Some(number);
                break;
            }
            other => panic!("{other:?} receivers"),
        }
    }
    let closed_after = closed_after.expect("the limit of 8 MiB is kept");
    assert!(closed_after * 65000 >= 8 << 20, "closed before the limit: {closed_after} messages");
    let grown = process::resident_bytes(server.pid()).saturating_sub(memory_before);
    assert!(grown < 64 * MIB, "the server grew by {} MiB", grown / MIB);
    assert!(deaf.read_to_end().is_ok(), "its connection ends");
}

#[test]
fn a_soft_limit_closes_when_its_time_is_up() {
    let server = Options::rialto().start();
    let mut publisher = server.client();
    publisher.ok("CONFIG SET client-output-buffer-limit \"pubsub 0 64kb 1\"");
    let mut deaf = server.client();
    deaf.run("SUBSCRIBE news");
    let message = "x".repeat(1 << 20);
    wait::until("the subscriber is closed", || {
        publisher.call(&["PUBLISH", "news", &message]).as_integer() == Some(0)
    });
}

#[test]
fn a_client_that_never_reads_its_replies_is_closed_at_the_limit() {
    let server = Options::rialto().shards(2).start();
    let mut control = server.client();
    control.ok("CONFIG SET client-output-buffer-limit \"normal 2mb 0 0\"");
    assert!(control.call(&["SET".into(), "big".into(), "x".repeat(100_000)]).is_ok());
    let mut greedy = server.client();
    let requests = encode(&["GET", "big"]).repeat(1000);
    drop(greedy.try_send_raw(&requests));
    wait::until("it is closed", || connections(&mut control) == 1);
    let received = greedy.read_to_end().expect("its connection ends").len();
    assert!(received < 100_000_000, "not everything was sent");
}

#[test]
fn without_a_limit_a_slow_reader_gets_everything() {
    const REPLIES: usize = 300;
    let server = Options::rialto().shards(2).start();
    let mut client = server.client();
    let value = "y".repeat(100_000);
    assert!(client.call(&["SET", "big", &value]).is_ok());
    client.send_raw(&encode(&["GET", "big"]).repeat(REPLIES));
    assert_eq!(server.client().run("PING").text(), "PONG", "others are served meanwhile");
    for _ in 0..REPLIES {
        assert_eq!(client.read().value.text(), value);
    }
}

#[test]
fn clients_that_vanish_in_the_middle_of_a_request_leave_nothing() {
    let server = Options::rialto().shards(2).start();
    let mut control = server.client();
    wait::until("the first is accepted", || connections(&mut control) == 1);
    let files_before = process::open_files(server.pid());
    for part in ["*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\nabc", "*3\r\n$3\r\nSE", "*", "SET k "] {
        for _ in 0..50 {
            server.client().send_raw(part.as_bytes());
        }
    }
    wait::until("all are gone", || connections(&mut control) == 1);
    assert_eq!(control.run("EXISTS k").as_integer(), Some(0));
    wait::until("their sockets are closed", || process::open_files(server.pid()) <= files_before);
}

#[test]
fn clients_that_vanish_while_subscribed_or_blocked_leave_nothing() {
    let server = Options::rialto().shards(4).start();
    let mut control = server.client();
    for number in 0..50 {
        let mut subscriber = server.client();
        subscriber.run(&format!("SUBSCRIBE ch:{number}"));
        subscriber.run(&format!("PSUBSCRIBE p:{number}*"));
        let mut blocked = server.client();
        blocked.send(&["BLPOP", &format!("q:{number}"), "0"]);
    }
    wait::until("all are gone", || connections(&mut control) == 1);
    assert_eq!(control.run("PUBSUB CHANNELS").elements().map(<[_]>::len), Some(0));
    assert_eq!(control.run("PUBSUB NUMPAT").as_integer(), Some(0));
    for number in 0..50 {
        let pushed = control.run(&format!("RPUSH q:{number} x"));
        assert_eq!(pushed.as_integer(), Some(1), "nobody dead takes an element");
        assert_eq!(control.run(&format!("LLEN q:{number}")).as_integer(), Some(1));
    }
}

#[test]
fn announced_but_never_sent_megabytes_cost_nothing() {
    let server = Options::rialto().start();
    let memory_before = process::resident_bytes(server.pid());
    let announce = |request: &str| {
        let mut client = server.client();
        client.send_raw(request.as_bytes());
        client
    };
    let greedy: Vec<Client> = (0..50)
        .flat_map(|_| {
            [
                announce("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n"),
                announce("*1048576\r\n$3\r\nGET\r\n"),
            ]
        })
        .collect();
    wait::until("the server has seen them", || {
        connections(&mut server.client()) >= greedy.len()
            && server.client().run("PING").text() == "PONG"
    });
    let grown = process::resident_bytes(server.pid()).saturating_sub(memory_before);
    assert!(grown < 64 * MIB, "the server grew by {} MiB", grown / MIB);
}

#[test]
fn a_half_closed_connection_gets_its_replies() {
    const REQUESTS: usize = 1000;
    let server = Options::rialto().shards(4).start();
    let mut client = server.client();
    let bytes: Vec<u8> = (0..REQUESTS)
        .flat_map(|number| encode(&["SET".into(), format!("k{number}"), number.to_string()]))
        .collect();
    client.send_raw(&bytes);
    client.finish_sending();
    let replies = client.read_to_end().expect("the server closes when it is done");
    assert_eq!(replies, b"+OK\r\n".repeat(REQUESTS));
    assert_eq!(server.client().run("DBSIZE").as_integer(), Some(REQUESTS as i64));
}

#[test]
fn one_client_too_many_is_told_so() {
    let server = Options::rialto().shards(2).param("maxclients", &["10"]).start();
    let mut first = server.client();
    // The client that asked whether the server runs may not be gone yet.
    wait::until("only one client is left", || connections(&mut first) == 1);
    let mut others: Vec<Client> = (1..10).map(|_| server.client()).collect();
    for client in &mut others {
        assert_eq!(client.run("PING").text(), "PONG");
    }
    let refused = server.client().read_to_end().expect("the server closes it");
    assert_eq!(String::from_utf8_lossy(&refused), "-ERR max number of clients reached\r\n");
    assert_eq!(first.run("PING").text(), "PONG");
    assert_eq!(others.pop().expect("there are nine").run("PING").text(), "PONG");
    wait::until("the place of a client that left is free again", || {
        server.client().try_call(&["PING"]).is_ok_and(|reply| reply.text() == "PONG")
    });
    assert!(info(&mut first, "stats", "rejected_connections") >= 1);
}

/// A number of INFO.
fn info(client: &mut Client, section: &str, name: &str) -> u64 {
    let text = client.run(&format!("INFO {section}")).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|number| number.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Memory an idle connection may cost, beyond what the kernel keeps for it.
const IDLE_CONNECTION_BYTES_MAX: u64 = 1024;
const MANY: u64 = 10_000;

#[test]
fn ten_thousand_connections_are_served_and_cost_little() {
    let limit = process::raise_open_files_limit();
    let count = MANY.min(limit.saturating_sub(200));
    if count < MANY {
        eprintln!("only {count} connections: the limit of open files is {limit}");
    }
    let server = Options::rialto().shards(2).param("maxclients", &["10100"]).start();
    // What the first connections and the first PING of a core allocate once for all is not counted.
    let mut control = server.client();
    for mut client in connect_many(&server, 100) {
        assert_eq!(client.run("PING").text(), "PONG");
    }
    wait::until("the first hundred are gone", || connections(&mut control) == 1);
    let memory_before = process::resident_bytes(server.pid());

    let mut clients = connect_many(&server, count);
    let grown = process::resident_bytes(server.pid()).saturating_sub(memory_before);
    let per_connection = grown / count;
    eprintln!("{count} idle connections, {per_connection} bytes of server memory each");
    assert_eq!(info(&mut control, "clients", "connected_clients"), count + 1);
    for client in &mut clients {
        assert_eq!(client.run("PING").text(), "PONG");
    }
    let after_ping = process::resident_bytes(server.pid()).saturating_sub(memory_before) / count;
    eprintln!("after a PING on each: {after_ping} bytes");
    if !server.program().is_redis() {
        assert!(per_connection <= IDLE_CONNECTION_BYTES_MAX, "{per_connection} bytes");
        assert!(after_ping <= IDLE_CONNECTION_BYTES_MAX, "{after_ping} bytes after a PING");
    }

    drop(clients);
    wait::until("all are gone", || info(&mut control, "clients", "connected_clients") == 1);
}

/// That many connections, all accepted by the server.
fn connect_many(server: &Server, count: u64) -> Vec<Client> {
    let clients: Vec<Client> = (0..count).map(|_| server.client()).collect();
    let mut control = server.client();
    wait::until("all are accepted", || info(&mut control, "clients", "connected_clients") > count);
    clients
}

#[test]
fn connections_that_are_reset_do_no_harm() {
    let server = Options::rialto().shards(2).start();
    let mut control = server.client();
    assert!(control.call(&["SET".into(), "big".into(), "x".repeat(1 << 20)]).is_ok());
    for _ in 0..100 {
        // Closing a socket with unread data resets the connection.
        let mut client = server.client();
        client.send_raw(&encode(&["GET", "big"]).repeat(3));
        wait::until("the reply has begun to arrive", || !client.is_silent());
    }
    wait::until("all are gone", || connections(&mut control) == 1);
    assert_eq!(control.run("STRLEN big").as_integer(), Some(1 << 20));
}

#[test]
fn a_stalled_connection_stalls_no_other() {
    let server = Options::rialto().shards(2).start();
    let mut stalled: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for client in &mut stalled {
        client.send_raw(b"*2\r\n$3\r\nGET\r\n$3\r\nab");
    }
    let mut client = server.client();
    client.set_read_timeout(Some(Duration::from_secs(2)));
    for number in 0..1000 {
        assert_eq!(client.call(&["ECHO", &number.to_string()]).text(), number.to_string());
    }
    for client in &mut stalled {
        client.send_raw(b"c\r\n");
        assert_eq!(client.read().raw, b"$-1\r\n");
    }
}

#[test]
fn a_listed_client_is_the_one_that_is_connected() {
    let server = Options::rialto().shards(4).start();
    let mut control = server.client();
    let clients: Vec<Client> = (0..20).map(|_| server.client()).collect();
    wait::until("all are listed", || connections(&mut control) == 21);
    let list = control.run("CLIENT LIST").text();
    for client in &clients {
        let address = client.local_address().to_string();
        let rows = list.lines().filter(|row| field(row, "addr") == address).count();
        assert_eq!(rows, 1, "{address} in {list}");
    }
    let mut ids: Vec<&str> = list.lines().map(|row| field(row, "id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 21, "ids are unique");
}

#[test]
fn sockets_that_connect_and_say_nothing_are_accepted_and_forgotten() {
    let server = Options::rialto().shards(2).start();
    let mut control = server.client();
    for _ in 0..500 {
        let socket = std::net::TcpStream::connect(server.address()).expect("it is accepted");
        match socket.shutdown(Shutdown::Both) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => panic!("{error}"),
            _ => {}
        }
    }
    wait::until("all are gone", || connections(&mut control) == 1);
}
