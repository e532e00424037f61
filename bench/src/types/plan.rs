//! What is asked: commands with the data they need, and the targets.

use crate::pipe::encode;

/// A command, and the data that it works on.
#[derive(Clone, Copy)]
pub struct Workload {
    /// Name for reports and `--only`.
    pub name: &'static str,
    /// Which data it needs; loaded once for all that name the same.
    pub data: &'static str,
    /// How many requests load the data of a collection of so many elements.
    pub load_count: fn(usize) -> usize,
    /// A request that loads, by its number and the size of the collection.
    pub load: fn(&mut Vec<u8>, usize, usize),
    /// A request that is measured, by its number and the size of the collection.
    pub request: fn(&mut Vec<u8>, usize, usize),
    /// Whether every request finds something.
    pub hits: bool,
    /// Replies are long: a tenth of the operations is enough.
    pub is_long: bool,
}

/// One measurement.
#[derive(Clone, Copy)]
pub struct Cell {
    /// What is asked.
    pub workload: Workload,
    /// Elements of the collection, or keys.
    pub size: usize,
    /// Requests per pipeline.
    pub pipeline: usize,
    /// Highest ratio that meets the target, if there is one.
    pub target: Option<f64>,
}

impl Cell {
    /// Its name: `P16 ZRANK`, and the size where sizes are compared.
    #[must_use]
    pub fn name(&self) -> String {
        match self.target {
            Some(_) => format!("P{} {}", self.pipeline, self.workload.name),
            None => format!("{} of {}", self.workload.name, self.size),
        }
    }

    /// How many operations one sample takes.
    #[must_use]
    pub fn operations(&self) -> usize {
        let whole = if self.pipeline == 1 { 100_000 } else { 400_000 };
        if self.workload.is_long { whole / 10 } else { whole }
    }

    /// What names its data on a server.
    #[must_use]
    pub fn data(&self) -> String {
        format!("{}:{}", self.workload.data, self.size)
    }
}

/// Elements of a collection in the table of ratios.
const SIZE: usize = 100_000;
/// Sizes that are compared.
pub const SIZES: [usize; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];
/// Pipelines with their targets.
const PIPELINES: [(usize, f64); 2] = [(16, 0.8), (1, 1.0)];
/// Elements that one request loads.
const LOAD_LEN: usize = 100;

/// The cells of the table of ratios whose names contain one of `words`; all if there is none.
#[must_use]
pub fn ratios(words: &[&str]) -> Vec<Cell> {
    let cells = PIPELINES.iter().flat_map(|&(pipeline, target)| {
        let cell = move |&workload| Cell { workload, size: SIZE, pipeline, target: Some(target) };
        WORKLOADS.iter().map(cell)
    });
    cells.filter(|cell| is_asked(cell, words)).collect()
}

/// The cells that show time against size.
#[must_use]
pub fn sizes(words: &[&str]) -> Vec<Cell> {
    let cells = WORKLOADS.iter().filter(|workload| SIZED.contains(&workload.name));
    let cells = cells.chain(SIZED_ONLY).flat_map(|&workload| {
        SIZES.map(|size| Cell { workload, size, pipeline: 16, target: None })
    });
    cells.filter(|cell| is_asked(cell, words)).collect()
}

fn is_asked(cell: &Cell, words: &[&str]) -> bool {
    words.is_empty() || words.iter().any(|word| cell.name().contains(word))
}

/// Commands that Redis documents as O(1) or O(log n) in the size of the collection.
const SIZED: [&str; 8] =
    ["SADD", "SISMEMBER", "HGET", "ZADD", "ZSCORE", "ZRANK", "XRANGE 1", "SETBIT"];

/// The workloads of the table of ratios. RPOP takes what LPUSH has added just before.
pub const WORKLOADS: &[Workload] = &[
    plain("LPUSH", |bytes, number, _| {
        encode(bytes, &[b"LPUSH", b"list", &text(number)]);
    }),
    plain("RPOP", |bytes, _, _| encode(bytes, &[b"RPOP", b"list"])),
    Workload { load_count: |size| size, load: hset, ..loaded("HSET 5", "market", hset) },
    Workload {
        load_count: |size| size,
        load: hset,
        ..loaded("HGETALL 5", "market", |bytes, number, size| {
            encode(bytes, &[b"HGETALL", &market(number, size)]);
        })
    },
    Workload {
        load: load_set,
        ..loaded("SADD", "set", |bytes, number, size| {
            encode(bytes, &[b"SADD", &named("set", size), &member(pick(number, size + size / 8))]);
        })
    },
    Workload {
        load: load_set,
        ..loaded("SISMEMBER", "set", |bytes, number, size| {
            encode(bytes, &[b"SISMEMBER", &named("set", size), &member(pick(number, size))]);
        })
    },
    Workload {
        load: load_hash,
        ..loaded("HGET", "hash", |bytes, number, size| {
            encode(bytes, &[b"HGET", &named("hash", size), &member(pick(number, size))]);
        })
    },
    Workload {
        load: load_sorted,
        ..loaded("ZADD", "zset", |bytes, number, size| {
            let score = pick(number.wrapping_mul(31), size).to_string();
            let member = member(pick(number, size));
            encode(bytes, &[b"ZADD", &named("zset", size), score.as_bytes(), &member]);
        })
    },
    Workload {
        load: load_sorted,
        ..loaded("ZSCORE", "zset", |bytes, number, size| {
            encode(bytes, &[b"ZSCORE", &named("zset", size), &member(pick(number, size))]);
        })
    },
    Workload {
        load: load_sorted,
        ..loaded("ZRANK", "zset", |bytes, number, size| {
            encode(bytes, &[b"ZRANK", &named("zset", size), &member(pick(number, size))]);
        })
    },
    Workload {
        load: load_sorted,
        is_long: true,
        ..loaded("ZRANGE 100", "zset", |bytes, number, size| {
            let start = pick(number, size - 100);
            let (start, stop) = (start.to_string(), (start + 99).to_string());
            encode(bytes, &[b"ZRANGE", &named("zset", size), start.as_bytes(), stop.as_bytes()]);
        })
    },
    plain("XADD", |bytes, number, _| {
        encode(bytes, &[b"XADD", b"log", b"*", b"price", &text(number), b"volume", b"300"]);
    }),
    Workload {
        load: load_stream,
        load_count: |size| size,
        ..loaded("XRANGE 1", "stream", |bytes, number, size| {
            let id = (1 + pick(number, size)).to_string();
            encode(bytes, &[b"XRANGE", &named("stream", size), id.as_bytes(), id.as_bytes()]);
        })
    },
    Workload {
        load: load_stream,
        load_count: |size| size,
        is_long: true,
        ..loaded("XREAD 100", "stream", |bytes, number, size| {
            let id = pick(number, size - 100).to_string();
            encode(
                bytes,
                &[b"XREAD", b"COUNT", b"100", b"STREAMS", &named("stream", size), id.as_bytes()],
            );
        })
    },
    plain("INCR", |bytes, number, size| {
        encode(bytes, &[b"INCR", &named("counter", pick(number, size))]);
    }),
    plain("SETBIT", |bytes, number, size| {
        let offset = pick(number, size).to_string();
        let bit = if number.is_multiple_of(3) { b"0" } else { b"1" };
        encode(bytes, &[b"SETBIT", &named("bits", size), offset.as_bytes(), bit]);
    }),
    plain("PFADD", |bytes, number, size| {
        encode(bytes, &[b"PFADD", &named("visitors", size), &member(pick(number, 10 * size))]);
    }),
];

/// More commands that Redis documents as O(1) or O(log n), or as that beside what they return. Of those that change how
/// many elements there are, every second request is the one that makes up for it.
pub const SIZED_ONLY: &[Workload] = &[
    Workload {
        load: load_list,
        hits: false,
        ..loaded("LPUSH + RPOP", "list", |bytes, number, size| match number % 2 {
            0 => encode(bytes, &[b"RPOP", &named("list", size)]),
            _ => encode(bytes, &[b"LPUSH", &named("list", size), &text(number)]),
        })
    },
    Workload {
        load: load_list,
        ..loaded("LINDEX at the ends", "list", |bytes, number, size| {
            let index = ["0", "-1", "5", "-5"][number % 4];
            encode(bytes, &[b"LINDEX", &named("list", size), index.as_bytes()]);
        })
    },
    Workload {
        load: load_list,
        ..loaded("LRANGE 10 at the ends", "list", |bytes, number, size| {
            let (start, stop) = [("0", "9"), ("-10", "-1")][number % 2];
            encode(bytes, &[b"LRANGE", &named("list", size), start.as_bytes(), stop.as_bytes()]);
        })
    },
    Workload {
        load: load_set,
        ..loaded("SRANDMEMBER", "set", |bytes, _, size| {
            encode(bytes, &[b"SRANDMEMBER", &named("set", size)]);
        })
    },
    Workload {
        load: load_set,
        ..loaded("SPOP + SADD", "set", |bytes, number, size| match number % 2 {
            0 => encode(bytes, &[b"SADD", &named("set", size), &member(size + number)]),
            _ => encode(bytes, &[b"SPOP", &named("set", size)]),
        })
    },
    Workload {
        load: load_hash,
        ..loaded("HSET", "hash", |bytes, number, size| {
            let field = member(pick(number, size));
            encode(bytes, &[b"HSET", &named("hash", size), &field, &text(number)]);
        })
    },
    Workload {
        load: load_hash,
        ..loaded("HRANDFIELD", "hash", |bytes, _, size| {
            encode(bytes, &[b"HRANDFIELD", &named("hash", size)]);
        })
    },
    Workload {
        load: load_sorted,
        ..loaded("ZRANGE 10", "zset", |bytes, number, size| {
            let start = pick(number, size - 10);
            let (start, stop) = (start.to_string(), (start + 9).to_string());
            encode(bytes, &[b"ZRANGE", &named("zset", size), start.as_bytes(), stop.as_bytes()]);
        })
    },
    Workload {
        load: load_sorted,
        ..loaded("ZCOUNT", "zset", |bytes, number, size| {
            let min = pick(number, size).to_string();
            encode(bytes, &[b"ZCOUNT", &named("zset", size), min.as_bytes(), b"+inf"]);
        })
    },
    Workload {
        load: load_sorted,
        ..loaded("ZRANDMEMBER", "zset", |bytes, _, size| {
            encode(bytes, &[b"ZRANDMEMBER", &named("zset", size)]);
        })
    },
    Workload {
        load: load_sorted,
        ..loaded("ZPOPMIN + ZADD", "zset", |bytes, number, size| match number % 2 {
            0 => {
                let score = (size + number).to_string();
                let member = member(size + number);
                encode(bytes, &[b"ZADD", &named("zset", size), score.as_bytes(), &member]);
            }
            _ => encode(bytes, &[b"ZPOPMIN", &named("zset", size)]),
        })
    },
    Workload {
        load: load_lex,
        ..loaded("ZRANGEBYLEX 10", "lex", |bytes, number, size| {
            let min = [b"[", &*member(pick(number, size - 10))].concat();
            let key = named("lex", size);
            encode(bytes, &[b"ZRANGEBYLEX", &key, &min, b"+", b"LIMIT", b"0", b"10"]);
        })
    },
    Workload {
        load: load_stream,
        load_count: |size| size,
        ..loaded("XREVRANGE 1", "stream", |bytes, number, size| {
            let id = (1 + pick(number, size)).to_string();
            let key = named("stream", size);
            encode(bytes, &[b"XREVRANGE", &key, id.as_bytes(), b"-", b"COUNT", b"1"]);
        })
    },
    Workload {
        load: load_stream,
        load_count: |size| size,
        ..loaded("XDEL + XADD", "stream", |bytes, number, size| match number % 2 {
            0 => {
                let key = named("stream", size);
                encode(bytes, &[b"XADD", &key, b"*", b"price", &text(number), b"volume", b"300"]);
            }
            _ => {
                let id = (1 + pick(number, size)).to_string();
                encode(bytes, &[b"XDEL", &named("stream", size), id.as_bytes()]);
            }
        })
    },
    Workload {
        load: load_stream,
        load_count: |size| size,
        ..loaded("XADD MAXLEN", "stream", |bytes, number, size| {
            let (key, len) = (named("stream", size), size.to_string());
            let limit: [&[u8]; 5] = [b"XADD", &key, b"MAXLEN", len.as_bytes(), b"*"];
            let entry: [&[u8]; 4] = [b"price", &text(number), b"volume", b"300"];
            encode(bytes, &[&limit[..], &entry].concat());
        })
    },
    Workload {
        load: load_string,
        load_count: |_| 1,
        ..loaded("GETRANGE", "string", |bytes, number, size| {
            let start = pick(number, size - 10);
            let (start, stop) = (start.to_string(), (start + 9).to_string());
            encode(
                bytes,
                &[b"GETRANGE", &named("string", size), start.as_bytes(), stop.as_bytes()],
            );
        })
    },
];

/// A workload that needs no data.
const fn plain(name: &'static str, request: fn(&mut Vec<u8>, usize, usize)) -> Workload {
    Workload {
        name,
        data: "none",
        load_count: |_| 0,
        load: |_, _, _| {},
        request,
        hits: false,
        is_long: false,
    }
}

/// A workload on a collection that is loaded some elements at a time; how is for the caller to say.
const fn loaded(
    name: &'static str,
    data: &'static str,
    request: fn(&mut Vec<u8>, usize, usize),
) -> Workload {
    Workload { data, load_count: |size| size / LOAD_LEN, hits: true, ..plain(name, request) }
}

/// Spreads numbers over `0..bound`.
fn pick(number: usize, bound: usize) -> usize {
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % bound
}

fn named(name: &str, number: usize) -> Vec<u8> {
    format!("{name}:{number}").into_bytes()
}

fn member(number: usize) -> Vec<u8> {
    format!("member:{number:09}").into_bytes()
}

/// 16 bytes that are no number.
fn text(number: usize) -> Vec<u8> {
    format!("v{number:015}").into_bytes()
}

fn market(number: usize, size: usize) -> Vec<u8> {
    format!("market:snapshot:SYM{:07}", pick(number, size)).into_bytes()
}

fn hset(bytes: &mut Vec<u8>, number: usize, size: usize) {
    let price = format!("{}.25", 100 + number % 900);
    let price = price.as_bytes();
    let volume = (1000 + number % 90_000).to_string();
    // What is loaded is every key in turn, what is measured draws: below `size` both meet the same keys.
    let key = format!(
        "market:snapshot:SYM{:07}",
        if number < size { number } else { pick(number, size) }
    );
    encode(
        bytes,
        &[
            b"HSET",
            key.as_bytes(),
            b"price",
            price,
            b"volume",
            volume.as_bytes(),
            b"bid",
            price,
            b"ask",
            price,
            b"timestamp",
            b"1700000000.125",
        ],
    );
}

/// Adds the elements of load request `number`, each of some parts.
fn load(
    bytes: &mut Vec<u8>,
    command: &str,
    key: &[u8],
    number: usize,
    parts: impl Fn(usize) -> Vec<Vec<u8>>,
) {
    let first = number * LOAD_LEN;
    let parts = (first..first + LOAD_LEN).flat_map(parts).collect::<Vec<_>>();
    let mut args = vec![command.as_bytes(), key];
    args.extend(parts.iter().map(Vec::as_slice));
    encode(bytes, &args);
}

fn load_set(bytes: &mut Vec<u8>, number: usize, size: usize) {
    load(bytes, "SADD", &named("set", size), number, |element| vec![member(element)]);
}

fn load_list(bytes: &mut Vec<u8>, number: usize, size: usize) {
    load(bytes, "RPUSH", &named("list", size), number, |element| vec![text(element)]);
}

/// Members with one score.
fn load_lex(bytes: &mut Vec<u8>, number: usize, size: usize) {
    load(bytes, "ZADD", &named("lex", size), number, |element| {
        vec![b"0".to_vec(), member(element)]
    });
}

fn load_string(bytes: &mut Vec<u8>, _: usize, size: usize) {
    encode(bytes, &[b"SET", &named("string", size), &vec![b'x'; size]]);
}

fn load_hash(bytes: &mut Vec<u8>, number: usize, size: usize) {
    load(bytes, "HSET", &named("hash", size), number, |element| {
        vec![member(element), text(element)]
    });
}

fn load_sorted(bytes: &mut Vec<u8>, number: usize, size: usize) {
    load(bytes, "ZADD", &named("zset", size), number, |element| {
        vec![pick(element, size).to_string().into_bytes(), member(element)]
    });
}

fn load_stream(bytes: &mut Vec<u8>, number: usize, size: usize) {
    let id = (1 + number).to_string();
    encode(
        bytes,
        &[
            b"XADD",
            &named("stream", size),
            id.as_bytes(),
            b"price",
            &text(number),
            b"volume",
            b"300",
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_measured_at_both_pipelines_and_some_at_every_size() {
        assert_eq!(ratios(&[]).len(), 2 * WORKLOADS.len());
        assert_eq!(sizes(&[]).len(), SIZES.len() * (SIZED.len() + SIZED_ONLY.len()));
        let names = ratios(&["P1 ZRANK", "P16 SADD"]);
        let names = names.iter().map(Cell::name).collect::<Vec<_>>();
        assert_eq!(names, ["P16 SADD", "P1 ZRANK"]);
    }

    #[test]
    fn requests_are_the_commands_they_are_named_for() {
        for cell in ratios(&[]).iter().chain(&sizes(&[])) {
            let mut bytes = Vec::new();
            let size = cell.size.max(101);
            (cell.workload.request)(&mut bytes, 7, size);
            let text = String::from_utf8(bytes).expect("text");
            let word = text.lines().nth(2).expect("a command");
            assert_eq!(cell.workload.name.split(' ').next(), Some(word));
        }
    }
}
