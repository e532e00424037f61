//! Where a server listens: several addresses, IPv6, a unix socket; and how it ends when told to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use blackbox::client::Client;
use blackbox::fixture::TempDir;
use blackbox::process;
use blackbox::server::Options;
use blackbox::wait;

#[test]
fn several_addresses_of_both_families() {
    let server = Options::rialto().shards(2).bind(&["127.0.0.1", "127.0.0.2", "::1"]).start();
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, server.port()));
    let second = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), server.port()));
    for address in [server.address(), v6, second] {
        let mut client =
            Client::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        assert_eq!(client.run("PING").text(), "PONG");
        let row = client.run("CLIENT INFO").text();
        assert!(row.contains(&format!("addr={} ", client.local_address())), "{row}");
        assert!(row.contains(&format!("laddr={address} ")), "{row}");
    }
    let third = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 3), server.port()));
    assert!(Client::connect(third).is_err(), "nobody asked for this address");
}

#[test]
fn a_unix_socket() {
    let dir = TempDir::new();
    let path = dir.path().join("rialto.sock");
    let text = path.display().to_string();
    let mut server = Options::rialto()
        .shards(2)
        .param("unixsocket", &[&text])
        .param("unixsocketperm", &["700"])
        .start();
    let mut socket = UnixStream::connect(&path).expect("the socket is there");
    socket.set_read_timeout(Some(wait::PATIENCE)).expect("not zero");
    socket.write_all(b"SET k 1\r\nCLIENT INFO\r\nQUIT\r\n").expect("it is open");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it ends");
    assert!(answer.starts_with("+OK\r\n$"), "{answer}");
    assert!(answer.contains(&format!("addr={text}:0 laddr={text}:0 ")), "{answer}");
    assert_eq!(server.client().run("GET k").text(), "1");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    server.terminate();
    assert!(!path.exists(), "it goes with the server");
}

#[test]
fn signals_and_shutdown_end_it_in_peace() {
    for signal in ["TERM", "INT"] {
        let mut server = Options::rialto().shards(2).start();
        let mut client = server.client();
        assert_eq!(client.run("PING").text(), "PONG");
        assert!(process::signal(server.pid(), signal));
        client.expect_close().expect("the connection ends");
        wait::until("the server ends", || server.ended().is_some());
        assert_eq!(
            server.ended().and_then(|status| status.code()),
            Some(0),
            "{}",
            server.log_tail()
        );
    }
    for command in ["SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN NOW", "shutdown nosave now force"] {
        let mut server = Options::rialto().shards(2).start();
        let mut client = server.client();
        client.send_raw(format!("{command}\r\n").as_bytes());
        client.expect_close().expect("no reply, the connection ends");
        wait::until("the server ends", || server.ended().is_some());
        assert_eq!(
            server.ended().and_then(|status| status.code()),
            Some(0),
            "{}",
            server.log_tail()
        );
    }
}

#[test]
fn it_ends_even_while_clients_wait_listen_and_flood() {
    let mut server = Options::rialto().shards(4).start();
    let mut waiting = server.client();
    waiting.send(&["BLPOP", "q", "0"]);
    let mut listening = server.client();
    listening.run("SUBSCRIBE ch");
    let mut deaf = server.client();
    assert!(deaf.call(&["SET".into(), "big".into(), "x".repeat(1 << 20)]).is_ok());
    deaf.send_raw(&b"GET big\r\n".repeat(50));
    let half = server.client();
    half.finish_sending();
    assert_eq!(server.terminate().code(), Some(0), "{}", server.log_tail());
    waiting.expect_close().expect("the connection ends");
    listening.expect_close().expect("the connection ends");
}
