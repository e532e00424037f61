//! A pipeline means the same wherever the network cuts it: also behind a command that waits for those before it.

use blackbox::client::encode;
use blackbox::server::Options;

#[test]
fn a_request_cut_in_two_behind_a_waiting_command_stays_whole() {
    for shards in [1, 2] {
        let server = Options::rialto().shards(shards).start();
        let mut client = server.client();
        let first = [encode(&["PING"]), encode(&["SET", "key", "1"])].concat();
        let cut = encode(&["GET", "key"]);
        for end in 1..cut.len() {
            client.send_raw(&[first.as_slice(), &cut[..end]].concat());
            let raw: Vec<_> = client.read_many(2).into_iter().map(|reply| reply.raw).collect();
            assert_eq!(raw, [b"+PONG\r\n", b"+OK\r\n".as_slice()], "{shards} shards, cut at {end}");
            client.send_raw(&cut[end..]);
            assert_eq!(client.read().value.text(), "1", "{shards} shards, cut at {end}");
        }
    }
}
