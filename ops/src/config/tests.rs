//! Tests of the table, CONFIG GET and CONFIG SET, most of them against facts recorded from Redis 7.2.6.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

const LOCAL: SetContext = SetContext { is_client_local: true, is_loading: false };

/// Parameters whose default is another one here, with the reason.
const OTHER_DEFAULTS: [(&str, &str); 1] =
    [("dir", "the current directory, which the facts leave out")];

fn facts(file: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/facts").join(file);
    let text = std::fs::read_to_string(&path).expect("the facts are in the repository");
    serde_json::from_str(&text).expect("the facts are JSON")
}

/// CONFIG GET with every value as text.
fn get(config: &Config, patterns: &[&str]) -> Vec<(String, String)> {
    let patterns: Vec<&[u8]> = patterns.iter().map(|pattern| pattern.as_bytes()).collect();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    config.get(&patterns).into_iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn value(config: &Config, name: &str) -> String {
    get(config, &[name]).pop().expect("a parameter of the table").1
}

/// CONFIG SET: the new configuration, or the reply's text.
fn set(config: &Config, pairs: &[(&str, &str)]) -> Result<Config, String> {
    let pairs: Vec<(&[u8], &[u8])> =
        pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    config.set(&pairs, LOCAL).map(|change| change.config).map_err(|error| error.reply())
}

#[test]
fn every_parameter_of_redis_has_its_default() {
    let facts = facts("config-7.2.json");
    let ours: BTreeMap<_, _> = get(&Config::defaults(), &["*"]).into_iter().collect();
    for (name, default) in facts.as_object().expect("an object") {
        let default = default.as_str().expect("a text");
        let our_default = ours.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        if !OTHER_DEFAULTS.iter().any(|(other, _)| other == name) {
            assert_eq!(our_default, default, "{name}");
        }
    }
}

#[test]
fn every_parameter_beyond_redis_is_our_own() {
    let facts = facts("config-7.2.json");
    let ours = params::TABLE.last().expect("groups").rows;
    for (name, _) in get(&Config::defaults(), &["*"]) {
        assert!(
            facts.get(&name).is_some() || ours.iter().any(|row| row.name == name),
            "{name} is neither Redis's nor ours"
        );
    }
}

#[test]
fn names_are_lower_case_and_unique() {
    let mut names: Vec<_> = names().map(|found| found.name).collect();
    assert!(names.iter().all(|name| *name == name.to_lowercase()));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn every_row_says_what_it_does() {
    for row in parameters() {
        match row.effect {
            Effect::Live | Effect::Startup => assert!(row.docs.ends_with('.'), "{}", row.name),
            Effect::None(why) | Effect::Refused(why) => assert!(!why.is_empty(), "{}", row.name),
        }
    }
}

/// Pairs that we answer in another way: here Redis reads a wrapped-around number as one percent.
const OTHER_REPLIES: [(&str, &str); 1] = [("maxmemory-clients", "18446744073709551615")];

#[test]
fn config_set_answers_as_redis_does() {
    let cases = facts("config-set-7.2.json");
    let cases = cases.as_array().expect("a list");
    assert!(cases.len() > 500, "only {} cases", cases.len());
    let mut differences = Vec::new();
    for case in cases {
        let text = |index: usize| case[index].as_str().unwrap_or_default();
        let (name, written, reply) = (text(0), text(1), text(2));
        let (our_reply, our_value) = match set(&Config::defaults(), &[(name, written)]) {
            Ok(config) => ("+OK".to_owned(), value(&config, name)),
            Err(error) => (format!("-{error}"), text(3).to_owned()),
        };
        if (our_reply.as_str(), our_value.as_str()) != (reply, text(3))
            && !OTHER_REPLIES.contains(&(name, written))
        {
            differences.push(format!(
                "CONFIG SET {name} {written:?}\n  redis {reply} {:?}\n  ours  {our_reply} {our_value:?}",
                text(3)
            ));
        }
    }
    assert!(differences.is_empty(), "{}\n{} differ", differences.join("\n"), differences.len());
}

#[test]
fn the_extremes_of_every_row_fit_its_field() {
    let is_fixed = |row: &&&Parameter| matches!(row.change, Change::Never | Change::Unchanged);
    for row in parameters().iter().filter(|row| !is_fixed(row)) {
        let extremes = match row.kind {
            Kind::Integer { min, max } | Kind::Memory { min, max } => [min, max],
            _ => continue,
        };
        for extreme in extremes.map(|extreme| extreme.to_string()) {
            if !matches!(row.effect, Effect::Refused(_)) {
                set(&Config::defaults(), &[(row.name, &extreme)]).expect("within the range");
            }
        }
    }
    for row in parameters().iter().filter(is_fixed) {
        let (Kind::Integer { max, .. } | Kind::Octal { max }) = row.kind else { continue };
        (row.store)(&mut Settings::blank(), &Value::Number(max));
    }
}

#[test]
fn get_takes_several_patterns_and_each_name_once() {
    let config = Config::defaults();
    let got = get(&config, &["SLOWLOG-Max-len", "slowlog-*", "hash-max-ziplist-value", "nosuch"]);
    let names: Vec<_> = got.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["SLOWLOG-Max-len", "slowlog-log-slower-than", "hash-max-ziplist-value"]);
    assert_eq!(got[2].1, "64");
}

#[test]
fn hidden_parameters_need_their_exact_name() {
    let config = Config::defaults();
    assert!(get(&config, &["key-load-dela?"]).is_empty());
    assert_eq!(get(&config, &["key-load-delay"]), [("key-load-delay".into(), "0".into())]);
}

#[test]
fn our_own_fixed_parameters_may_be_set_to_what_they_are() {
    let config = Config::defaults();
    for (name, value, other) in [("shards", "0", "2"), ("metrics-bind", "127.0.0.1", "0.0.0.0")] {
        set(&config, &[(name, value)]).expect("no change");
        assert!(set(&config, &[(name, other)]).is_err());
    }
    assert!(set(&config, &[("databases", "16")]).is_err(), "as in Redis");
}

#[test]
fn set_is_all_or_nothing() {
    let config = Config::defaults();
    let error = set(&config, &[("maxmemory", "1gb"), ("hz", "x")]).expect_err("hz is wrong");
    assert_eq!(
        error,
        "ERR CONFIG SET failed (possibly related to argument 'hz') - \
         argument couldn't be parsed into an integer"
    );
    let changed = set(&config, &[("maxmemory", "1gb"), ("hz", "0")]).expect("both are fine");
    assert_eq!(changed.settings().maxmemory_bytes, 1 << 30);
    assert_eq!(changed.settings().hz, 1);
    assert_eq!(config.settings().maxmemory_bytes, 0);
    assert!(changed.is_given("maxmemory") && !config.is_given("maxmemory"));
}

#[test]
fn set_tells_what_changed() {
    let pairs: [(&[u8], &[u8]); 2] = [(b"maxmemory", b"1kb"), (b"hz", b"10")];
    let change = Config::defaults().set(&pairs, LOCAL).expect("both are fine");
    let [applied] = change.applied.as_slice() else { panic!("hz did not change") };
    assert_eq!(applied.parameter.name, "maxmemory");
    assert_eq!((applied.old.as_slice(), applied.new.as_slice()), (&b"0"[..], &b"1024"[..]));
    assert_eq!(
        SetError::not_applied(applied.parameter, "no\r\nroom").reply(),
        "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - no  room"
    );
}

#[test]
fn set_refuses_a_name_twice_but_not_with_its_alias() {
    let config = Config::defaults();
    assert_eq!(
        set(&config, &[("hz", "1"), ("HZ", "2")]).expect_err("twice"),
        "ERR CONFIG SET failed (possibly related to argument 'HZ') - duplicate parameter"
    );
    let both = set(&config, &[("replica-priority", "1"), ("slave-priority", "2")]);
    assert_eq!(value(&both.expect("as in Redis"), "replica-priority"), "2");
}

#[test]
fn protected_parameters_depend_on_the_client() {
    let with = |access: &str| {
        Config::load(None, &["--enable-protected-configs".into(), access.into()]).expect("valid")
    };
    let set = |config: &Config, is_client_local| {
        let context = SetContext { is_client_local, is_loading: false };
        let change = config.set(&[(b"dbfilename", b"x.rdb")], context);
        change.map(|change| change.config.settings().dbfilename.clone()).map_err(|e| e.reply())
    };
    let refused = "ERR CONFIG SET failed (possibly related to argument 'dbfilename') - \
                   can't set protected config";
    assert_eq!(set(&with("no"), true).expect_err("nobody may"), refused);
    assert_eq!(set(&with("local"), false).expect_err("only local clients may"), refused);
    assert_eq!(set(&with("local"), true).expect("local clients may"), "x.rdb");
    assert_eq!(set(&with("yes"), false).expect("all may"), "x.rdb");
}

#[test]
fn some_parameters_wait_until_data_is_loaded() {
    let context = SetContext { is_client_local: true, is_loading: true };
    let error = Config::defaults().set(&[(b"appendonly", b"yes")], context).expect_err("loading");
    assert_eq!(error.reply(), "LOADING Redis is loading the dataset in memory");
    assert!(Config::defaults().set(&[(b"hz", b"20")], context).is_ok());
}

#[test]
fn only_the_default_of_a_refused_parameter_is_accepted() {
    let config = Config::defaults();
    assert!(set(&config, &[("tls-port", "0")]).is_ok());
    let error = set(&config, &[("tls-port", "6380")]).expect_err("refused");
    assert!(error.ends_with("- TLS is not built yet"), "{error}");
}

#[test]
fn the_directory_is_absolute_and_exists() {
    let config = Config::defaults();
    assert!(config.settings().dir.is_absolute());
    let args = ["--dir".to_owned(), "/no/such/place".to_owned()];
    let error = Config::load(None, &args).expect_err("it does not exist").to_string();
    assert!(error.contains("dir") && error.contains("No such file or directory"), "{error}");
}

#[test]
fn settings_follow_the_table() {
    let config = Config::defaults();
    let settings = config.settings();
    assert_eq!(settings.port, 6379);
    assert_eq!(settings.bind.len(), 2);
    assert_eq!(settings.save.len(), 3);
    assert_eq!(settings.output_limit_pubsub.hard_bytes, 32 << 20);
    assert_eq!(settings.maxmemory_policy, MaxmemoryPolicy::Noeviction);
    assert_eq!(settings.latency_tracking_info_percentiles, [50.0, 99.0, 99.9]);
    assert_eq!(settings.logfile, None);
    let clients = set(&config, &[("maxmemory-clients", "5%")]).expect("valid");
    assert_eq!(clients.settings().maxmemory_clients, SizeOrPercent::Percent(5));
}

#[test]
fn parameters_without_effect_are_named_once_they_are_used() {
    let config = set(&Config::defaults(), &[("dynamic-hz", "no")]).expect("valid");
    let named: Vec<_> = config.without_effect().map(|(name, _)| name).collect();
    assert_eq!(named, ["dynamic-hz"]);
}

proptest! {
    #[test]
    fn any_value_is_taken_or_refused(index in 0..PARAMETERS.len(), value: Vec<u8>) {
        let name = PARAMETERS[index].name.as_bytes();
        if let Ok(change) = Config::defaults().set(&[(name, &value)], LOCAL) {
            // What is printed is understood again, and means the same.
            let printed = change.config.print(index);
            let again = change.config.set(&[(name, &printed)], LOCAL).expect("its own print");
            prop_assert_eq!(again.config.print(index), printed);
        }
    }
}
