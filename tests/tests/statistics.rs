//! INFO commandstats counts each command once, on whatever core it ran and whichever way it took there.

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
