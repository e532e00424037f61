//! Malformed requests: the exact protocol error of Redis, then the end of the connection; what came
//! before the damage is still answered. Random damage gives the same bytes as a real Redis.

use blackbox::client::{Client, encode};
use blackbox::quoting::quote;
use blackbox::rng::{Rng, seed_from_env};
use blackbox::server::{Options, Server};

/// Longest line Redis accepts where a length or an inline command is expected.
const LINE_LEN_MAX: usize = 64 << 10;

/// Everything the server answers to these bytes until it closes the connection by itself.
fn answer(server: &Server, bytes: &[u8]) -> String {
    let mut client = server.client();
    // The server may close while we are still sending, so a failed send is no news.
    drop(client.try_send_raw(bytes));
    let answer = client.read_to_end().unwrap_or_else(|error| {
        panic!("after {} the connection stays open: {error}", quote(&bytes[..bytes.len().min(80)]))
    });
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_malformed_request_is_named_and_ends_the_connection() {
    let server = Options::rialto().start();
    let long = |start: &str| [start.as_bytes(), &vec![b'1'; LINE_LEN_MAX + 1]].concat();
    let cases: &[(&[u8], &str)] = &[
        (b"*abc\r\n", "invalid multibulk length"),
        (b"*1.5\r\n", "invalid multibulk length"),
        (b"* 1\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*2\r\n$3\r\nGET\r\n*1\r\n", "expected '$', got '*'"),
        (b"*1\r\n$abc\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        (b"SET k \"a\r\n", "unbalanced quotes in request"),
        (b"SET k 'a\r\n", "unbalanced quotes in request"),
        (b"SET k \"a\"b\r\n", "unbalanced quotes in request"),
        (&long("*"), "too big mbulk count string"),
        (&long("*1\r\n$"), "too big bulk count string"),
        (&long("PING "), "too big inline request"),
    ];
    for (bytes, problem) in cases {
        let start = quote(&bytes[..bytes.len().min(40)]);
        assert_eq!(
            answer(&server, bytes),
            format!("-ERR Protocol error: {problem}\r\n"),
            "{start}"
        );
    }
    assert_eq!(server.client().run("PING").text(), "PONG");
}

#[test]
fn what_came_before_the_damage_is_answered_and_what_comes_after_is_not() {
    let server = Options::rialto().shards(4).start();
    let bytes = [
        &encode(&["SET", "before", "1"])[..],
        &encode(&["GET", "before"]),
        b"*1\r\n$abc\r\n",
        &encode(&["SET", "after", "1"]),
    ]
    .concat();
    assert_eq!(
        answer(&server, &bytes),
        "+OK\r\n$1\r\n1\r\n-ERR Protocol error: invalid bulk length\r\n"
    );
    assert_eq!(server.client().run("EXISTS before after").as_integer(), Some(1));
}

#[test]
fn before_a_login_requests_must_be_small() {
    let server = Options::rialto().param("requirepass", &["secret"]).start();
    assert_eq!(
        answer(&server, b"*11\r\n"),
        "-ERR Protocol error: unauthenticated multibulk length\r\n"
    );
    assert_eq!(
        answer(&server, b"*1\r\n$16385\r\n"),
        "-ERR Protocol error: unauthenticated bulk length\r\n"
    );
    let mut client = server.client();
    client.ok("AUTH secret");
    let value = "x".repeat(16385);
    assert!(client.call(&["SET", "k", &value]).is_ok());
    let many: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    assert_eq!(client.call(&[&["DEL".to_owned()], &many[..]].concat()).as_integer(), Some(0));
}

#[test]
fn the_limits_can_be_configured() {
    let server = Options::rialto().start();
    let mut control = server.client();
    control.ok("CONFIG SET proto-max-bulk-len 1mb");
    assert_eq!(
        answer(&server, b"*1\r\n$1048577\r\n"),
        "-ERR Protocol error: invalid bulk length\r\n"
    );
    assert!(control.call(&["SET".into(), "k".into(), "x".repeat(1 << 20)]).is_ok());
    assert_eq!(control.run("STRLEN k").as_integer(), Some(1 << 20));
}

#[test]
fn a_query_buffer_over_its_limit_ends_the_connection() {
    let server = Options::rialto().param("client-query-buffer-limit", &["1mb"]).start();
    let mut request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000000\r\n".to_vec();
    request.resize(request.len() + 3_000_000, b'x');
    assert_eq!(answer(&server, &request), "");
    assert_eq!(server.client().run("EXISTS k").as_integer(), Some(0));
}

#[test]
fn requests_may_arrive_byte_by_byte() {
    let server = Options::rialto().shards(2).start();
    let mut client = server.client();
    for byte in [&encode(&["SET", "key", "va\r\nlue"])[..], b"GET key\r\n"].concat() {
        client.send_raw(&[byte]);
    }
    assert_eq!(client.read().raw, b"+OK\r\n");
    assert_eq!(client.read().raw, b"$7\r\nva\r\nlue\r\n");
}

#[test]
fn the_largest_allowed_value_travels_whole() {
    let server = Options::rialto().shards(2).start();
    let mut client = server.client();
    let value: Vec<u8> = (0..32 << 20).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
    assert!(client.call(&[b"SET", &b"big"[..], &value]).is_ok());
    assert_eq!(client.call(&["GET", "big"]).as_bytes(), Some(&value[..]));
}

/// How many damaged requests are tried.
const DAMAGED: usize = 600;

#[test]
fn random_damage_gives_the_same_bytes_as_redis() {
    let seed = seed_from_env("DAMAGE_SEED");
    eprintln!("DAMAGE_SEED={seed}");
    let mut rng = Rng::new(seed);
    let (theirs, ours) = (Options::oracle().start(), Options::rialto().shards(2).start());
    for _ in 0..DAMAGED {
        let bytes = damaged_requests(&mut rng);
        let expected = answer_to_all(theirs.client(), &bytes);
        let got = answer_to_all(ours.client(), &bytes);
        assert_eq!(got, expected, "after {} (DAMAGE_SEED={seed})", quote(&bytes));
        for server in [&theirs, &ours] {
            server.client().ok("FLUSHALL");
        }
    }
}

/// A few good requests with a few bytes changed, left out or put in.
fn damaged_requests(rng: &mut Rng) -> Vec<u8> {
    let good = [
        encode(&["SET", "key", "value"]),
        encode(&["GET", "key"]),
        encode(&["ECHO", "a\r\n$1\r\nb"]),
        encode(&["MGET", "key", "other"]),
        b"PING\r\n".to_vec(),
        b"SET key 'quoted \\'value'\r\n".to_vec(),
        b"ECHO \"\\x41\\n\"\n".to_vec(),
    ];
    let mut bytes: Vec<u8> = (0..3).flat_map(|_| rng.pick(&good).clone()).collect();
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len());
        let byte = *rng.pick(b"*$:\r\n 0129-\"'\\\x00\xffx");
        match rng.below(3) {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

/// Sends bytes, says that nothing more will come, and reads to the end.
fn answer_to_all(mut client: Client, bytes: &[u8]) -> String {
    drop(client.try_send_raw(bytes));
    client.finish_sending();
    quote(&client.read_to_end().expect("the connection ends"))
}
