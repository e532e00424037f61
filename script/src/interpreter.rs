//! An interpreter on a stack of its own: a script can be suspended anywhere, and resumed later.
//!
//! Lua 5.1 cannot yield across `pcall`, nor from a hook. So not the script is suspended but the whole stack that its
//! interpreter runs on (a coroutine of the crate `corosensei`), whatever stands on it. A script waits that way for a
//! command that another shard must run, and lets others run when it takes long.
//!
//! Invariant: what was started is resumed until it has ended. An interpreter that is dropped in the middle of a script is
//! leaked instead, since nobody may unwind through Lua's own frames; that happens only when the process ends.

use crate::catalog::{Catalog, LibraryFacts};
use crate::functions::Functions;
use crate::host::{Host, Look};
use crate::redis::Suspend;
use crate::source::Source;
use crate::vm::{Ended, Invocation, Script};
use ahash::AHashMap;
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use mlua::Function;
use protocol::reply::{Resp, Writer};
use protocol::request::ArgvBuf;
use smallvec::SmallVec;
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes of address space of a stack: what is not touched takes no memory. Room for tables nested a thousand deep.
const STACK_SIZE: usize = 16 << 20;
/// Compiled scripts that one interpreter keeps.
const COMPILED_COUNT_MAX: usize = 1000;

/// Calls a function each time it is resumed.
const WAITER: &str = "local suspend, yield = ..., coroutine.yield return function() while true do suspend() yield() end end";

/// What runs.
#[derive(Clone, Debug)]
pub enum What {
    /// A script of EVAL.
    Script(Arc<Source>),
    /// A function, by its name.
    Function(Arc<Catalog>, String),
}

/// One run of a script.
pub struct Job {
    /// What runs.
    pub what: What,
    /// The request: its first three arguments, keys, other arguments.
    pub argv: ArgvBuf,
    /// How many keys there are.
    pub key_count: usize,
    /// The protocol of the client.
    pub resp: Resp,
    /// Who runs its commands.
    pub host: Rc<dyn Host>,
    /// What its reply is appended to.
    pub reply: Vec<u8>,
}

/// Where the keys begin in the request.
const KEYS_START: usize = 3;

/// How far a script has come.
pub enum Progress {
    /// It has ended.
    Ended(Job, Ended),
    /// It waits, or lets others run.
    Paused,
}

/// What an interpreter is told.
enum Order {
    Run(Job),
    Check(Arc<Source>),
    GoOn,
    Close,
}

/// What an interpreter tells.
enum Word {
    Ready,
    Ended(Job, Ended),
    Checked(Result<(), String>),
    Paused,
}

/// An interpreter with its stack.
pub struct Interpreter {
    coroutine: ManuallyDrop<Coroutine<Order, Word, ()>>,
    is_idle: bool,
    /// What Lua holds, in bytes; written on the stack of its own whenever something has ended there.
    memory: Rc<Cell<usize>>,
}

impl Interpreter {
    /// A new interpreter. Cost: some hundred microseconds, and some hundred kilobytes.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new() -> Result<Interpreter, String> {
        let functions = Functions::new().map_err(|error| error.to_string())?;
        let stack = DefaultStack::new(STACK_SIZE).map_err(|error| error.to_string())?;
        let memory = Rc::new(Cell::new(functions.vm().memory()));
        let worker = Worker {
            functions,
            compiled: AHashMap::new(),
            catalog: Arc::default(),
            memory: memory.clone(),
        };
        let coroutine = Coroutine::with_stack(stack, move |yielder, _| worker.serve(yielder));
        let coroutine = ManuallyDrop::new(coroutine);
        let mut interpreter = Interpreter { coroutine, is_idle: true, memory };
        let _ready = interpreter.order(Order::GoOn);
        Ok(interpreter)
    }

    /// The bytes that Lua holds in it, as of when the last script ended; whoever keeps this sees later ones too.
    #[must_use]
    pub fn memory(&self) -> Rc<Cell<usize>> {
        self.memory.clone()
    }

    /// Whether `source` can be compiled.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn check(&mut self, source: Arc<Source>) -> Result<(), String> {
        match self.order(Order::Check(source)) {
            Word::Checked(result) => result,
            _ => unreachable!("a check neither pauses nor runs"),
        }
    }

    /// Runs a script until it ends or pauses.
    ///
    /// # Panics
    /// If another script has not ended.
    pub fn start(&mut self, job: Job) -> Progress {
        assert!(self.is_idle, "an interpreter runs one script at a time");
        self.go_on_with(Order::Run(job))
    }

    /// Goes on with a script that has paused.
    ///
    /// # Panics
    /// If there is none.
    pub fn resume(&mut self) -> Progress {
        assert!(!self.is_idle, "only a script that has paused is resumed");
        self.go_on_with(Order::GoOn)
    }

    fn go_on_with(&mut self, order: Order) -> Progress {
        match self.order(order) {
            Word::Ended(job, ended) => {
                self.is_idle = true;
                Progress::Ended(job, ended)
            }
            _ => {
                self.is_idle = false;
                Progress::Paused
            }
        }
    }

    fn order(&mut self, order: Order) -> Word {
        match self.coroutine.resume(order) {
            CoroutineResult::Yield(word) => word,
            CoroutineResult::Return(()) => Word::Ready,
        }
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        if self.is_idle {
            let _closed = self.order(Order::Close);
        }
    }
}

/// What lives on the stack of its own.
struct Worker {
    functions: Functions,
    compiled: AHashMap<u64, Script>,
    /// The libraries that are loaded.
    catalog: Arc<Catalog>,
    memory: Rc<Cell<usize>>,
}

impl Worker {
    fn serve(mut self, yielder: &Yielder<Order, Word>) {
        let lua = self.functions.vm().lua.clone();
        let result = lua.scope(|scope| {
            let count = Rc::new(Cell::new(0));
            let own = count.clone();
            let function = scope.create_function(move |_, ()| {
                let _go_on = yielder.suspend(Word::Paused);
                own.set(own.get() + 1);
                Ok(())
            })?;
            let waiter: Function = lua.load(WAITER).call(&function)?;
            let waiter = lua.create_thread(waiter)?;
            self.functions.vm().set_suspend(Some(Suspend { function, waiter, count }));
            let mut word = Word::Ready;
            loop {
                self.memory.set(self.functions.vm().memory());
                word = match yielder.suspend(word) {
                    Order::Run(mut job) => {
                        let ended = self.run(&mut job);
                        Word::Ended(job, ended)
                    }
                    Order::Check(source) => Word::Checked(self.compile(&source).map(drop)),
                    Order::GoOn => Word::Ready,
                    Order::Close => break,
                };
            }
            self.functions.vm().set_suspend(None);
            Ok(())
        });
        result.expect("a new interpreter has memory for one function");
    }

    fn compile(&mut self, source: &Source) -> Result<Script, String> {
        if let Some(script) = self.compiled.get(&source.id) {
            return Ok(script.clone());
        }
        let script = self.functions.vm().compile(source.code())?;
        if self.compiled.len() >= COMPILED_COUNT_MAX {
            self.compiled.clear();
        }
        self.compiled.insert(source.id, script.clone());
        Ok(script)
    }

    fn run(&mut self, job: &mut Job) -> Ended {
        let mut reply = std::mem::take(&mut job.reply);
        let ended = match &job.what {
            What::Script(source) => match self.compile(source) {
                Ok(script) => self.run_script(&script, &source.sha, job, &mut reply),
                Err(problem) => fail(job.resp, &problem, &mut reply),
            },
            What::Function(catalog, name) => {
                self.load(catalog, &job.host);
                self.run_function(name, job, &mut reply)
            }
        };
        job.reply = reply;
        ended
    }

    fn run_script(&self, script: &Script, sha: &str, job: &Job, reply: &mut Vec<u8>) -> Ended {
        let argv: SmallVec<[&[u8]; 16]> = job.argv.as_argv().iter().skip(KEYS_START).collect();
        let (keys, args) = argv.split_at(job.key_count);
        let invocation =
            Invocation { name: sha, keys, args, has_parameters: false, resp: job.resp };
        self.functions.vm().run(script, invocation, job.host.clone(), reply)
    }

    fn run_function(&self, name: &str, job: &Job, reply: &mut Vec<u8>) -> Ended {
        let Some(function) = self.functions.find(name.as_bytes()) else {
            return fail(job.resp, "Function not found", reply);
        };
        let argv: SmallVec<[&[u8]; 16]> = job.argv.as_argv().iter().skip(KEYS_START).collect();
        let (keys, args) = argv.split_at(job.key_count);
        let name = &function.name;
        let invocation = Invocation { name, keys, args, has_parameters: true, resp: job.resp };
        self.functions.run(function, invocation, job.host.clone(), reply)
    }

    /// Loads what has changed since this interpreter last ran a function.
    fn load(&mut self, catalog: &Arc<Catalog>, host: &Rc<dyn Host>) {
        if Arc::ptr_eq(&self.catalog, catalog) {
            return;
        }
        let is_in = |all: &Catalog, library: &Arc<LibraryFacts>| {
            all.libraries().any(|other| Arc::ptr_eq(other, library))
        };
        for gone in self.catalog.libraries().filter(|library| !is_in(catalog, library)) {
            self.functions.delete(&gone.name);
        }
        for new in catalog.libraries().filter(|library| !is_in(&self.catalog, library)) {
            // It was loaded before it entered the catalog; should it fail here, its functions are not found.
            let _name = self.functions.load(&new.text, true, Rc::new(Loading(host.clone())));
        }
        self.catalog = catalog.clone();
    }
}

fn fail(resp: Resp, problem: &str, reply: &mut Vec<u8>) -> Ended {
    Writer::new(reply, resp).error(format!("ERR {problem}").as_bytes());
    Ended::Failed { is_counted: false }
}

/// The host of a library that is loaded for a function that is called: it has the log and the clock, and is not stopped.
struct Loading(Rc<dyn Host>);

impl Host for Loading {
    fn call(
        &self,
        _: protocol::request::Argv<'_>,
        resp: Resp,
        reply: &mut Vec<u8>,
    ) -> crate::host::Called {
        let text = b"ERR redis.call/pcall can only be called inside a script invocation";
        Writer::new(reply, resp).error(text);
        crate::host::Called::Done
    }

    fn answer(&self, _: &mut Vec<u8>) {}

    fn may_run(&self, argv: protocol::request::Argv<'_>) -> Option<bool> {
        self.0.may_run(argv)
    }

    fn log(&self, level: u8, text: &[u8]) {
        self.0.log(level, text);
    }

    fn set_propagation(&self, _: u8) {}

    fn clock(&self) -> f64 {
        self.0.clock()
    }

    fn look(&self) -> Look {
        Look::GoOn
    }
}
