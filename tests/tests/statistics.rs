//! INFO commandstats counts each command once, on whatever core it ran and whichever way it took there.

use blackbox::client::encode;
use blackbox::server::{Options, Server};

/// The calls of `command` that INFO counts.
fn calls(server: &Server, command: &str) -> u64 {
    let info = server.client().run("INFO commandstats").text();
    let line =
        info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |rest| {
        rest.split(',').next().and_then(|count| count.parse().ok()).expect("a number")
    })
}

#[test]
fn publish_is_counted_once_also_while_somebody_monitors() {
    const CHANNELS: u64 = 20;
    let server = Options::rialto().shards(2).start();
    let mut client = server.client();
    let mut publish = || {
        for channel in 0..CHANNELS {
            client.run(&format!("PUBLISH channel:{channel} hello"));
        }
    };
    publish();
    assert_eq!(calls(&server, "publish"), CHANNELS);
    let mut monitor = server.client();
    monitor.ok("MONITOR");
    publish();
    assert_eq!(calls(&server, "publish"), 2 * CHANNELS);
}

#[test]
fn a_command_with_keys_on_several_shards_is_counted_and_logged_once_and_whole() {
    let lines = ["MSET a 1 b 2 c 3 d 4 e 5 f 6", "MGET f e none d c b a"];
    // Without a log the parts run on borrowed shards if they can, with one MSET is sent, and so is what follows.
    for appendonly in ["no", "yes"] {
        let server = Options::rialto().shards(4).param("appendonly", &[appendonly]).start();
        let mut client = server.client();
        client.ok("CONFIG SET slowlog-log-slower-than 0");
        client.ok("SLOWLOG RESET");
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        client.send_raw(&lines.map(|line| encode(&words(line))).concat());
        client.read_many(lines.len());
        client.ok("CONFIG SET slowlog-log-slower-than -1");
        for command in ["mset", "mget"] {
            assert_eq!(calls(&server, command), 1, "{command}, appendonly {appendonly}");
        }
        let log = client.run("SLOWLOG GET -1");
        let logged: Vec<String> = log
            .elements()
            .expect("entries")
            .iter()
            .filter_map(|entry| entry.elements()?.get(3)?.elements())
            .map(|args| args.iter().map(blackbox::value::Value::text).collect::<Vec<_>>().join(" "))
            .filter(|line| line.starts_with('M'))
            .collect();
        assert_eq!(logged, [lines[1], lines[0]], "appendonly {appendonly}");
    }
}
