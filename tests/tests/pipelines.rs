//! A pipeline means the same wherever the network cuts it: also behind a command that waits for those before it.

use blackbox::client::encode;
use blackbox::server::Options;

#[test]
fn a_request_cut_in_two_behind_a_waiting_command_stays_whole() {
    // BLPOP may have to wait, so it runs once everything before it is answered, and what follows is parsed later.
    let first: [&[&str]; 3] =
        [&["RPUSH", "list", "x"], &["BLPOP", "list", "0"], &["SET", "k", "1"]];
    let first: Vec<u8> = first.iter().flat_map(|args| encode(args)).collect();
    let cut = encode(&["GET", "k"]);
    for shards in [1, 2] {
        let server = Options::rialto().shards(shards).start();
        let mut client = server.client();
        for end in 1..cut.len() {
            client.send_raw(&[first.as_slice(), &cut[..end]].concat());
            let replies = client.read_many(3);
            assert!(replies[2].value.is_ok(), "{shards} shards, cut at {end}: {replies:?}");
            client.send_raw(&cut[end..]);
            assert_eq!(client.read().value.text(), "1", "{shards} shards, cut at {end}");
        }
    }
}
