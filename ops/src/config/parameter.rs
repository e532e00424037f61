//! One row of the table: everything there is to know about a parameter.

use super::choices::Choices;
use super::kind::{Kind, any_text};
use super::settings::Settings;
use super::value::Value;

/// A configuration parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Lower case, as CONFIG GET prints it.
    pub name: &'static str,
    /// An older name that means the same.
    pub alias: Option<&'static str>,
    /// The form of its value.
    pub kind: Kind,
    /// The default, as CONFIG GET prints it.
    pub default: &'static str,
    /// Who may change it while the server runs.
    pub change: Change,
    /// CONFIG GET shows it only if asked for by its exact name.
    pub is_hidden: bool,
    /// The value is a secret: it is kept out of SLOWLOG and MONITOR.
    pub is_sensitive: bool,
    /// CONFIG SET refuses it while data is loading.
    pub is_denied_while_loading: bool,
    /// What it does in Rialto today.
    pub effect: Effect,
    /// One sentence for docs/config.md; empty if `effect` says it all.
    pub docs: &'static str,
    /// Values outside these bounds are accepted and moved to the nearest bound.
    pub(super) clamp: Option<(i128, i128)>,
    /// Writes the value to its typed field.
    pub(super) store: fn(&mut Settings, &Value),
}

/// Who may change a parameter while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Anyone who may use CONFIG SET.
    Runtime,
    /// As `Runtime`, but only where `enable-protected-configs` allows it.
    Protected,
    /// Nobody: it is read at start only.
    Never,
    /// Nobody, but setting it to what it is passes: so that a tool which writes back all that CONFIG GET shows, but for
    /// what it knows to be fixed in Redis, need not know our own.
    Unchanged,
}

/// What a parameter does in Rialto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It works, and a change while running takes effect.
    Live,
    /// It works, and is read once at start.
    Startup,
    /// Accepted and reported, but nothing depends on it; says why.
    None(&'static str),
    /// As `None`, but ignoring it would be dangerous, so only the default is accepted; says why.
    Refused(&'static str),
}

impl Parameter {
    const fn new(name: &'static str, kind: Kind, default: &'static str) -> Parameter {
        Parameter {
            name,
            alias: None,
            kind,
            default,
            change: Change::Runtime,
            is_hidden: false,
            is_sensitive: false,
            is_denied_while_loading: false,
            effect: Effect::Live,
            docs: "",
            clamp: None,
            store: |_, _| {},
        }
    }

    pub(super) const fn flag(name: &'static str, default: &'static str) -> Parameter {
        Parameter::new(name, Kind::Flag, default)
    }

    pub(super) const fn integer(
        name: &'static str,
        min: i128,
        max: i128,
        default: &'static str,
    ) -> Parameter {
        Parameter::new(name, Kind::Integer { min, max }, default)
    }

    pub(super) const fn memory(
        name: &'static str,
        min: i128,
        max: i128,
        default: &'static str,
    ) -> Parameter {
        Parameter::new(name, Kind::Memory { min, max }, default)
    }

    pub(super) const fn choice(
        name: &'static str,
        choices: Choices,
        default: &'static str,
    ) -> Parameter {
        Parameter::new(name, Kind::Choice(choices), default)
    }

    pub(super) const fn text(name: &'static str, default: &'static str) -> Parameter {
        Parameter::new(name, Kind::Text(any_text), default)
    }

    pub(super) const fn of_kind(
        name: &'static str,
        kind: Kind,
        default: &'static str,
    ) -> Parameter {
        Parameter::new(name, kind, default)
    }

    pub(super) const fn alias(self, alias: &'static str) -> Parameter {
        Parameter { alias: Some(alias), ..self }
    }

    /// Names the typed field.
    pub(super) const fn store(self, store: fn(&mut Settings, &Value)) -> Parameter {
        Parameter { store, ..self }
    }

    pub(super) const fn docs(self, docs: &'static str) -> Parameter {
        Parameter { docs, ..self }
    }

    /// CONFIG SET refuses it; it is read once at start.
    pub(super) const fn fixed(self) -> Parameter {
        let effect = match self.effect {
            Effect::Live => Effect::Startup,
            other => other,
        };
        Parameter { change: Change::Never, effect, ..self }
    }

    /// As `fixed`, but CONFIG SET accepts the value that it has.
    pub(super) const fn unchanged(self) -> Parameter {
        Parameter { change: Change::Unchanged, ..self.fixed() }
    }

    pub(super) const fn protected(self) -> Parameter {
        Parameter { change: Change::Protected, ..self }
    }

    pub(super) const fn hidden(self) -> Parameter {
        Parameter { is_hidden: true, ..self }
    }

    pub(super) const fn sensitive(self) -> Parameter {
        Parameter { is_sensitive: true, ..self }
    }

    pub(super) const fn denied_while_loading(self) -> Parameter {
        Parameter { is_denied_while_loading: true, ..self }
    }

    pub(super) const fn clamped(self, min: i128, max: i128) -> Parameter {
        Parameter { clamp: Some((min, max)), ..self }
    }

    pub(super) const fn no_effect(self, why: &'static str) -> Parameter {
        Parameter { effect: Effect::None(why), ..self }
    }

    pub(super) const fn refused(self, why: &'static str) -> Parameter {
        Parameter { effect: Effect::Refused(why), ..self }
    }

    /// Takes several words on one line of redis.conf, and on the command line.
    #[must_use]
    pub fn is_multi_arg(&self) -> bool {
        matches!(
            self.kind,
            Kind::Flags(_)
                | Kind::Bind
                | Kind::Save
                | Kind::OutputLimits
                | Kind::OomScores
                | Kind::Percentiles
                | Kind::Primary
        )
    }

    /// The value the server starts with if nothing else is said.
    pub(super) fn default_value(&self) -> Value {
        let start = match self.kind {
            Kind::Directory => ".",
            _ => self.default,
        };
        let words: Vec<Vec<u8>> = match self.is_multi_arg() {
            true => start.split(' ').map(|word| word.as_bytes().to_vec()).collect(),
            false => vec![start.as_bytes().to_vec()],
        };
        let unset = match self.kind {
            Kind::OutputLimits => Value::OutputLimits(Default::default()),
            Kind::Primary if start.is_empty() => return Value::Primary(None),
            // A directory that cannot be read is reported by whoever opens files in it.
            Kind::Directory => {
                return self
                    .kind
                    .parse(&words, &Value::Flag(false))
                    .unwrap_or_else(|_| Value::Text(start.as_bytes().to_vec()));
            }
            Kind::Text(_) => return Value::Text(start.as_bytes().to_vec()),
            _ => Value::Flag(false),
        };
        self.kind.parse(&words, &unset).expect("a test reads every default of the table")
    }

    /// Reads a value and checks what this parameter alone decides.
    pub(super) fn parse(&self, words: &[Vec<u8>], current: &Value) -> Result<Value, String> {
        let value = self.kind.parse(words, current)?;
        if let Effect::Refused(why) = self.effect
            && value != self.default_value()
        {
            return Err(why.to_owned());
        }
        match (value, self.clamp) {
            (Value::Number(number), Some((min, max))) => Ok(Value::Number(number.clamp(min, max))),
            (value, _) => Ok(value),
        }
    }
}
