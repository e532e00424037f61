//! TLS.

use super::{INT_MAX, PORT_MAX};
use crate::config::choices::TLS_AUTH_CLIENTS;
use crate::config::parameter::Parameter;

const LATER: &str = "TLS is not built yet";

pub(super) const ROWS: &[Parameter] = &[
    Parameter::integer("tls-port", 0, PORT_MAX, "0").refused(LATER),
    Parameter::choice("tls-auth-clients", TLS_AUTH_CLIENTS, "yes").no_effect(LATER),
    Parameter::text("tls-ca-cert-dir", "").no_effect(LATER),
    Parameter::text("tls-ca-cert-file", "").no_effect(LATER),
    Parameter::text("tls-cert-file", "").no_effect(LATER),
    Parameter::text("tls-ciphers", "").no_effect(LATER),
    Parameter::text("tls-ciphersuites", "").no_effect(LATER),
    Parameter::text("tls-client-cert-file", "").no_effect(LATER),
    Parameter::text("tls-client-key-file", "").no_effect(LATER),
    Parameter::text("tls-client-key-file-pass", "").no_effect(LATER),
    Parameter::flag("tls-cluster", "no").no_effect(LATER),
    Parameter::text("tls-dh-params-file", "").no_effect(LATER),
    Parameter::text("tls-key-file", "").no_effect(LATER),
    Parameter::text("tls-key-file-pass", "").no_effect(LATER),
    Parameter::flag("tls-prefer-server-ciphers", "no").no_effect(LATER),
    Parameter::text("tls-protocols", "").no_effect(LATER),
    Parameter::flag("tls-replication", "no").no_effect(LATER),
    Parameter::integer("tls-session-cache-size", 0, INT_MAX, "20480").no_effect(LATER),
    Parameter::integer("tls-session-cache-timeout", 0, INT_MAX, "300").no_effect(LATER),
    Parameter::flag("tls-session-caching", "yes").no_effect(LATER),
];
