//! The binary `rialto`: `rialto serve [redis.conf] [--param value …]`, `rialto check [--fix] [dir]`.

use clap::{Arg, ArgAction, Command};
use ops::config::Config;
use server::startup::{ALLOCATOR, REDIS_VERSION};
use server::{check, startup};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

mod allocator;

fn main() -> ExitCode {
    allocator::prepare();
    let words: Vec<String> = std::env::args().collect();
    let program = words.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
    let is_redis = program == "redis-server";
    if let [_, word] = words.as_slice()
        && matches!(word.as_str(), "--version" | "-v" | "-V")
    {
        return print(&version(is_redis));
    }
    // Under the name of the server it replaces, every word is a parameter.
    if is_redis {
        return serve(&words[1..]);
    }
    let matches = command().get_matches_from(words);
    match matches.subcommand() {
        Some(("serve", serve_matches)) => {
            let words = serve_matches.get_many::<String>("words").into_iter().flatten().cloned();
            serve(&words.collect::<Vec<_>>())
        }
        Some(("check", check_matches)) => {
            let text = |name| check_matches.get_one::<String>(name).expect("it has a default");
            let is_fixing = check_matches.get_flag("fix");
            let dir = Path::new(text("dir"));
            match check::run(dir, text("appenddirname"), text("appendfilename"), is_fixing) {
                Ok((report, is_well)) => {
                    let printed = print(&report);
                    if is_well { printed } else { ExitCode::FAILURE }
                }
                Err(error) => {
                    eprintln!("rialto: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        _ => unreachable!("clap demands a subcommand"),
    }
}

/// One line. Install scripts read that of `redis-server`, which is why it has Redis's form.
fn version(is_redis: bool) -> String {
    let (version, bits) = (env!("CARGO_PKG_VERSION"), usize::BITS);
    match is_redis {
        true => format!(
            "Redis server v={REDIS_VERSION} sha=00000000:0 malloc={ALLOCATOR} bits={bits} build=rialto-{version}\n"
        ),
        false => {
            format!("Rialto v={version} redis={REDIS_VERSION} malloc={ALLOCATOR} bits={bits}\n")
        }
    }
}

/// Prints to standard output; fails if nobody reads it.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn command() -> Command {
    let words = Arg::new("words")
        .help("redis.conf, then --param value …, as redis-server takes them")
        .num_args(0..)
        .trailing_var_arg(true)
        .allow_hyphen_values(true);
    Command::new("rialto")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A Redis-7.2-compatible in-memory server, one shard per core")
        .subcommand_required(true)
        .subcommand(Command::new("serve").about("Runs the server").arg(words))
        .subcommand(
            Command::new("check")
                .about("Checks the append-only file of a server that does not run")
                .arg(
                    Arg::new("fix").long("fix").action(ArgAction::SetTrue).help(
                        "Cut damage away, and everything later than the last moment before it",
                    ),
                )
                .arg(Arg::new("dir").help("Data directory").default_value("."))
                .arg(Arg::new("appenddirname").long("appenddirname").default_value("appendonlydir"))
                .arg(
                    Arg::new("appendfilename")
                        .long("appendfilename")
                        .default_value("appendonly.aof"),
                ),
        )
}

fn serve(words: &[String]) -> ExitCode {
    let run = || -> Result<(), Box<dyn std::error::Error>> {
        let config = Config::load(None, words)?;
        let settings = config.settings();
        let text_log = ops::log::start(settings.loglevel, settings.logfile.as_deref())?;
        startup::serve(config, text_log)?;
        Ok(())
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rialto: {error}");
            ExitCode::FAILURE
        }
    }
}
