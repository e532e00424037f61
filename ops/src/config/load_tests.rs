//! Tests of reading files and the command line.

use std::path::{Path, PathBuf};

use super::*;
use crate::config::value::SavePoint;
use crate::testing::Folder;

fn args(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn command_line(words: &[&str]) -> Result<Config, String> {
    load(None, &args(words)).map_err(|error| error.to_string())
}

fn file(text: &str) -> Result<Config, String> {
    let folder = Folder::new();
    let path = folder.write("redis.conf", text);
    let shown = path.display().to_string();
    load(Some(&path), &[]).map_err(|error| error.to_string().replace(&shown, "redis.conf"))
}

fn save(config: &Config) -> Vec<(u64, u64)> {
    let pair = |point: &SavePoint| (point.seconds, point.changes);
    config.settings().save.iter().map(pair).collect()
}

#[test]
fn a_command_line_as_redis_server_takes_it() {
    let words = [
        "--port",
        "7000",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--bind",
        "127.0.0.1",
        "-::1",
        "--client-output-buffer-limit",
        "pubsub 1mb 0 0",
        "--logfile x.log",
        "--TIMEOUT",
        "5",
    ];
    let config = command_line(&words).expect("valid");
    let settings = config.settings();
    assert_eq!(settings.port, 7000);
    assert!(settings.appendonly && settings.save.is_empty());
    assert_eq!(settings.bind.len(), 2);
    assert_eq!(settings.output_limit_pubsub.hard_bytes, 1 << 20);
    assert_eq!(settings.output_limit_replica.hard_bytes, 256 << 20);
    assert_eq!(settings.logfile, Some(PathBuf::from("x.log")));
    assert_eq!(settings.timeout_s, 5);
    assert!(config.is_given("port") && !config.is_given("hz"));
}

#[test]
fn save_points_replace_the_default_and_then_add_up() {
    assert_eq!(
        save(&command_line(&["--save", "3600", "1", "300", "100"]).expect("valid")),
        [(3600, 1), (300, 100)]
    );
    assert_eq!(save(&file("save 900 1\nsave 300 10\n").expect("valid")), [(900, 1), (300, 10)]);
    assert_eq!(save(&file("save 900 1\nsave \"\"\nsave 60 5").expect("valid")), [(60, 5)]);
    assert_eq!(save(&command_line(&["--save", "--port", "1"]).expect("valid")), []);
    assert_eq!(save(&command_line(&["--save"]).expect("valid")), []);
}

#[test]
fn a_value_may_begin_with_dashes_if_its_name_has_none_yet() {
    let config = command_line(&["--requirepass", "--secret", "--port", "7"]).expect("valid");
    assert_eq!(config.settings().requirepass, b"--secret");
    assert_eq!(config.settings().port, 7);
}

#[test]
fn the_first_word_may_be_the_file_and_the_command_line_wins() {
    let folder = Folder::new();
    let path = folder.write("redis.conf", "port 1\n# a comment\n\n  TIMEOUT\t\"9\"\r\n");
    let path_text = path.display().to_string();
    let config = load(None, &args(&[&path_text, "--port", "2"])).expect("valid");
    assert_eq!((config.settings().port, config.settings().timeout_s), (2, 9));
    assert_eq!(config.file(), Some(path.as_path()));
}

#[test]
fn renamed_commands_are_kept_for_the_registry() {
    let config = file("rename-command FLUSHALL \"\"\nrename-command config c0nfig").expect("valid");
    let renames = config.renames().iter().map(|rename| (rename.from.as_str(), rename.to.as_str()));
    assert_eq!(renames.collect::<Vec<_>>(), [("FLUSHALL", ""), ("config", "c0nfig")]);
}

#[test]
fn files_are_included_in_place_and_wildcards_may_match_none() {
    let folder = Folder::new();
    folder.write("b.conf", "timeout 2\n");
    folder.write("a.conf", "timeout 1\nhz 77\n");
    folder.write(".hidden.conf", "nonsense\n");
    let base = folder.path().display();
    let text = format!("port 1\ninclude {base}/*.conf\ninclude {base}/none*\nport 3\n");
    let main = folder.write("main", &text);
    let config = load(Some(&main), &[]).expect("valid");
    let settings = config.settings();
    assert_eq!((settings.port, settings.timeout_s, settings.hz), (3, 2, 77));
}

#[test]
fn circles_of_includes_end() {
    let folder = Folder::new();
    let path = folder.path().join("circle.conf");
    folder.write("circle.conf", &format!("include {}\n", path.display()));
    let error = load(Some(&path), &[]).expect_err("a circle").to_string();
    assert!(
        error.ends_with(
            "line 1: includes are nested more than 16 deep; break the circle of includes"
        )
    );
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let cases = [
        (
            "\nport x",
            "redis.conf line 2: port cannot be \"x\": argument couldn't be parsed into an integer; \
             change the value or delete the line",
        ),
        ("port 1 2", "redis.conf line 1: 'port' takes one value; correct the line"),
        ("port", "redis.conf line 1: 'port' takes one value; correct the line"),
        (
            "appendonyl yes",
            "redis.conf line 1: there is no parameter 'appendonyl' (did you mean 'appendonly'?); \
             docs/config.md lists them all",
        ),
        (
            "completely-unknown 1",
            "redis.conf line 1: there is no parameter 'completely-unknown'; \
             docs/config.md lists them all",
        ),
        (
            "requirepass \"a",
            "redis.conf line 1: the quotes are unbalanced; close them, and put a blank behind",
        ),
        (
            "loadmodule /x.so",
            "redis.conf line 1: 'loadmodule' is not available: Rialto loads no modules; \
             delete the line",
        ),
        (
            "cluster-enabled yes",
            "redis.conf line 1: 'cluster-enabled' is not available: cluster mode is not built yet; \
             delete the line",
        ),
        (
            "save 1",
            "redis.conf line 1: save cannot be \"1\": Invalid save parameters; \
             change the value or delete the line",
        ),
    ];
    for (text, sentence) in cases {
        assert_eq!(file(text).expect_err(text), sentence);
    }
    assert_eq!(
        load(Some(Path::new("/no/such.conf")), &[]).expect_err("missing").to_string(),
        "cannot read the configuration /no/such.conf: No such file or directory; \
         check the path and its permissions"
    );
    assert_eq!(
        command_line(&["--port", "1", "2"]).expect_err("two values"),
        "command line: 'port' takes one value; correct the line"
    );
    assert_eq!(
        command_line(&["--", "x"]).expect_err("no name"),
        "command line: 'x' belongs to no parameter; write --name value"
    );
}

#[test]
fn only_the_outermost_dash_reads_standard_input() {
    let options = parse_command_line(&args(&["--port", "1", "-"])).expect("valid");
    assert!(options.reads_stdin);
    let options = parse_command_line(&args(&["--requirepass", "-", "--port", "1"])).expect("valid");
    assert!(!options.reads_stdin);
    assert_eq!(options.directives[0], [b"requirepass".to_vec(), b"-".to_vec()]);
}

#[test]
fn a_file_that_is_far_too_large_is_refused() {
    let endless = std::io::repeat(b'#');
    let error = read_bounded(endless, "/dev/zero").expect_err("endless").to_string();
    assert_eq!(
        error,
        "the configuration /dev/zero is larger than 16777216 bytes; is it the right file?"
    );
}

#[test]
fn the_default_user_may_be_written_out() {
    let everything = "user default on nopass sanitize-payload ~* &* +@all";
    assert!(file(everything).is_ok());
    let hashed = "user default on #9f86d081 ~* &* +@all\n";
    assert!(file(&format!("{hashed}requirepass test")).is_ok());
    for text in [hashed, "user default on nopass ~* -@all", "user bob on nopass ~* +@all"] {
        let error = file(text).expect_err(text);
        assert!(error.starts_with("redis.conf line 1: 'user' is not available: users"), "{error}");
    }
}

#[test]
fn retired_directives_are_skipped() {
    assert!(file("lua-replicate-commands yes\nlist-max-ziplist-entries 5").is_ok());
}

proptest::proptest! {
    #[test]
    fn any_file_is_read_or_refused(text: Vec<u8>) {
        let mut loader = Loader::new();
        let _ = loader.read_lines(&text, &|line| Origin::Stdin { line }, 0);
    }

    #[test]
    fn any_command_line_is_read_or_refused(words: Vec<String>) {
        let _ = parse_command_line(&words);
    }
}
