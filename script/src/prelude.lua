-- Runs once in every new interpreter, before any script: builds the world that scripts see.
--
-- Argument: `host`, a table of what is written in Rust. Returns: the functions that run scripts and functions, the two
-- that change what a library sees while it is loaded, and the globals that scripts see.
--
-- Plain Lua 5.1 cannot lock a table, so whatever scripts must not change is seen through an empty proxy: reading
-- falls through to the table behind, writing is an error. Functions that would get around that are replaced.
-- Nothing here may use a global after the next lines: a script can change the environment of any function.
local host = ...
local behind = _G
local error, getmetatable, ipairs, loadstring, next, pairs, pcall, rawget, rawset, setfenv, setmetatable, tostring, type,
  unpack, xpcall =
  error, getmetatable, ipairs, loadstring, next, pairs, pcall, rawget, rawset, setfenv, setmetatable, tostring, type,
  unpack, xpcall
local byte, concat = string.byte, table.concat

local READONLY = 'Attempt to modify a readonly table'
-- The tables behind the proxies.
local originals = setmetatable({}, { __mode = 'k' })
local globals = {}
setfenv(1, globals)

local function refuse()
  error(READONLY, 2)
end

local function refuse_missing(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

local MISSING = { __index = refuse_missing }

-- A view of `original` that cannot be changed; `view` is an empty table that becomes it.
local function protect(original, view)
  view = view or {}
  originals[view] = original
  setmetatable(view, { __index = original, __newindex = refuse })
  return view
end

-- What may be called with a protected table as its first argument, but must not change it.
local function guarding(run)
  return function(first, ...)
    if originals[first] then error(READONLY, 2) end
    return run(first, ...)
  end
end

local plain = host.plain
-- An error that is a table comes out of `pcall` as its text: scripts written for servers before 7.0 expect that.
local function error_as_text(is_done, first, ...)
  if is_done then return true, first, ... end
  first = plain(first)
  if type(first) == 'table' then
    local text = first.err
    if type(text) == 'string' or type(text) == 'number' then return false, text end
  end
  return false, first
end

local function error_as_it_is(is_done, first, ...)
  if is_done then return true, first, ... end
  return false, plain(first)
end

behind.pcall = function(...)
  return error_as_text(pcall(...))
end
behind.xpcall = function(run, handle)
  return xpcall(run, function(problem)
    return handle(plain(problem))
  end)
end
local resume = behind.coroutine.resume
behind.coroutine.resume = function(...)
  return error_as_it_is(resume(...))
end
behind.rawset = guarding(rawset)
behind.setmetatable = guarding(setmetatable)
behind.getmetatable = function(object)
  local original = originals[object]
  local metatable = getmetatable(original or object)
  if type(metatable) == 'table' and (original or type(object) == 'string') then return protect(metatable) end
  return metatable
end
behind.setfenv = function(where, environment)
  if where == 0 then error(READONLY, 2) end
  -- One level more: this function stands between the caller and the real one.
  if type(where) == 'number' then where = where + 1 end
  return setfenv(where, environment)
end
behind.next = function(object, key)
  return next(originals[object] or object, key)
end
behind.pairs = function(object)
  return pairs(originals[object] or object)
end
behind.ipairs = function(object)
  return ipairs(originals[object] or object)
end
behind.rawget = function(object, key)
  return rawget(originals[object] or object, key)
end
-- Compiled code could break the interpreter: only source is loaded.
behind.loadstring = function(source, name)
  if type(source) == 'string' and byte(source) == 27 then return nil, 'attempt to load a compiled chunk' end
  return loadstring(source, name)
end
behind.load = function(read, name)
  local pieces = {}
  repeat
    local piece = read()
    pieces[#pieces + 1] = piece
  until piece == nil or piece == ''
  return behind.loadstring(concat(pieces), name or '=(load)')
end
for _, name in ipairs { 'insert', 'remove', 'sort', 'setn' } do
  behind.table[name] = guarding(behind.table[name])
end

for _, name in ipairs { 'dofile', 'loadfile', 'print', 'require', 'module', 'package', 'io', 'debug', 'jit' } do
  behind[name] = nil
end

for name, library in pairs(host.libraries) do
  behind[name] = library
end
for key, value in pairs(host.math) do
  behind.math[key] = value
end

local redis = behind.redis
redis.call, redis.pcall = host.call, host.pcall
for name, library in pairs(behind) do
  if type(library) == 'table' and library ~= behind then behind[name] = protect(library) end
end
protect(behind, globals)
behind._G = globals
setmetatable(behind, MISSING)
-- A string's own methods are looked up here, and must stay what they are.
getmetatable('').__index = behind.string

local where = host.where
-- Runs where an error was raised: says which line of the script it was.
local function describe(problem)
  problem = plain(problem)
  if type(problem) ~= 'table' then problem = { err = 'ERR ' .. tostring(problem) } end
  local source, line = where()
  if source then
    rawset(problem, 'source', source)
    rawset(problem, 'line', line)
  end
  return problem
end

-- Runs a script, which finds its keys and arguments among the globals.
local function run(body, keys, arguments)
  behind.KEYS, behind.ARGV = keys, arguments
  return xpcall(body, describe)
end

-- Runs a function, or without keys the code of a library.
local function run_function(body, keys, arguments)
  if keys == nil then return xpcall(body, describe) end
  return xpcall(function()
    return body(keys, arguments)
  end, describe)
end

-- What the code of a library sees while it is loaded: `redis`, without commands, and nothing else. Its functions see the
-- usual globals once they are called, so not the environment is changed but where it looks.
local function loading(register, library)
  local functions = { register_function = register, log = library.log }
  for key, value in pairs(library) do
    if type(value) ~= 'function' then functions[key] = value end
  end
  getmetatable(globals).__index = setmetatable({ redis = protect(setmetatable(functions, MISSING)) }, MISSING)
end

local function loaded()
  getmetatable(globals).__index = behind
end

return run, run_function, loading, loaded, globals
