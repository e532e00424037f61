//! All libraries of functions as plain data: what every core sees. Interpreters load the code for themselves.

use crate::functions::Functions;
use crate::habits::Habits;
use crate::header::{self, ScriptFlags};
use crate::host::Host;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// All libraries. It never changes: a change makes another catalog.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// In the order of their names.
    libraries: BTreeMap<String, Arc<LibraryFacts>>,
}

/// A library.
#[derive(Debug, PartialEq, Eq)]
pub struct LibraryFacts {
    /// Its name.
    pub name: String,
    /// Its whole text.
    pub text: Vec<u8>,
    /// Its functions, in the order of their names.
    pub functions: Vec<FunctionFacts>,
}

/// A function of a library.
#[derive(Debug, PartialEq, Eq)]
pub struct FunctionFacts {
    /// Its name.
    pub name: String,
    /// What it says about itself.
    pub description: Option<String>,
    /// What it promises.
    pub flags: ScriptFlags,
    /// Where it has been seen to go.
    pub habits: Habits,
}

impl Catalog {
    /// All libraries, in the order of their names.
    pub fn libraries(&self) -> impl ExactSizeIterator<Item = &Arc<LibraryFacts>> {
        self.libraries.values()
    }

    /// How many functions there are in all libraries.
    #[must_use]
    pub fn function_count(&self) -> usize {
        self.libraries.values().map(|library| library.functions.len()).sum()
    }

    /// The function `name`, in whatever case it is written.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&FunctionFacts> {
        let is_it = |f: &&FunctionFacts| f.name.as_bytes().eq_ignore_ascii_case(name);
        self.libraries.values().find_map(|library| library.functions.iter().find(is_it))
    }

    /// These libraries and `text`, and the name of the library that it is. `host` says when loading takes too long.
    ///
    /// # Errors
    /// The text of the error reply, without its code.
    pub fn with(
        &self,
        text: &[u8],
        may_replace: bool,
        host: Rc<dyn Host>,
    ) -> Result<(Catalog, String), String> {
        if let Ok(header) = header::library(text)
            && header::is_name(header.name.as_bytes())
            && header.engine.eq_ignore_ascii_case("lua")
            && self.libraries.contains_key(&header.name)
            && !may_replace
        {
            return Err(format!("Library '{}' already exists", header.name));
        }
        let mut alone = Functions::new().map_err(|error| error.to_string())?;
        let name = alone.load(text, false, host)?;
        let library = alone.libraries().next().expect("it was just loaded");
        let functions = library.functions.values().map(|f| FunctionFacts {
            name: f.name.clone(),
            description: f.description.clone(),
            flags: f.flags,
            habits: Habits::default(),
        });
        let facts = LibraryFacts {
            name: name.clone(),
            text: text.to_vec(),
            functions: functions.collect(),
        };
        let mut all = self.clone();
        all.libraries.remove(&name);
        all.check_names(&facts)?;
        all.libraries.insert(name.clone(), Arc::new(facts));
        Ok((all, name))
    }

    /// These libraries and those of `other`; `may_replace` says whether a library of `other` takes the place of one with
    /// its name.
    ///
    /// # Errors
    /// The text of the error reply, without its code.
    pub fn joined(&self, other: &Catalog, may_replace: bool) -> Result<Catalog, String> {
        let mut all = self.clone();
        for (name, library) in &other.libraries {
            if all.libraries.remove(name).is_some() && !may_replace {
                return Err(format!("Library {name} already exists"));
            }
            // Named before any is added, so that all that is replaced has gone by then.
            debug_assert_eq!(*name, library.name);
        }
        for (name, library) in &other.libraries {
            all.check_names(library)?;
            all.libraries.insert(name.clone(), library.clone());
        }
        Ok(all)
    }

    /// These libraries without `name`; `None` if there is no such library.
    #[must_use]
    pub fn without(&self, name: &[u8]) -> Option<Catalog> {
        let name = std::str::from_utf8(name).ok()?;
        let mut rest = self.clone();
        rest.libraries.remove(name).map(|_| rest)
    }

    fn check_names(&self, new: &LibraryFacts) -> Result<(), String> {
        let is_known = |f: &&FunctionFacts| self.find(f.name.as_bytes()).is_some();
        match new.functions.iter().find(is_known) {
            Some(twice) => Err(format!("Function {} already exists", twice.name)),
            None => Ok(()),
        }
    }
}
