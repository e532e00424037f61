//! Clients that wait for keys, as other clients see them: who is blocked, who is served and who is counted is settled
//! by the time the command that served has its reply, on whatever cores the clients and the keys lie.

use std::thread;

use blackbox::client::Client;
use blackbox::server::Options;
use blackbox::value::Value;
use blackbox::wait;

/// Keys that lie on several of four shards.
const KEYS: [&str; 6] = ["queue:a", "queue:b", "queue:c", "queue:d", "queue:e", "queue:f"];
const ROUNDS: usize = 60;

/// A number in INFO clients.
fn figure(client: &mut Client, name: &str) -> i64 {
    let info = client.run("INFO clients").text();
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in {info}"))
}

fn wait_for_blocked(client: &mut Client, count: i64) {
    wait::until("clients to be blocked", || figure(client, "blocked_clients") == count);
}

fn client_id(client: &mut Client) -> String {
    client.run("CLIENT ID").as_integer().expect("an id").to_string()
}

#[test]
fn who_is_served_is_no_longer_counted_when_the_write_is_answered() {
    for shards in [1, 2, 4] {
        let server = Options::rialto().shards(shards).start();
        // Several connections, so that they lie on several cores.
        let mut waiting: Vec<Client> = (0..4).map(|_| server.client()).collect();
        let mut writers: Vec<Client> = (0..4).map(|_| server.client()).collect();
        for round in 0..ROUNDS {
            let waiter = &mut waiting[round % 4];
            let writer = &mut writers[round / 4 % 4];
            let id = client_id(waiter);
            waiter.send(&[&["BLPOP"][..], &KEYS, &["0"]].concat());
            wait_for_blocked(writer, 1);
            assert_eq!(figure(writer, "total_blocking_keys"), KEYS.len() as i64);
            let key = KEYS[round % KEYS.len()];
            assert_eq!(writer.call(&["RPUSH", key, "x"]).as_integer(), Some(1));
            let context = format!("round {round} on {shards} shards");
            assert_eq!(figure(writer, "blocked_clients"), 0, "{context}");
            assert_eq!(figure(writer, "total_blocking_keys"), 0, "{context}");
            assert_eq!(writer.call(&["CLIENT", "UNBLOCK", &id]).as_integer(), Some(0));
            assert_eq!(writer.call(&["EXISTS", key]).as_integer(), Some(0), "{context}");
            let served = waiter.read().value;
            assert_eq!(served.elements().expect("an element")[0].text(), key, "{context}");
        }
    }
}

#[test]
fn who_is_counted_as_blocked_is_before_those_who_come_later() {
    for shards in [1, 4] {
        let server = Options::rialto().shards(shards).start();
        let mut control = server.client();
        let mut waiting: Vec<Client> = (0..5).map(|_| server.client()).collect();
        for round in 0..ROUNDS / 2 {
            let first = round % waiting.len();
            for place in 0..waiting.len() {
                let at = (first + place) % waiting.len();
                waiting[at].send(&[&["BLPOP"][..], &KEYS, &["0"]].concat());
                wait_for_blocked(&mut control, place as i64 + 1);
            }
            for place in 0..waiting.len() {
                let key = KEYS[(round + place) % KEYS.len()];
                let element = place.to_string();
                assert_eq!(control.call(&["RPUSH", key, &element]).as_integer(), Some(1));
                let at = (first + place) % waiting.len();
                let served = waiting[at].read().value;
                let served = served.elements().expect("an element").iter().map(Value::text);
                assert_eq!(served.collect::<Vec<_>>(), [key, &element], "on {shards} shards");
            }
        }
    }
}

#[test]
fn client_unblock_and_a_write_never_both_end_the_same_waiting() {
    const PUSHES: usize = 300;
    for shards in [1, 4] {
        let server = Options::rialto().shards(shards).start();
        let mut waiter = server.client();
        let id = client_id(&mut waiter);
        let mut unblocker = server.client();
        let unblocking = thread::spawn(move || {
            let mut unblocked_count = 0;
            while unblocker.run("EXISTS stop").as_integer() == Some(0) {
                let done = unblocker.call(&["CLIENT", "UNBLOCK", &id]).as_integer();
                unblocked_count += done.expect("0 or 1");
            }
            unblocked_count
        });
        let mut writer = server.client();
        let writing = thread::spawn(move || {
            for push in 0..PUSHES {
                writer.call(&["RPUSH", KEYS[push % KEYS.len()], &push.to_string()]);
            }
            writer.run("RPUSH queue:a end");
        });
        let (mut null_count, mut taken) = (0, Vec::new());
        let is_done = |taken: &[String]| taken.len() > PUSHES;
        while !is_done(&taken) {
            let reply = waiter.call(&[&["BLPOP"][..], &KEYS, &["0"]].concat());
            match reply.elements() {
                Some(elements) => taken.push(elements[1].text()),
                None => null_count += 1,
            }
        }
        waiter.run("SET stop 1");
        writing.join().expect("the writer was answered");
        let unblocked_count = unblocking.join().expect("the unblocker was answered");
        assert_eq!(null_count, unblocked_count, "on {shards} shards");
        taken.retain(|element| element != "end");
        let mut numbers: Vec<usize> = taken.iter().map(|text| text.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..PUSHES).collect::<Vec<_>>(), "on {shards} shards");
    }
}
