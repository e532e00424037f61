//! Signals reach the server through its callback, and SIGHUP does not end the process.
//!
//! A test program of its own, because signals are for the whole process.

use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ops::http::{StopSignal, start};
use ops::metrics::{BuildInfo, Metrics};

fn send(name: &str) {
    let status = Command::new("kill").args([name, &std::process::id().to_string()]).status();
    assert!(status.expect("kill is installed").success());
}

#[test]
fn signals_are_handed_to_the_server() {
    let build = BuildInfo { version: "0.1.0", redis_version: "7.2.6" };
    let (sender, signals) = mpsc::channel();
    let on_signal = move |signal| sender.send(signal).expect("the test is waiting");
    let _ops = start(Arc::new(Metrics::new(build, 1)), None, on_signal).expect("resources");

    send("-HUP");
    for (name, expected) in [
        ("-TERM", StopSignal::Terminate),
        ("-INT", StopSignal::Interrupt),
        ("-TERM", StopSignal::Terminate),
    ] {
        send(name);
        let signal = signals.recv_timeout(Duration::from_secs(10)).expect("the signal arrives");
        assert_eq!(signal, expected);
    }
    assert!(signals.try_recv().is_err(), "SIGHUP is not handed on");
}
