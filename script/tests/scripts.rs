//! Scripts against a host that knows a handful of commands.

use protocol::reply::{Resp, Writer};
use protocol::request::Argv;
use script::functions::Functions;
use script::host::KILLED;
use script::vm::Invocation;
use script::{Called, Catalog, Ended, Host, Interpreter, Job, Look, Progress, Source, What};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// ECHO, FAIL, COUNT, NOTHING, LIST and MAP.
#[derive(Default)]
struct Knowing {
    logged: RefCell<Vec<(u8, Vec<u8>)>>,
    propagation: Cell<u8>,
    looks_left: Cell<Option<u32>>,
    pauses_left: Cell<u32>,
    pauses: Cell<i64>,
}

impl Host for Knowing {
    fn call(&self, argv: Argv<'_>, resp: Resp, reply: &mut Vec<u8>) -> Called {
        let mut writer = Writer::new(reply, resp);
        match argv.get(0).expect("there is a name") {
            b"ECHO" => writer.bulk(argv.get(1).unwrap_or_default()),
            b"OK" => writer.ok(),
            b"COUNT" => writer.integer(argv.len() as i64),
            b"NOTHING" => writer.null(),
            b"LIST" => {
                writer.array(argv.len() - 1);
                argv.iter().skip(1).for_each(|arg| writer.bulk(arg));
            }
            b"MAP" => {
                writer.map(1);
                writer.bulk(b"field");
                writer.double(1.5);
            }
            b"WRONG" => writer.error(b"WRONGTYPE Operation against a key"),
            b"WAIT" => return Called::Waits,
            _ => writer.error(b"ERR Unknown Redis command called from script"),
        }
        Called::Done
    }

    fn answer(&self, reply: &mut Vec<u8>) {
        Writer::new(reply, Resp::V2).integer(self.pauses.get());
    }

    fn may_run(&self, argv: Argv<'_>) -> Option<bool> {
        match argv.get(0)? {
            b"ECHO" => Some(true),
            b"WRONG" => Some(false),
            _ => None,
        }
    }

    fn log(&self, level: u8, text: &[u8]) {
        self.logged.borrow_mut().push((level, text.to_vec()));
    }

    fn set_propagation(&self, targets: u8) {
        self.propagation.set(targets);
    }

    fn clock(&self) -> f64 {
        12.5
    }

    fn look(&self) -> Look {
        if self.pauses_left.get() > 0 {
            self.pauses_left.set(self.pauses_left.get() - 1);
            return Look::Pause;
        }
        match self.looks_left.get() {
            None => Look::GoOn,
            Some(0) => Look::End(KILLED),
            Some(left) => {
                self.looks_left.set(Some(left - 1));
                Look::GoOn
            }
        }
    }
}

struct Bench {
    interpreter: RefCell<Interpreter>,
    host: Rc<Knowing>,
}

impl Bench {
    fn new() -> Self {
        let interpreter = RefCell::new(Interpreter::new().expect("there is memory"));
        Bench { interpreter, host: Rc::new(Knowing::default()) }
    }

    fn run_as(&self, text: &str, resp: Resp) -> (String, Ended) {
        let source =
            Arc::new(Source::new(text.as_bytes(), |_| true).expect("there is no first line"));
        let mut interpreter = self.interpreter.borrow_mut();
        if let Err(problem) = interpreter.check(source.clone()) {
            return (problem, Ended::Failed { is_counted: false });
        }
        let argv = ["EVAL", "", "2", "k1", "k2", "a1", "a2"];
        let job = Job {
            what: What::Script(source.clone()),
            argv: argv.into_iter().map(str::as_bytes).collect(),
            key_count: 2,
            resp,
            host: self.host.clone(),
            reply: Vec::new(),
        };
        let mut progress = interpreter.start(job);
        loop {
            match progress {
                Progress::Ended(job, ended) => {
                    let reply = String::from_utf8_lossy(&job.reply).replace("\r\n", "|");
                    return (reply.replace(&source.sha, "sha"), ended);
                }
                Progress::Paused => {
                    self.host.pauses.set(self.host.pauses.get() + 1);
                    progress = interpreter.resume();
                }
            }
        }
    }

    fn run(&self, text: &str) -> String {
        self.run_as(text, Resp::V2).0
    }

    /// The reply of a script to these keys and arguments.
    fn run_with(&self, text: &str, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Vec<u8> {
        let source = Source::new(text.as_bytes(), |_| true).expect("there is no first line");
        let head = [b"EVAL".to_vec(), Vec::new(), keys.len().to_string().into_bytes()];
        let argv = head.iter().chain(keys).chain(args).map(Vec::as_slice).collect();
        let (key_count, host) = (keys.len(), self.host.clone());
        let what = What::Script(Arc::new(source));
        let job = Job { what, argv, key_count, resp: Resp::V2, host, reply: Vec::new() };
        match self.interpreter.borrow_mut().start(job) {
            Progress::Ended(job, _) => job.reply,
            Progress::Paused => panic!("nothing pauses it"),
        }
    }

    /// Runs an expression and expects `reply`.
    fn check(&self, expression: &str, reply: &str) {
        assert_eq!(self.run(&format!("return {expression}")), reply, "{expression}");
    }
}

#[test]
fn values_become_replies() {
    let bench = Bench::new();
    for (expression, reply) in [
        ("1", ":1|"),
        ("3.99", ":3|"),
        ("-3.99", ":-3|"),
        ("'text'", "$4|text|"),
        ("true", ":1|"),
        ("false", "$-1|"),
        ("nil", "$-1|"),
        ("{1, 'two', {3}}", "*3|:1|$3|two|*1|:3|"),
        ("{1, nil, 3}", "*1|:1|"),
        ("{}", "*0|"),
        ("{ok = 'fine'}", "+fine|"),
        ("{err = 'BAD thing'}", "-BAD thing|"),
        ("{double = 1.5}", "$3|1.5|"),
        ("{map = {a = 1}}", "*2|$1|a|:1|"),
        ("{set = {a = true}}", "*1|$1|a|"),
        ("{big_number = '12\\n3'}", "$4|12 3|"),
        ("{verbatim_string = {format = 'txt', string = 'x'}}", "$1|x|"),
        ("{KEYS[1], KEYS[2], ARGV[1], #ARGV}", "*4|$2|k1|$2|k2|$2|a1|:2|"),
        ("redis.status_reply('DONE')", "+DONE|"),
        ("redis.error_reply('BAD thing')", "-BAD thing|"),
        ("redis.error_reply('thing')", "-ERR thing|"),
        ("redis.sha1hex('')", "$40|da39a3ee5e6b4b0d3255bfef95601890afd80709|"),
        ("redis.REDIS_VERSION_NUM", ":459270|"),
        ("2^53", ":9007199254740992|"),
        ("1/0", ":-9223372036854775808|"),
    ] {
        bench.check(expression, reply);
    }
    let (reply, _) =
        bench.run_as("redis.setresp(3) return {true, {double=2}, {map={a=1}}}", Resp::V3);
    assert_eq!(reply, "*3|#t|,2|%1|$1|a|:1|");
    assert_eq!(bench.run_as("return true", Resp::V3).0, ":1|");
}

#[test]
fn commands_answer_with_lua_values() {
    let bench = Bench::new();
    for (expression, reply) in [
        ("redis.call('ECHO', 'hello')", "$5|hello|"),
        ("redis.call('ECHO', 12)", "$2|12|"),
        ("redis.call('ECHO', 1.5)", "$3|1.5|"),
        ("redis.call('ECHO', 1e18)", "$19|1000000000000000000|"),
        ("redis.call('OK')", "+OK|"),
        ("redis.call('OK').ok", "$2|OK|"),
        ("redis.call('COUNT', 1, 2)", ":3|"),
        ("redis.call('NOTHING') == false", ":1|"),
        ("redis.call('LIST', 'a', 'b')[2]", "$1|b|"),
        ("redis.pcall('WRONG')", "-WRONGTYPE Operation against a key|"),
        ("redis.pcall('WRONG').err", "$33|WRONGTYPE Operation against a key|"),
        ("type(redis.pcall('ECHO', {}))", "$5|table|"),
        ("redis.acl_check_cmd('ECHO')", ":1|"),
        ("redis.acl_check_cmd('WRONG')", "$-1|"),
        ("({pcall(redis.call, 'WRONG')})[2]", "$33|WRONGTYPE Operation against a key|"),
    ] {
        bench.check(expression, reply);
    }
    let (reply, ended) = bench.run_as("local x = 1\nreturn redis.call('WRONG')", Resp::V2);
    let place = "script: sha, on @user_script:2.|";
    assert_eq!(reply, format!("-WRONGTYPE Operation against a key {place}"));
    assert_eq!(ended, Ended::Failed { is_counted: true });
    let reply = bench.run("redis.setresp(3) return {redis.call('MAP').map.field.double, redis.call('NOTHING') == nil}");
    assert_eq!(reply, "*2|:1|:1|");
}

#[test]
fn errors_name_the_line() {
    let bench = Bench::new();
    let end = " script: sha, on @user_script:1.|";
    for (text, problem) in [
        ("error('my error')", "-ERR user_script:1: my error"),
        ("error({err = 'MY error'})", "-MY error"),
        (
            "return nothing",
            "-ERR user_script:1: Script attempted to access nonexistent global variable 'nothing'",
        ),
        ("x = 1", "-ERR user_script:1: Attempt to modify a readonly table"),
        (
            "return redis.call()",
            "-ERR Please specify at least one argument for this redis lib call",
        ),
        (
            "return redis.call('ECHO', {})",
            "-ERR Lua redis lib command arguments must be strings or integers",
        ),
        (
            "return cjson.decode('[')",
            "-ERR user_script:1: Expected value but found T_END at character 2",
        ),
        ("redis.setresp(4)", "-ERR RESP version must be 2 or 3."),
        ("return 1 + nil", "-ERR user_script:1: attempt to perform arithmetic on a nil value"),
    ] {
        assert_eq!(bench.run(text), format!("{problem}{end}"), "{text}");
    }
    let problem = bench.run("return return");
    assert!(problem.starts_with("user_script:1: unexpected symbol near 'return'"), "{problem}");
}

#[test]
fn the_next_script_finds_the_same_world() {
    let bench = Bench::new();
    for attempt in [
        "redis = 1",
        "redis.call = 1",
        "_G.redis = 1",
        "_G = {}",
        "rawset(_G, 'x', 1)",
        "rawset(redis, 'call', 1)",
        "setmetatable(_G, {})",
        "setmetatable(string, {})",
        "getmetatable(_G).__index = {}",
        "getmetatable('').__index = {}",
        "string.format = 1",
        "cjson.null = 1",
        "table.insert(redis, 1)",
        "setfenv(0, {})",
        "getfenv(redis.call).x = 1",
        "getfenv(0).x = 1",
        "math.pi = 3",
    ] {
        let reply = bench.run(attempt);
        assert!(reply.contains("Attempt to modify a readonly table"), "{attempt}: {reply}");
    }
    for name in ["print", "dofile", "loadfile", "require", "io", "debug", "package"] {
        let reply = bench.run(&format!("return {name}"));
        assert!(reply.contains("nonexistent global variable"), "{name}: {reply}");
    }
    bench.check("redis.call('ECHO', 'x')", "$1|x|");
    bench.check("('x'):rep(2)", "$2|xx|");
    bench.check("type(_G.redis) .. os.clock()", "$9|table12.5|");
    bench.check("loadstring('return 1 + 1')()", ":2|");
    bench.check("tostring(loadstring('\\27Lua'))", "$3|nil|");
    assert_eq!(
        bench.run("local n = 0 for k in pairs(redis) do n = n + 1 end return n > 10"),
        ":1|"
    );
    assert_eq!(
        bench.run("local t = {3, 1} table.sort(t) table.insert(t, 5) return t"),
        "*3|:1|:3|:5|"
    );
    assert_eq!(bench.run("local f = setfenv(function() return x end, {x = 7}) return f()"), ":7|");
}

#[test]
fn random_numbers_repeat_if_a_script_asks_for_that() {
    let bench = Bench::new();
    let script = "return {math.random(1000000), math.random(1000000), math.random(1000000)}";
    assert_ne!(bench.run(script), bench.run(script));
    let seeded = format!("math.randomseed(0) {script}");
    assert_eq!(bench.run(&seeded), bench.run(&seeded));
    // The first number of lrand48 seeded with 0 is 366850414.
    let first = "math.randomseed(0) return math.floor(math.random() * 2147483647 + 0.5)";
    assert_eq!(bench.run(first), ":366850414|");
}

#[test]
fn a_killed_script_ends_even_if_it_catches_errors() {
    let bench = Bench::new();
    for endless in
        ["while true do end", "while true do pcall(function() while true do end end) end"]
    {
        bench.host.looks_left.set(Some(2));
        let reply = bench.run(endless);
        assert!(reply.contains("Script killed by user with SCRIPT KILL"), "{reply}");
    }
    bench.host.looks_left.set(None);
    bench.check("1", ":1|");
}

#[test]
fn the_server_is_told() {
    let bench = Bench::new();
    bench.run("redis.log(redis.LOG_WARNING, 'a', 1, 'b') redis.set_repl(redis.REPL_AOF)");
    assert_eq!(*bench.host.logged.borrow(), [(3, b"a 1 b".to_vec())]);
    assert_eq!(bench.host.propagation.get(), 1);
}

#[test]
fn bits() {
    let bench = Bench::new();
    for (expression, reply) in [
        ("bit.band(0xff, 0x0f)", ":15|"),
        ("bit.bor(1, 2, 4)", ":7|"),
        ("bit.bxor(5, 1)", ":4|"),
        ("bit.bnot(0)", ":-1|"),
        ("bit.lshift(1, 31)", ":-2147483648|"),
        ("bit.rshift(-1, 28)", ":15|"),
        ("bit.arshift(-16, 2)", ":-4|"),
        ("bit.rol(0x12345678, 12)", ":1164411171|"),
        ("bit.bswap(0x12345678)", ":2018915346|"),
        ("bit.tobit(0xffffffff)", ":-1|"),
        ("bit.tohex(255)", "$8|000000ff|"),
        ("bit.tohex(-1, -4)", "$4|FFFF|"),
        (
            "({pcall(bit.band)})[2]",
            "$57|bad argument #1 to 'band' (number expected, got no value)|",
        ),
    ] {
        bench.check(expression, reply);
    }
}

#[test]
fn json() {
    let bench = Bench::new();
    for (expression, reply) in [
        ("cjson.encode({1, 2.5, 'x', true, cjson.null})", "$21|[1,2.5,\"x\",true,null]|"),
        ("cjson.encode({})", "$2|{}|"),
        ("cjson.encode({a = {b = 1}})", "$13|{\"a\":{\"b\":1}}|"),
        ("cjson.encode('a\"/\\n\\1')", "$15|\"a\\\"\\/\\n\\u0001\"|"),
        ("cjson.encode({[1] = 1, [3] = 3})", "$10|[1,null,3]|"),
        ("cjson.encode(1e20)", "$5|1e+20|"),
        ("cjson.decode('[1,[2],{\"a\":null}]')[2][1]", ":2|"),
        ("cjson.decode('{\"a\":null}').a == cjson.null", ":1|"),
        ("cjson.decode('\"\\\\u00e9\\\\ud83d\\\\ude00\"')", "$6|é😀|"),
        ("tostring(cjson.decode('-1.5e3'))", "$5|-1500|"),
        (
            "({pcall(cjson.encode, {[1] = 1, [100] = 1})})[2]",
            "$48|Cannot serialise table: excessively sparse array|",
        ),
        ("({pcall(cjson.encode, 1/0)})[2]", "$47|Cannot serialise number: must not be NaN or Inf|"),
        (
            "({pcall(cjson.decode, '{\"a\":}')})[2]",
            "$49|Expected value but found T_OBJ_END at character 6|",
        ),
    ] {
        bench.check(expression, reply);
    }
    let deep = "local t = {} local top = t for i = 1, 1001 do t[1] = {} t = t[1] end return cjson.encode(top)";
    assert!(bench.run(deep).contains("Cannot serialise, excessive depth (1001)"));
    let deep = "return cjson.decode(string.rep('[', 1001) .. string.rep(']', 1001))";
    assert!(bench.run(deep).contains("Found too many nested data structures (1001)"));
}

#[test]
fn message_pack_and_struct() {
    let bench = Bench::new();
    for (expression, reply) in [
        ("cmsgpack.unpack(cmsgpack.pack({1, -1, 300, -300, 70000, 'x', true}))[5]", ":70000|"),
        ("#cmsgpack.pack(1.5)", ":5|"),
        ("#cmsgpack.pack(1.1)", ":9|"),
        ("cmsgpack.unpack(cmsgpack.pack({a = {b = 'c'}})).a.b", "$1|c|"),
        ("{cmsgpack.unpack(cmsgpack.pack(1, 2, 3))}", "*3|:1|:2|:3|"),
        ("{cmsgpack.unpack_one(cmsgpack.pack(1, 2))}", "*2|:1|:1|"),
        ("{cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2)}", "*3|:2|:1|:2|"),
        ("({pcall(cmsgpack.unpack, '\\220\\1')})[2]", "$23|Missing bytes in input.|"),
        ("({pcall(cmsgpack.unpack, '\\193')})[2]", "$25|Bad data format in input.|"),
        ("{struct.unpack('>I2i4', struct.pack('>I2i4', 7, -2))}", "*3|:7|:-2|:7|"),
        ("struct.pack('>HBx', 258, 3)", "$4|\u{1}\u{2}\u{3}\0|"),
        ("{struct.unpack('Bc0', struct.pack('Bc0', 3, 'abc'))}", "*2|$3|abc|:5|"),
        ("{struct.unpack('s', 'abc\\0d')}", "*2|$3|abc|:5|"),
        ("struct.size('!8bd')", ":16|"),
        ("{struct.unpack('<d', struct.pack('<d', 2))}", "*2|:2|:9|"),
        (
            "({pcall(struct.unpack, '>I4', 'x')})[2]",
            "$51|bad argument #2 to 'unpack' (data string too short)|",
        ),
    ] {
        bench.check(expression, reply);
    }
}

#[test]
fn keys_and_arguments_come_as_they_are_in_any_number() {
    let bench = Bench::new();
    let text = "local all = {#KEYS, #ARGV}
        for _, key in ipairs(KEYS) do all[#all + 1] = key end
        for _, argument in ipairs(ARGV) do all[#all + 1] = argument end
        return all";
    let few: Vec<Vec<u8>> = (0..20).map(|number| format!("text {number}").into_bytes()).collect();
    let many: Vec<Vec<u8>> = (0..20_000).map(|number| number.to_string().into_bytes()).collect();
    let odd = vec![b"\xff\0".to_vec(), Vec::new(), "\u{e9}".into()];
    for keys in [&few[..0], &few[..1], &few[..2], &odd[..1], &odd[..]] {
        for args in [&few[..0], &few[..1], &few[..16], &few[..17], &odd, &many] {
            let mut expected = Vec::new();
            let mut writer = Writer::new(&mut expected, Resp::V2);
            writer.array(2 + keys.len() + args.len());
            writer.integer(keys.len() as i64);
            writer.integer(args.len() as i64);
            keys.iter().chain(args).for_each(|text| writer.bulk(text));
            let reply = bench.run_with(text, keys, args);
            assert_eq!(reply, expected, "{} keys, {} arguments", keys.len(), args.len());
        }
    }
}

#[test]
fn libraries_of_functions() {
    let mut functions = Functions::new().expect("there is memory");
    let text = b"#!lua name=tools\n\
        local function first(keys, args) return {keys[1], args[1], redis.call('ECHO', 'x')} end\n\
        redis.register_function('first', first)\n\
        redis.register_function{function_name = 'read', callback = first, flags = {'no-writes'}, description = 'd'}";
    assert_eq!(functions.load(text, false, host()), Ok("tools".to_owned()));
    assert_eq!(
        functions.load(text, false, host()),
        Err("Library 'tools' already exists".to_owned())
    );
    assert_eq!(functions.load(text, true, host()), Ok("tools".to_owned()));
    assert_eq!(functions.function_count(), 2);
    let read = functions.find(b"READ").expect("just loaded");
    assert_eq!(read.flags.names().collect::<Vec<_>>(), ["no-writes"]);
    assert_eq!(read.description.as_deref(), Some("d"));
    let mut reply = Vec::new();
    let call = Invocation {
        name: "first",
        keys: &[b"k"],
        args: &[b"a"],
        has_parameters: true,
        resp: Resp::V2,
    };
    let first = functions.find(b"first").expect("just loaded");
    functions.run(first, call, Rc::new(Knowing::default()), &mut reply);
    assert_eq!(reply, b"*3\r\n$1\r\nk\r\n$1\r\na\r\n$1\r\nx\r\n");
    for (text, problem) in [
        ("return 1", "Missing library metadata"),
        ("#!js name=x\n", "Engine 'js' not found"),
        (
            "#!lua name=x-y\n",
            "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long",
        ),
        ("#!lua name=x\n", "No functions registered"),
        (
            "#!lua name=x\nredis.call('ECHO')",
            "Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'call'",
        ),
        (
            "#!lua name=x\nredis.register_function('first', function() end)",
            "Function first already exists",
        ),
        (
            "#!lua name=x\nredis.register_function('a')",
            "Error registering functions: ERR calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).",
        ),
        (
            "#!lua name=x\nreturn return",
            "Error compiling function: user_function:2: unexpected symbol near 'return'",
        ),
    ] {
        assert_eq!(functions.load(text.as_bytes(), false, host()), Err(problem.to_owned()));
    }
    assert!(functions.delete("tools"));
    assert!(functions.find(b"first").is_none());
}

fn host() -> Rc<Knowing> {
    Rc::new(Knowing::default())
}

#[test]
fn a_script_waits_for_a_command_wherever_it_is() {
    let bench = Bench::new();
    bench.check("redis.call('WAIT')", ":1|");
    bench.check("({pcall(redis.call, 'WAIT')})[2]", ":2|");
    let inside =
        "local run = coroutine.wrap(function() return redis.pcall('WAIT') end) return run()";
    assert_eq!(bench.run(inside), ":3|");
    let sorted = "local t = {3, 1, 2} table.sort(t, function(a, b) redis.call('WAIT') return a < b end) \
                  return t";
    assert_eq!(bench.run(sorted), "*3|:1|:2|:3|");
}

#[test]
fn a_script_waits_for_a_command_with_as_many_arguments_as_lua_allows() {
    let many = "local a = {} for i = 1, 7999 do a[i] = i end return redis.call('WAIT', unpack(a))";
    // In a new interpreter, and in one that has run something.
    let bench = Bench::new();
    assert_eq!(bench.run(many), ":1|");
    assert_eq!(bench.run(many), ":2|");
}

#[test]
fn a_long_script_lets_others_run() {
    let bench = Bench::new();
    bench.host.pauses_left.set(3);
    let counting = "local n = 0 for i = 1, 1000000 do n = n + 1 end return n";
    assert_eq!(bench.run(counting), ":1000000|");
    assert_eq!(bench.host.pauses.get(), 3);
}

#[test]
fn two_scripts_are_suspended_at_once() {
    let host = host();
    let job = |n: &str| {
        let source =
            Source::new(b"local n = redis.call('WAIT') return ARGV[1] .. n", |_| true).unwrap();
        Job {
            what: What::Script(Arc::new(source)),
            argv: ["EVAL", "", "0", n].into_iter().map(str::as_bytes).collect(),
            key_count: 0,
            resp: Resp::V2,
            host: host.clone(),
            reply: Vec::new(),
        }
    };
    let (mut one, mut two) = (Interpreter::new().unwrap(), Interpreter::new().unwrap());
    assert!(matches!(one.start(job("a")), Progress::Paused));
    assert!(matches!(two.start(job("b")), Progress::Paused));
    for (interpreter, reply) in [(&mut one, b"$2\r\na0\r\n"), (&mut two, b"$2\r\nb0\r\n")] {
        let Progress::Ended(job, Ended::Returned) = interpreter.resume() else {
            panic!("it waits for one command");
        };
        assert_eq!(job.reply, reply);
    }
}

#[test]
fn functions_are_loaded_when_the_catalog_changes() {
    let library = |number: u32| {
        format!("#!lua name=l\nredis.register_function('f', function() return {number} end)")
    };
    let mut interpreter = Interpreter::new().unwrap();
    let mut call = |catalog: &Catalog| {
        let job = Job {
            what: What::Function(Arc::new(catalog.clone()), "F".to_owned()),
            argv: ["FCALL", "F", "0"].into_iter().map(str::as_bytes).collect(),
            key_count: 0,
            resp: Resp::V2,
            host: host(),
            reply: Vec::new(),
        };
        match interpreter.start(job) {
            Progress::Ended(job, _) => String::from_utf8(job.reply).unwrap(),
            Progress::Paused => panic!("it waits for nothing"),
        }
    };
    let (first, name) = Catalog::default().with(library(1).as_bytes(), false, host()).unwrap();
    assert_eq!((name.as_str(), call(&first).as_str()), ("l", ":1\r\n"));
    let refused = first.with(library(2).as_bytes(), false, host());
    assert_eq!(refused.unwrap_err(), "Library 'l' already exists");
    let (second, _) = first.with(library(2).as_bytes(), true, host()).unwrap();
    assert_eq!(call(&second), ":2\r\n");
    assert_eq!(call(&second.without(b"l").unwrap()), "-ERR Function not found\r\n");
    assert_eq!(call(&first), ":1\r\n");
    let other = library(3).replace("name=l", "name=m");
    let clash = first.with(other.as_bytes(), false, host());
    assert_eq!(clash.unwrap_err(), "Function f already exists");
}
