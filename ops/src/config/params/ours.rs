//! Parameters that Redis does not have.

use super::PORT_MAX;
use crate::config::kind::Kind;
use crate::config::parameter::Parameter;

/// More shards than any machine has CPUs that a single process should use.
const SHARDS_MAX: i128 = 1024;

pub(super) const ROWS: &[Parameter] = &[
    Parameter::integer("shards", 0, SHARDS_MAX, "0")
        .unchanged()
        .store(|s, v| s.shards = v.number())
        .docs("Shards, each with a core of its own; 0: one per CPU that this process may use."),
    Parameter::integer("metrics-port", 0, PORT_MAX, "9121")
        .unchanged()
        .store(|s, v| s.metrics_port = v.number())
        .docs("Port of `/metrics`, `/healthz` and `/readyz`; 0: none."),
    Parameter::of_kind("metrics-bind", Kind::Text(address), "127.0.0.1")
        .unchanged()
        .store(|s, v| s.metrics_bind = v.text())
        .docs("Address of that port; `0.0.0.0` lets other machines see the metrics."),
];

fn address(text: &[u8]) -> Result<(), &'static str> {
    let is_address =
        std::str::from_utf8(text).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok());
    if is_address { Ok(()) } else { Err("argument must be an IP address") }
}
