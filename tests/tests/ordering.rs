//! Order that clients can see: who pipelines `SET data` and then `SET flag` (or PUBLISH) is never seen
//! with the flag but without the data, on whatever shards the keys lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use blackbox::client::{Client, encode};
use blackbox::server::{Options, Server};
use blackbox::value::Value;

/// Pairs of keys, so that every combination of shards occurs.
const PAIRS: usize = 12;
const LOOKS: usize = 4000;
const MESSAGES: usize = 4000;

fn number(value: &Value) -> usize {
    if value.as_bytes().is_none() {
        return 0;
    }
    value.text().parse().expect("a number was written")
}

/// Writes ever larger numbers, data before flag, until told to stop.
fn writing(server: &Server, stop: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let (mut client, stop) = (server.client(), stop.clone());
    thread::spawn(move || {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            count += 1;
            let bytes: Vec<u8> = (0..PAIRS)
                .flat_map(|pair| ["data", "flag"].map(|kind| (kind, pair)))
                .flat_map(|(kind, pair)| {
                    encode(&["SET".into(), format!("{kind}:{pair}"), count.to_string()])
                })
                .collect();
            client.send_raw(&bytes);
            for reply in client.read_many(2 * PAIRS) {
                assert!(reply.value.is_ok(), "{reply:?}");
            }
        }
    })
}

fn look(shards: usize, mut look: impl FnMut(&mut Client, usize) -> (usize, usize)) {
    let server = Options::rialto().shards(shards).start();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = writing(&server, &stop);
    let mut client = server.client();
    let mut last = 0;
    for count in 0..LOOKS {
        let pair = count % PAIRS;
        let (flag, data) = look(&mut client, pair);
        assert!(data >= flag, "pair {pair} on {shards} shards: flag {flag}, but data {data}");
        last = last.max(flag);
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().expect("the writer was answered");
    assert!(last > 0, "nothing was seen");
}

#[test]
fn a_flag_is_not_seen_before_its_data() {
    for shards in [2, 4] {
        look(shards, |client, pair| {
            let flag = number(&client.run(&format!("GET flag:{pair}")));
            (flag, number(&client.run(&format!("GET data:{pair}"))))
        });
    }
}

#[test]
fn a_flag_is_not_seen_before_its_data_in_one_pipeline() {
    for shards in [2, 4] {
        look(shards, |client, pair| {
            let flag = encode(&["GET".into(), format!("flag:{pair}")]);
            let data = encode(&["GET".into(), format!("data:{pair}")]);
            client.send_raw(&[flag, data].concat());
            (number(&client.read().value), number(&client.read().value))
        });
    }
}

#[test]
fn a_flag_of_another_connection_is_not_seen_before_its_data() {
    for shards in [2, 4] {
        let server = Options::rialto().shards(shards).start();
        let stop = Arc::new(AtomicBool::new(false));
        let writer = writing(&server, &stop);
        let (mut first, mut second) = (server.client(), server.client());
        for count in 0..LOOKS {
            let pair = count % PAIRS;
            let flag = number(&first.run(&format!("GET flag:{pair}")));
            let data = number(&second.run(&format!("GET data:{pair}")));
            assert!(data >= flag, "pair {pair} on {shards} shards: flag {flag}, but data {data}");
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("the writer was answered");
    }
}

#[test]
fn a_message_is_not_heard_before_the_data_it_tells_of() {
    for shards in [1, 2, 4] {
        let server = Options::rialto().shards(shards).start();
        let mut subscriber = server.client();
        for pair in 0..PAIRS {
            subscriber.run(&format!("SUBSCRIBE news:{pair}"));
        }
        let mut publisher = server.client();
        let publishing = thread::spawn(move || {
            for count in 1..=MESSAGES {
                let (pair, count) = (count % PAIRS, count.to_string());
                let data = encode(&["SET".to_owned(), format!("data:{pair}"), count.clone()]);
                let news = encode(&["PUBLISH".to_owned(), format!("news:{pair}"), count]);
                publisher.send_raw(&[data, news].concat());
                assert!(publisher.read().value.is_ok());
                assert_eq!(publisher.read().value.as_integer(), Some(1));
            }
        });
        let mut reader = server.client();
        for _ in 0..MESSAGES {
            let message = subscriber.read().value;
            let parts = message.elements().expect("a message");
            let pair = parts[1].text().replace("news:", "");
            let told = number(&parts[2]);
            let data = number(&reader.run(&format!("GET data:{pair}")));
            assert!(data >= told, "{pair} on {shards} shards: told {told}, but data {data}");
        }
        publishing.join().expect("the publisher was answered");
    }
}

#[test]
fn messages_of_one_publisher_keep_their_order_for_every_subscriber() {
    const SUBSCRIBERS: usize = 6;
    let server = Options::rialto().shards(4).start();
    let mut subscribers: Vec<Client> = (0..SUBSCRIBERS)
        .map(|number| {
            let mut client = server.client();
            // Half of them listen to the channel, half to a pattern.
            client.run(if number % 2 == 0 { "SUBSCRIBE news" } else { "PSUBSCRIBE n*" });
            client
        })
        .collect();
    let mut publisher = server.client();
    let messages: Vec<u8> =
        (0..MESSAGES).flat_map(|count| encode(&["PUBLISH", "news", &count.to_string()])).collect();
    let receiving = thread::spawn(move || {
        for count in 0..MESSAGES {
            for client in &mut subscribers {
                let message = client.read().value;
                let text = message.elements().expect("a message").last().expect("its text").text();
                assert_eq!(text, count.to_string());
            }
        }
    });
    publisher.send_raw(&messages);
    for reply in publisher.read_many(MESSAGES) {
        assert_eq!(reply.value.as_integer(), Some(SUBSCRIBERS as i64));
    }
    receiving.join().expect("all was heard in order");
}

#[test]
fn two_subscribers_hear_two_publishers_in_the_same_order() {
    let server = Options::rialto().shards(4).start();
    let mut subscribers = [server.client(), server.client()];
    for client in &mut subscribers {
        client.run("SUBSCRIBE news");
    }
    let publishers: Vec<_> = ["a", "b"]
        .map(|name| {
            let mut client = server.client();
            thread::spawn(move || {
                for count in 0..MESSAGES / 2 {
                    client.call(&["PUBLISH", "news", &format!("{name}{count}")]);
                }
            })
        })
        .into();
    let [first, second] = &mut subscribers;
    for _ in 0..MESSAGES / 2 * 2 {
        assert_eq!(first.read().raw, second.read().raw);
    }
    for publisher in publishers {
        publisher.join().expect("the publisher was answered");
    }
}

#[test]
fn replies_come_in_the_order_of_the_requests() {
    const REQUESTS: usize = 3000;
    let server = Options::rialto().shards(4).start();
    let mut client = server.client();
    let mut expected = Vec::new();
    let mut bytes = Vec::new();
    for count in 0..REQUESTS {
        let text = count.to_string();
        let (request, reply) = match count % 6 {
            0 => (encode(&["SET", &format!("k{count}"), &text]), "+OK\r\n".into()),
            1 => (
                encode(&["GET", &format!("k{}", count - 1)]),
                format!("${}\r\n{}\r\n", (count - 1).to_string().len(), count - 1),
            ),
            2 => (encode(&["ECHO", &text]), format!("${}\r\n{text}\r\n", text.len())),
            3 => (encode(&["INCR", "counter"]), format!(":{}\r\n", count / 6 + 1)),
            4 => (encode(&["EXISTS", &format!("k{}", count - 4), "counter"]), ":2\r\n".into()),
            _ => (encode(&["DEL", &format!("k{}", count - 5)]), ":1\r\n".into()),
        };
        bytes.extend(request);
        expected.push(reply);
    }
    client.send_raw(&bytes);
    for (count, expected) in expected.iter().enumerate() {
        let got = client.read().raw;
        assert_eq!(String::from_utf8_lossy(&got), *expected, "reply {count}");
    }
}

#[test]
fn counters_of_many_clients_add_up() {
    const CLIENTS: usize = 8;
    const EACH: usize = 2000;
    for shards in [1, 4] {
        let server = Options::rialto().shards(shards).start();
        let adding: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut client = server.client();
                thread::spawn(move || {
                    client.send_raw(&encode(&["INCR", "counter"]).repeat(EACH));
                    client.read_many(EACH);
                    for count in 0..EACH / 10 {
                        client.call(&["RPUSH", "list", &count.to_string()]);
                    }
                })
            })
            .collect();
        for thread in adding {
            thread.join().expect("it was answered");
        }
        let mut client = server.client();
        assert_eq!(number(&client.run("GET counter")), CLIENTS * EACH);
        let len = client.run("LLEN list").as_integer();
        assert_eq!(len, Some((CLIENTS * EACH / 10) as i64));
    }
}

#[test]
fn every_element_of_a_queue_is_taken_once() {
    const WORKERS: usize = 6;
    const TASKS: usize = 3000;
    for shards in [1, 4] {
        let server = Options::rialto().shards(shards).start();
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let mut client = server.client();
                thread::spawn(move || {
                    let mut taken = Vec::new();
                    loop {
                        let reply = client.run("BRPOP queue:tasks queue:more 10");
                        let task = reply.elements().expect("in time")[1].text();
                        if task == "end" {
                            return taken;
                        }
                        taken.push(task.parse::<usize>().expect("a number was pushed"));
                    }
                })
            })
            .collect();
        let mut producer = server.client();
        for task in 0..TASKS {
            let queue = if task % 3 == 0 { "queue:more" } else { "queue:tasks" };
            producer.send(&["LPUSH", queue, &task.to_string()]);
        }
        producer.read_many(TASKS);
        for _ in 0..WORKERS {
            producer.run("LPUSH queue:tasks end");
        }
        let mut taken: Vec<usize> = Vec::new();
        for worker in workers {
            let mine = worker.join().expect("a worker ends with the end");
            let in_order = |queue: &dyn Fn(&&usize) -> bool| {
                mine.iter().filter(queue).collect::<Vec<_>>().is_sorted()
            };
            assert!(in_order(&|task| **task % 3 == 0) && in_order(&|task| **task % 3 != 0));
            taken.extend(mine);
        }
        // Workers stop at their end mark; what then is left lies in the other queue.
        let left = producer.run("LRANGE queue:more 0 -1");
        taken.extend(left.elements().expect("a list").iter().map(number));
        taken.sort_unstable();
        assert_eq!(taken, (0..TASKS).collect::<Vec<_>>(), "on {shards} shards");
    }
}
