//! Libraries of functions (FUNCTION LOAD): their registry, and how their code declares functions.
//!
//! A library is loaded by running its code, which calls `redis.register_function`. The registry knows what was declared;
//! each interpreter keeps the compiled functions of its own.

use crate::header::{self, LibraryHeader, ScriptFlags};
use crate::host::Host;
use crate::library::{Arguments, Failure, function};
use crate::vm::{Ended, Invocation, Script, Vm};
use mlua::{Function, Value};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A function, as its library declares it.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// What it says about itself.
    pub description: Option<String>,
    /// What it promises.
    pub flags: ScriptFlags,
    body: Function,
}

/// A library in one interpreter.
#[derive(Clone, Debug)]
pub struct Library {
    /// Its name.
    pub name: String,
    /// Its whole text, the first line included.
    pub text: Vec<u8>,
    /// Its functions, in the order of their names.
    pub functions: BTreeMap<String, Declared>,
}

/// All libraries, in one interpreter of their own.
pub struct Functions {
    vm: Vm,
    libraries: BTreeMap<String, Library>,
}

impl Functions {
    /// No library yet.
    ///
    /// # Errors
    /// If there is no memory for an interpreter.
    pub fn new() -> mlua::Result<Self> {
        Ok(Functions { vm: Vm::new()?, libraries: BTreeMap::new() })
    }

    pub(crate) fn vm(&self) -> &Vm {
        &self.vm
    }

    /// All libraries, in the order of their names.
    pub fn libraries(&self) -> impl ExactSizeIterator<Item = &Library> {
        self.libraries.values()
    }

    /// How many functions there are in all libraries.
    #[must_use]
    pub fn function_count(&self) -> usize {
        self.libraries.values().map(|library| library.functions.len()).sum()
    }

    /// Loads the library `text` and returns its name. Either all of it is there then, or nothing has changed.
    ///
    /// # Errors
    /// The text of the error reply, without its code.
    pub fn load(
        &mut self,
        text: &[u8],
        may_replace: bool,
        host: Rc<dyn Host>,
    ) -> Result<String, String> {
        let LibraryHeader { engine, name, code } = header::library(text)?;
        if !header::is_name(name.as_bytes()) {
            return Err("Library names can only contain letters, numbers, or underscores(_) and \
                        must be at least one character long"
                .to_owned());
        }
        if !engine.eq_ignore_ascii_case("lua") {
            return Err(format!("Engine '{engine}' not found"));
        }
        if self.libraries.contains_key(&name) && !may_replace {
            return Err(format!("Library '{name}' already exists"));
        }
        let chunk = self.vm.compile_as(code, "@user_function");
        let chunk = chunk.map_err(|problem| format!("Error compiling function: {problem}"))?;
        let declared = collect(&self.vm, &chunk, host).map_err(|problem| {
            format!("Error registering functions: {}", String::from_utf8_lossy(&problem))
        })?;
        if declared.is_empty() {
            return Err("No functions registered".to_owned());
        }
        let others = self.libraries.values().filter(|library| library.name != name);
        for library in others {
            if let Some(twice) = declared.iter().find(|f| library.functions.contains_key(&f.name)) {
                return Err(format!("Function {} already exists", twice.name));
            }
        }
        let functions = declared.into_iter().map(|f| (f.name.clone(), f)).collect();
        let library = Library { name: name.clone(), text: text.to_vec(), functions };
        self.libraries.insert(name.clone(), library);
        Ok(name)
    }

    /// Forgets the library `name`; says whether there was one.
    pub fn delete(&mut self, name: &str) -> bool {
        self.libraries.remove(name).is_some()
    }

    /// Forgets all libraries.
    pub fn clear(&mut self) {
        self.libraries.clear();
    }

    /// The function `name`, in whatever case it is written.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Declared> {
        let is_it = |f: &&Declared| f.name.as_bytes().eq_ignore_ascii_case(name);
        self.libraries.values().find_map(|library| library.functions.values().find(is_it))
    }

    /// Runs a function with the keys and arguments of `invocation` as its two parameters.
    pub fn run(
        &self,
        function: &Declared,
        invocation: Invocation<'_>,
        host: Rc<dyn Host>,
        reply: &mut Vec<u8>,
    ) -> Ended {
        let invocation = Invocation { has_parameters: true, ..invocation };
        self.vm.run(&Script(function.body.clone()), invocation, host, reply)
    }

    /// Bytes the interpreter holds.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.vm.memory()
    }
}

/// Runs the code of a library and gives the functions that it registers. While it runs, `redis` has nothing but
/// `register_function`, `log` and constants.
pub(crate) fn collect(
    vm: &Vm,
    chunk: &Function,
    host: Rc<dyn Host>,
) -> Result<Vec<Declared>, Vec<u8>> {
    let declared = Rc::new(RefCell::new(Vec::<Declared>::new()));
    let is_open = Rc::new(Cell::new(true));
    let own_is_open = is_open.clone();
    let own = declared.clone();
    let register = function(&vm.lua, move |_, arguments| {
        if !own_is_open.get() {
            let text = "redis.register_function can only be called on FUNCTION LOAD command";
            return Err(Failure::Reply(text.to_owned()));
        }
        let new = declaration(&arguments)?;
        let mut all = own.borrow_mut();
        if all.iter().any(|f| f.name == new.name) {
            return Err(Failure::Reply("Function already exists in the library".to_owned()));
        }
        all.push(new);
        Ok(Value::Nil)
    });
    register.and_then(|register| vm.begin_loading(register)).map_err(internal)?;
    let result = vm.call_described(chunk, host);
    is_open.set(false);
    vm.end_loading().map_err(internal)?;
    result?;
    Ok(declared.take())
}

fn internal(error: mlua::Error) -> Vec<u8> {
    format!("ERR {error}").into_bytes()
}

/// `redis.register_function(name, callback)` or `redis.register_function{function_name=…, callback=…, …}`.
fn declaration(arguments: &Arguments) -> Result<Declared, Failure> {
    declared_by(arguments).map_err(|failure| match failure {
        Failure::Text(text) => Failure::Reply(text),
        other => other,
    })
}

fn declared_by(arguments: &Arguments) -> Result<Declared, Failure> {
    let new = match arguments.values() {
        [Value::Table(named)] => named_declaration(named)?,
        [_] => {
            return Err(
                "calling redis.register_function with a single argument is only applicable \
                        to Lua table (representing named arguments)."
                    .into(),
            );
        }
        [name, callback] => {
            let Value::String(name) = name else {
                return Err("first argument to redis.register_function must be a string".into());
            };
            let Value::Function(body) = callback else {
                return Err("second argument to redis.register_function must be a function".into());
            };
            let name = name.to_string_lossy();
            Declared { name, description: None, flags: ScriptFlags::default(), body: body.clone() }
        }
        _ => return Err("wrong number of arguments to redis.register_function".into()),
    };
    if !header::is_name(new.name.as_bytes()) {
        return Err(
            "Library names can only contain letters, numbers, or underscores(_) and must be \
                    at least one character long"
                .into(),
        );
    }
    Ok(new)
}

fn named_declaration(named: &mlua::Table) -> Result<Declared, Failure> {
    let (mut name, mut description, mut body, mut flags) =
        (None, None, None, ScriptFlags::default());
    let must_be_text =
        |what: &str| format!("{what} argument given to redis.register_function must be a string");
    for pair in named.pairs::<Value, Value>() {
        let (Value::String(key), value) = pair? else {
            return Err(
                "named argument key given to redis.register_function is not a string".into()
            );
        };
        match (key.to_string_lossy().to_ascii_lowercase().as_str(), value) {
            ("function_name", Value::String(text)) => name = Some(text.to_string_lossy()),
            ("function_name", _) => return Err(must_be_text("function_name").into()),
            ("description", Value::String(text)) => description = Some(text.to_string_lossy()),
            ("description", _) => return Err(must_be_text("description").into()),
            ("callback", Value::Function(function)) => body = Some(function),
            ("callback", _) => {
                return Err(
                    "callback argument given to redis.register_function must be a function".into(),
                );
            }
            ("flags", Value::Table(list)) => flags = flags_of(&list)?,
            ("flags", _) => {
                return Err("flags argument to redis.register_function must be a table \
                            representing function flags"
                    .into());
            }
            _ => return Err("unknown argument given to redis.register_function".into()),
        }
    }
    let name = name.ok_or("redis.register_function must get a function name argument")?;
    let body = body.ok_or("redis.register_function must get a callback argument")?;
    Ok(Declared { name, description, flags, body })
}

fn flags_of(list: &mlua::Table) -> Result<ScriptFlags, Failure> {
    let mut flags = ScriptFlags::default();
    for index in 1.. {
        match list.raw_get(index)? {
            Value::Nil => break,
            Value::String(name) => {
                let flag = ScriptFlags::named(&name.as_bytes());
                flags = flags.with(flag.ok_or("unknown flag given")?);
            }
            _ => return Err("unknown flag given".into()),
        }
    }
    Ok(flags)
}
