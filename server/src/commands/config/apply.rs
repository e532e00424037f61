//! What a new value changes in the process itself, rather than in the settings that cores read: limits, the log, the
//! current directory, the sockets. Either all of it takes effect, or what did is taken back.

use crate::listener;
use crate::runtime::limits;
use crate::shared::Shared;
use ops::config::{PendingChange, SetError, Settings};

/// Puts a change into effect; `old` are the settings in force.
///
/// # Errors
/// The parameter that could not take effect; then none has.
pub(super) fn apply(
    shared: &Shared,
    old: &Settings,
    change: &PendingChange,
) -> Result<(), SetError> {
    let new = change.config.settings();
    for (index, applied) in change.applied.iter().enumerate() {
        if let Err(problem) = put_into_effect(shared, applied.parameter.name, new) {
            for before in change.applied[..index].iter().rev() {
                if let Err(problem) = put_into_effect(shared, before.parameter.name, old) {
                    tracing::warn!("{} cannot be taken back: {problem}", before.parameter.name);
                }
            }
            return Err(SetError::not_applied(applied.parameter, &problem));
        }
    }
    Ok(())
}

fn put_into_effect(shared: &Shared, parameter: &str, settings: &Settings) -> Result<(), String> {
    match parameter {
        "loglevel" => shared.text_log.set_level(settings.loglevel),
        "maxclients" => allow_clients(settings)?,
        "dir" => std::env::set_current_dir(&settings.dir).map_err(|error| error.to_string())?,
        "appendonly" => {
            return Err("the append-only file is switched on or off at start only".to_owned());
        }
        "port" => {
            let failed = |_| "Unable to listen on this port. Check server logs.".to_owned();
            listener::rebind(shared, settings).map_err(failed)?;
        }
        "bind" => {
            let failed = |_| "Failed to bind to specified addresses.".to_owned();
            listener::rebind(shared, settings).map_err(failed)?;
        }
        _ => {}
    }
    Ok(())
}

/// Makes room for `maxclients` connections among the descriptors of the process.
fn allow_clients(settings: &Settings) -> Result<(), String> {
    let allowed = limits::allow_clients(settings.maxclients);
    if allowed < settings.maxclients {
        return Err(format!(
            "The operating system is not able to handle the specified number of clients, try with {allowed}"
        ));
    }
    Ok(())
}
