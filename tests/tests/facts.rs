//! What a server tells about itself agrees with what was recorded from Redis 7.2 (`tests/facts`): COMMAND
//! INFO and COMMAND DOCS of every command it has, CONFIG GET of every parameter, the fields of INFO.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use blackbox::client::Client;
use blackbox::server::Options;
use blackbox::value::Value;
use serde_json::{Map, Value as Json, json};

fn facts(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("facts").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn in_resp3(server: &blackbox::server::Server) -> Client {
    let mut client = server.client();
    client.run("HELLO 3");
    client
}

/// A reply as JSON.
fn json_of(value: &Value) -> Json {
    match value {
        Value::Integer(number) => json!(number),
        Value::Array(Some(items)) | Value::Set(items) => items.iter().map(json_of).collect(),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.text(), json_of(value)));
            Json::Object(entries.collect())
        }
        other => json!(other.text()),
    }
}

/// Where two values differ: a line with the path for each place. The order of words means nothing, for
/// flags, categories and tips are sets; the order of anything else does.
fn compare(path: &str, expected: &Json, got: &Json, differences: &mut Vec<String>) {
    match (expected, got) {
        (Json::Object(expected), Json::Object(got)) => {
            for name in expected.keys().chain(got.keys()).collect::<BTreeSet<_>>() {
                let [expected, got] = [expected, got].map(|of| of.get(name).unwrap_or(&Json::Null));
                compare(&format!("{path} {name}"), expected, got, differences);
            }
        }
        (Json::Array(expected), Json::Array(got))
            if expected.len() == got.len() && !expected.iter().all(Json::is_string) =>
        {
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                compare(&format!("{path} {index}"), expected, got, differences);
            }
        }
        _ if words(expected) != words(got) => {
            differences.push(format!("{path}: expected {expected}, got {got}"));
        }
        _ => {}
    }
}

/// An array of words in a fixed order; anything else as it is.
fn words(value: &Json) -> Json {
    match value {
        Json::Array(items) if items.iter().all(Json::is_string) => {
            let mut items = items.clone();
            items.sort_by_key(Json::to_string);
            Json::Array(items)
        }
        other => other.clone(),
    }
}

/// One entry of COMMAND INFO: its name, and the rest in the form of the facts.
fn info_of(entry: &Value) -> (String, Json) {
    let fields = entry.elements().expect("an entry is an array");
    let subcommands: Map<String, Json> =
        fields[9].elements().expect("subcommands").iter().map(info_of).collect();
    let info = json!({
        "arity": json_of(&fields[1]),
        "flags": json_of(&fields[2]),
        "first_key": json_of(&fields[3]),
        "last_key": json_of(&fields[4]),
        "step": json_of(&fields[5]),
        "acl_categories": json_of(&fields[6]),
        "tips": json_of(&fields[7]),
        "key_specs": json_of(&fields[8]),
        "subcommands": subcommands,
    });
    (fields[0].text(), info)
}

/// Takes out what is prose, which is our own.
fn without_prose(docs: &mut Json) {
    let Json::Object(fields) = docs else { return };
    for prose in ["summary", "complexity", "history"] {
        fields.remove(prose);
    }
    if let Some(Json::Object(subcommands)) = fields.get_mut("subcommands") {
        subcommands.values_mut().for_each(without_prose);
    }
}

/// The names of all commands the server has.
fn names(client: &mut Client) -> Vec<String> {
    let list = client.run("COMMAND LIST");
    let names = list.elements().expect("names").iter().map(Value::text);
    names.filter(|name| !name.contains('|')).collect()
}

/// Panics with the first few of many differences.
fn show(differences: &[String]) {
    let first: Vec<&str> = differences.iter().take(20).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), first.join("\n"));
}

#[test]
fn command_info_is_that_of_redis() {
    let facts = facts("commands-7.2.json");
    let server = Options::rialto().shards(2).start();
    let mut client = in_resp3(&server);
    let reply = client.run("COMMAND");
    let entries: BTreeMap<String, Json> =
        reply.elements().expect("entries").iter().map(info_of).collect();
    assert!(entries.len() > 50, "only {:?}", entries.keys());
    let mut differences = Vec::new();
    for (name, info) in &entries {
        let mut expected = facts["commands"][name].clone();
        match expected.as_object_mut() {
            Some(fields) => drop(fields.remove("docs")),
            None => differences.push(format!("{name} is no command of Redis 7.2")),
        }
        compare(name, &expected, info, &mut differences);
    }
    show(&differences);
    assert_eq!(client.run("COMMAND COUNT").as_integer(), Some(entries.len() as i64));
    let mut listed = names(&mut client);
    listed.sort();
    assert_eq!(listed, entries.keys().cloned().collect::<Vec<_>>());
}

#[test]
fn command_docs_are_those_of_redis_but_for_the_prose() {
    let facts = facts("commands-7.2.json");
    let server = Options::rialto().start();
    let mut client = in_resp3(&server);
    let mut differences = Vec::new();
    for name in names(&mut client) {
        let mut docs = json_of(&client.call(&["COMMAND", "DOCS", &name]));
        let docs = docs.get_mut(&name).map_or(Json::Null, Json::take);
        if docs["summary"].as_str().is_none_or(str::is_empty) {
            differences.push(format!("{name} has no summary"));
        }
        let (mut docs, mut expected) = (docs, facts["commands"][&name]["docs"].clone());
        without_prose(&mut docs);
        without_prose(&mut expected);
        compare(&name, &expected, &docs, &mut differences);
    }
    show(&differences);
}

/// Parameters that the tests set themselves when they start a server.
const SET_BY_TESTS: &[&str] = &["bind", "dir", "port", "save"];

#[test]
fn every_parameter_of_redis_has_its_default() {
    let facts = facts("config-7.2.json");
    let server = Options::rialto().start();
    let reply = in_resp3(&server).run("CONFIG GET *");
    let parameters = json_of(&reply);
    let mut differences = Vec::new();
    for (name, default) in facts.as_object().expect("names and defaults") {
        match parameters.get(name) {
            // A Redis built without TLS or jemalloc lacks some.
            None if server.program().is_redis() => {}
            None => differences.push(format!("{name} is missing")),
            Some(_) if SET_BY_TESTS.contains(&name.as_str()) => {}
            Some(value) if value != default => {
                differences.push(format!("{name}: expected {default}, got {value}"));
            }
            Some(_) => {}
        }
    }
    show(&differences);
}

/// Fields of INFO that clients, exporters and people read, by section.
const INFO_FIELDS: &[(&str, &[&str])] = &[
    (
        "server",
        &[
            "redis_version",
            "redis_mode",
            "os",
            "arch_bits",
            "process_id",
            "run_id",
            "tcp_port",
            "server_time_usec",
            "uptime_in_seconds",
            "uptime_in_days",
            "hz",
            "configured_hz",
            "executable",
            "config_file",
        ],
    ),
    ("clients", &["connected_clients", "maxclients", "blocked_clients", "tracking_clients"]),
    (
        "memory",
        &[
            "used_memory",
            "used_memory_human",
            "used_memory_rss",
            "used_memory_peak",
            "used_memory_peak_human",
            "total_system_memory",
            "maxmemory",
            "maxmemory_human",
            "maxmemory_policy",
            "mem_fragmentation_ratio",
            "mem_allocator",
        ],
    ),
    (
        "persistence",
        &[
            "loading",
            "rdb_changes_since_last_save",
            "rdb_bgsave_in_progress",
            "aof_enabled",
            "aof_rewrite_in_progress",
            "aof_last_write_status",
        ],
    ),
    (
        "stats",
        &[
            "total_connections_received",
            "total_commands_processed",
            "instantaneous_ops_per_sec",
            "total_net_input_bytes",
            "total_net_output_bytes",
            "rejected_connections",
            "expired_keys",
            "evicted_keys",
            "keyspace_hits",
            "keyspace_misses",
            "pubsub_channels",
            "pubsub_patterns",
            "total_error_replies",
        ],
    ),
    ("replication", &["role", "connected_slaves", "master_replid", "master_repl_offset"]),
    ("cpu", &["used_cpu_sys", "used_cpu_user"]),
    ("cluster", &["cluster_enabled"]),
];

#[test]
fn info_has_the_fields_that_people_read() {
    let server = Options::rialto().shards(2).start();
    let mut client = server.client();
    let mut differences = Vec::new();
    for (section, fields) in INFO_FIELDS {
        let text = client.run(&format!("INFO {section}")).text();
        let lines: BTreeMap<&str, &str> =
            text.lines().filter_map(|line| line.split_once(':')).collect();
        for field in *fields {
            if !lines.contains_key(field) {
                differences.push(format!("INFO {section} has no {field}"));
            }
        }
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            assert!(line.contains(':'), "INFO {section}: {line}");
        }
    }
    show(&differences);
}
