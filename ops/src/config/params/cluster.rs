//! Redis Cluster.

use super::{INT_MAX, LONG_MAX, PORT_MAX, ULONG_MAX};
use crate::config::choices::ENDPOINT_TYPE;
use crate::config::kind::Kind;
use crate::config::parameter::Parameter;

const LATER: &str = "cluster mode is not built yet";
const HOST_NAME_LEN_MAX: usize = 256;

pub(super) const ROWS: &[Parameter] = &[
    Parameter::flag("cluster-enabled", "no").fixed().refused(LATER),
    Parameter::flag("cluster-allow-pubsubshard-when-down", "yes").no_effect(LATER),
    Parameter::flag("cluster-allow-reads-when-down", "no").no_effect(LATER),
    Parameter::flag("cluster-allow-replica-migration", "yes").no_effect(LATER),
    Parameter::integer("cluster-announce-bus-port", 0, PORT_MAX, "0").no_effect(LATER),
    Parameter::of_kind("cluster-announce-hostname", Kind::Text(host_name), "").no_effect(LATER),
    Parameter::of_kind("cluster-announce-human-nodename", Kind::Text(node_name), "")
        .no_effect(LATER),
    Parameter::text("cluster-announce-ip", "").no_effect(LATER),
    Parameter::integer("cluster-announce-port", 0, PORT_MAX, "0").no_effect(LATER),
    Parameter::integer("cluster-announce-tls-port", 0, PORT_MAX, "0").no_effect(LATER),
    Parameter::text("cluster-config-file", "nodes.conf").fixed().no_effect(LATER),
    Parameter::memory("cluster-link-sendbuf-limit", 0, ULONG_MAX, "0").no_effect(LATER),
    Parameter::integer("cluster-migration-barrier", 0, INT_MAX, "1").no_effect(LATER),
    Parameter::integer("cluster-node-timeout", 0, LONG_MAX, "15000").no_effect(LATER),
    Parameter::integer("cluster-ping-interval", 0, LONG_MAX, "0").hidden().no_effect(LATER),
    Parameter::integer("cluster-port", 0, PORT_MAX, "0").fixed().no_effect(LATER),
    Parameter::choice("cluster-preferred-endpoint-type", ENDPOINT_TYPE, "ip").no_effect(LATER),
    Parameter::flag("cluster-replica-no-failover", "no")
        .alias("cluster-slave-no-failover")
        .no_effect(LATER),
    Parameter::integer("cluster-replica-validity-factor", 0, INT_MAX, "10")
        .alias("cluster-slave-validity-factor")
        .no_effect(LATER),
    Parameter::flag("cluster-require-full-coverage", "yes").no_effect(LATER),
];

fn host_name(name: &[u8]) -> Result<(), &'static str> {
    if name.len() >= HOST_NAME_LEN_MAX {
        return Err("Hostnames must be less than 256 characters");
    }
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !name.iter().all(is_allowed) {
        return Err("Hostnames may only contain alphanumeric characters, hyphens or dots");
    }
    Ok(())
}

fn node_name(name: &[u8]) -> Result<(), &'static str> {
    if name.iter().any(|byte| b"!#$%&()*+:;<>?@[]^{|}~".contains(byte)) {
        return Err("Announced human node name contained invalid character");
    }
    Ok(())
}
