//! The manifest: which files count, in which order they are replayed.
//!
//! A text file after Redis 7's; one line per file, `key value` pairs, `#` lines are comments:
//! ```text
//! file appendonly.aof.1.shard0.incr.aof seq 1 type i generation 1 shard 0 of 2 length 8071
//! file appendonly.aof.2.shard1.incr.aof seq 2 type i generation 1 shard 1 of 2 length 912
//! file appendonly.aof.3.shard0.incr.aof seq 3 type i generation 2 shard 0 of 4
//! ...
//! ```
//! `length` stands once a file is complete: that many bytes count. A generation is a stretch with an unchanged number of
//! shards; all its lines stand together, and it is replayed before the next one. In it, a shard has one file, or several
//! that continue each other if a disk error forced a new one; the last has no `length` in the last generation.
//! The file is only ever replaced as a whole: written under another name, synced, renamed, the folder synced.

use super::frame::SHARD_COUNT_MAX;
use super::{Options, Segment};
use crate::AofError;
use crate::disk::{self, Disk, Mode};
use std::fmt::Write as _;

/// Largest manifest that is read, in bytes; some hundred thousand files.
const MANIFEST_LEN_MAX: u64 = 32 << 20;

/// The segments in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Sorted by `seq`; generations rise.
    pub segments: Vec<Segment>,
}

/// Why a line cannot be used.
#[derive(Debug, PartialEq, Eq)]
enum LineError {
    /// As Redis writes them; what shows it.
    Redis(String),
    Other(String),
}

impl Manifest {
    /// Reads the manifest; `None` if there is none and no data either.
    pub fn load(disk: &dyn Disk, options: &Options) -> Result<Option<Manifest>, AofError> {
        let path = options.manifest_path();
        let file = match disk.open(&path, Mode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                check_no_data(disk, options)?;
                return Ok(None);
            }
            Err(error) => return Err(AofError::io("open", &path)(error)),
        };
        let size = file.size().map_err(AofError::io("read", &path))?;
        if size > MANIFEST_LEN_MAX {
            let reason = format!("expected a manifest of at most {MANIFEST_LEN_MAX} bytes");
            return Err(AofError::Manifest { path, line: 1, reason });
        }
        let mut bytes = vec![0; usize::try_from(size).expect("at most MANIFEST_LEN_MAX")];
        let len = disk::read_full_at(&*file, &mut bytes, 0).map_err(AofError::io("read", &path))?;
        Manifest::parse(&bytes[..len]).map(Some).map_err(|(line, error)| match error {
            LineError::Redis(found) => AofError::WrittenByRedis { path, found },
            LineError::Other(reason) => AofError::Manifest { path, line, reason },
        })
    }

    /// Replaces the manifest; durable when it returns.
    pub fn store(&self, disk: &dyn Disk, options: &Options) -> Result<(), AofError> {
        debug_assert!(self.check().is_ok(), "{:?}", self.check());
        let path = options.manifest_path();
        let temporary = options.folder().join(format!("temp-{}.manifest", options.file_name));
        let file =
            disk.open(&temporary, Mode::Create).map_err(AofError::io("create", &temporary))?;
        file.set_size(0)
            .and_then(|()| disk::write_all_at(&*file, self.text().as_bytes(), 0))
            .and_then(|()| file.sync())
            .map_err(AofError::io("write", &temporary))?;
        disk.rename(&temporary, &path).map_err(AofError::io("replace", &path))?;
        disk.sync_folder(&options.folder()).map_err(AofError::io("sync", &options.folder()))
    }

    fn text(&self) -> String {
        let mut text = String::from("# rialto manifest 1\n");
        for segment in &self.segments {
            write!(
                text,
                "file {} seq {} type i generation {} shard {} of {}",
                segment.name, segment.seq, segment.generation, segment.shard, segment.shard_count
            )
            .expect("writing to a string cannot fail");
            if let Some(len) = segment.sealed_len {
                write!(text, " length {len}").expect("writing to a string cannot fail");
            }
            text.push('\n');
        }
        text
    }

    fn parse(bytes: &[u8]) -> Result<Manifest, (usize, LineError)> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| (1, LineError::Other("expected text in UTF-8".to_owned())))?;
        let mut segments = Vec::new();
        let mut last_line = 1;
        for (index, line) in text.lines().enumerate() {
            last_line = index + 1;
            if !line.starts_with('#') {
                segments.push(parse_line(line).map_err(|error| (last_line, error))?);
            }
        }
        let manifest = Manifest { segments };
        manifest.check().map_err(|reason| (last_line, LineError::Other(reason)))?;
        Ok(manifest)
    }

    /// Whether the lines fit together.
    fn check(&self) -> Result<(), String> {
        let Some(first) = self.segments.first() else {
            return Err("expected at least one file line".to_owned());
        };
        let (mut seq, mut generation) = (0, first.generation);
        for segment in &self.segments {
            let name = &segment.name;
            if segment.seq <= seq {
                return Err(format!("expected a seq above {seq} for {name}"));
            }
            if segment.generation < generation {
                return Err(format!("expected generation {generation} or later for {name}"));
            }
            (seq, generation) = (segment.seq, segment.generation);
        }
        for shards in self.generations() {
            check_generation(shards, generation)?;
        }
        Ok(())
    }

    /// The segments, one slice per generation, in the order of replay.
    pub fn generations(&self) -> impl Iterator<Item = &[Segment]> {
        self.segments.chunk_by(|a, b| a.generation == b.generation)
    }
}

/// Checks that every shard has its files and that exactly the last one of each is open, in the `last` generation.
fn check_generation(segments: &[Segment], last: u64) -> Result<(), String> {
    let (generation, shard_count) = (segments[0].generation, segments[0].shard_count);
    let mut open_counts = vec![None; usize::from(shard_count)];
    for segment in segments {
        if segment.shard_count != shard_count {
            return Err(format!(
                "expected {shard_count} shards all through generation {generation}"
            ));
        }
        let open_count = open_counts[usize::from(segment.shard)].get_or_insert(0);
        if *open_count > 0 {
            return Err(format!("expected a length for the file before {}", segment.name));
        }
        *open_count += usize::from(segment.sealed_len.is_none());
    }
    let expected = usize::from(generation == last);
    for (shard, open_count) in open_counts.iter().enumerate() {
        match open_count {
            None => {
                return Err(format!("expected a file of shard {shard} in generation {generation}"));
            }
            Some(count) if *count != expected => {
                let last_or_not = if expected == 1 { "without" } else { "with" };
                return Err(format!(
                    "expected a last file {last_or_not} length for shard {shard} in generation {generation}"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn parse_line(line: &str) -> Result<Segment, LineError> {
    let other = |reason: String| LineError::Other(reason);
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    if words.is_empty() || words.len() % 2 == 1 {
        return Err(other(format!("expected pairs of key and value, found {line:?}")));
    }
    let value = |key: &str| words.chunks(2).find(|pair| pair[0] == key).map(|pair| pair[1]);
    let number = |key: &str| -> Result<u64, LineError> {
        let text = value(key).ok_or_else(|| other(format!("expected `{key} <number>`")))?;
        text.parse().map_err(|_| other(format!("expected a number after `{key}`, found {text:?}")))
    };
    let known = ["file", "seq", "type", "generation", "shard", "of", "length"];
    if let Some(pair) = words.chunks(2).find(|pair| !known.contains(&pair[0])) {
        return Err(other(format!("expected one of {known:?}, found {:?}", pair[0])));
    }
    let name = value("file").ok_or_else(|| other("expected `file <name>`".to_owned()))?;
    if name.contains('/') || name == "." || name == ".." {
        return Err(other(format!("expected a name without folder, found {name:?}")));
    }
    let seq = number("seq")?;
    let kind = value("type").ok_or_else(|| other("expected `type i`".to_owned()))?;
    match kind {
        "b" | "h" => return Err(LineError::Redis(format!("it lists the base file {name}"))),
        "i" if value("shard").is_none() => {
            return Err(LineError::Redis(format!("{name} belongs to no shard")));
        }
        "i" => {}
        _ => return Err(other(format!("expected `type i`, found {kind:?}"))),
    }
    let small = |key: &str| -> Result<u16, LineError> {
        let value = number(key)?;
        u16::try_from(value)
            .ok()
            .filter(|value| *value <= SHARD_COUNT_MAX)
            .ok_or_else(|| other(format!("expected at most {SHARD_COUNT_MAX} shards")))
    };
    let (shard, shard_count) = (small("shard")?, small("of")?);
    if shard >= shard_count {
        return Err(other(format!("expected a shard below {shard_count}, found {shard}")));
    }
    Ok(Segment {
        name: name.to_owned(),
        seq,
        generation: number("generation")?,
        shard,
        shard_count,
        sealed_len: value("length").map(|_| number("length")).transpose()?,
    })
}

/// Without a manifest there must be no data that we would silently ignore.
fn check_no_data(disk: &dyn Disk, options: &Options) -> Result<(), AofError> {
    let names = match disk.list(&options.folder()) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(AofError::io("list", &options.folder())(error)),
    };
    if let Some(segment) = names
        .into_iter()
        .find(|name| options.seq_in_name(name).is_some_and(|_| has_data(disk, options, name)))
    {
        return Err(AofError::ManifestMissing { path: options.manifest_path(), segment });
    }
    let old = options.dir.join(&options.file_name);
    if disk.open(&old, Mode::Read).is_ok_and(|file| file.size().is_ok_and(|size| size > 0)) {
        let found = "the single append-only file of Redis 6 and before".to_owned();
        return Err(AofError::WrittenByRedis { path: old, found });
    }
    Ok(())
}

/// Whether a file holds more than the start frame with which every segment begins: if the machine stopped while the very
/// first segments were made, there are such files and no manifest yet.
fn has_data(disk: &dyn Disk, options: &Options, name: &str) -> bool {
    let path = options.folder().join(name);
    let Ok(file) = disk.open(&path, Mode::Read) else { return true };
    let mut head = [0; super::frame::HEADER_LEN_MAX];
    let Ok(len) = disk::read_full_at(&*file, &mut head, 0) else { return true };
    let newline = memchr::memchr(b'\n', &head[..len]);
    newline.map_or(len == head.len(), |at| at + 1 < len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;
    use proptest::prelude::*;

    fn segment(seq: u64, generation: u64, shard: u16, of: u16, len: Option<u64>) -> Segment {
        Segment {
            name: Options::new("/d").segment_name(seq, shard),
            seq,
            generation,
            shard,
            shard_count: of,
            sealed_len: len,
        }
    }

    fn manifest() -> Manifest {
        Manifest {
            segments: vec![
                segment(1, 1, 0, 1, Some(77)),
                segment(2, 2, 0, 2, Some(5)),
                segment(3, 2, 1, 2, None),
                segment(7, 2, 0, 2, None),
            ],
        }
    }

    fn reason(text: &str) -> String {
        match Manifest::parse(text.as_bytes()).unwrap_err() {
            (line, LineError::Other(reason)) => format!("{line}: {reason}"),
            (line, LineError::Redis(found)) => format!("{line}: redis: {found}"),
        }
    }

    #[test]
    fn it_reads_back_as_it_was_stored() {
        let disk = MemoryDisk::with_folder("/d");
        let options = Options::new("/d");
        assert_eq!(Manifest::load(&disk, &options).unwrap(), None);
        disk.create_folder(&options.folder()).unwrap();
        manifest().store(&disk, &options).unwrap();
        assert_eq!(Manifest::load(&disk, &options).unwrap(), Some(manifest()));
        assert!(manifest().text().starts_with(
            "# rialto manifest 1\nfile appendonly.aof.1.shard0.incr.aof seq 1 type i generation 1 shard 0 of 1 length 77\n"
        ));
    }

    #[test]
    fn a_manifest_of_redis_is_recognised() {
        let text = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
        assert_eq!(reason(text), "1: redis: it lists the base file appendonly.aof.1.base.rdb");
        assert_eq!(
            reason("file a.1.incr.aof seq 1 type i\n"),
            "1: redis: a.1.incr.aof belongs to no shard"
        );
        let disk = MemoryDisk::with_folder("/d");
        let options = Options::new("/d");
        disk.create_folder(&options.folder()).unwrap();
        let file = disk.open(&options.manifest_path(), Mode::CreateNew).unwrap();
        file.write_at(text.as_bytes(), 0).unwrap();
        let error = Manifest::load(&disk, &options).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "/d/appendonlydir/appendonly.aof.manifest was written by Redis (it lists"
            ),
            "{error}"
        );
    }

    #[test]
    fn data_without_a_manifest_is_not_ignored() {
        let disk = MemoryDisk::with_folder("/d");
        let options = Options::new("/d");
        disk.create_folder(&options.folder()).unwrap();
        let path = options.folder().join(options.segment_name(1, 0));
        let file = disk.open(&path, Mode::CreateNew).unwrap();
        assert_eq!(Manifest::load(&disk, &options).unwrap(), None);
        file.write_at(b"#rialto start\r\nmore", 0).unwrap();
        let error = Manifest::load(&disk, &options).unwrap_err().to_string();
        assert!(error.contains("is missing beside appendonly.aof.1.shard0.incr.aof"), "{error}");
    }

    #[test]
    fn an_old_single_file_is_not_ignored() {
        let disk = MemoryDisk::with_folder("/d");
        let file = disk.open(std::path::Path::new("/d/appendonly.aof"), Mode::CreateNew).unwrap();
        file.write_at(b"*1\r\n", 0).unwrap();
        let error = Manifest::load(&disk, &Options::new("/d")).unwrap_err().to_string();
        assert!(error.contains("Redis 6"), "{error}");
    }

    #[test]
    fn what_does_not_fit_together_is_refused_with_its_line() {
        for (text, expected) in [
            ("", "1: expected at least one file line"),
            (
                "file a seq 1 type",
                "1: expected pairs of key and value, found \"file a seq 1 type\"",
            ),
            ("file ../a seq 1 type i", "1: expected a name without folder, found \"../a\""),
            ("file a seq x type i", "1: expected a number after `seq`, found \"x\""),
            ("file a seq 1 type q", "1: expected `type i`, found \"q\""),
            (
                "# c\nfile a seq 1 type i generation 1 shard 1 of 1",
                "2: expected a shard below 1, found 1",
            ),
            ("file a seq 1 type i generation 1 shard 0 of 9999", "1: expected at most 1024 shards"),
            (
                "file a seq 1 type i generation 1 shard 0 of 2",
                "1: expected a file of shard 1 in generation 1",
            ),
            (
                "file a seq 1 type i generation 1 shard 0 of 1\nfile b seq 1 type i generation 1 shard 0 of 1",
                "2: expected a seq above 1 for b",
            ),
            (
                "file a seq 1 type i generation 1 shard 0 of 1\nfile b seq 2 type i generation 1 shard 0 of 1",
                "2: expected a length for the file before b",
            ),
            (
                "file a seq 1 type i generation 1 shard 0 of 1\nfile b seq 2 type i generation 2 shard 0 of 1",
                "2: expected a last file with length for shard 0 in generation 1",
            ),
        ] {
            assert_eq!(reason(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(bytes: Vec<u8>) {
            let _ = Manifest::parse(&bytes);
        }

        #[test]
        fn nearly_right_text_never_panics_and_reads_back(
            lines in proptest::collection::vec(
                ("file [a.]{1,3} seq [0-9]{1,21} type [bi]", " generation [0-9]{1,2}( shard [0-9]{1,5})?( of [0-9]{1,5})?( length [0-9]{1,3})?"),
                0..4,
            ),
        ) {
            let text: String = lines.iter().map(|(a, b)| format!("{a}{b}\n")).collect();
            if let Ok(manifest) = Manifest::parse(text.as_bytes()) {
                prop_assert_eq!(Manifest::parse(manifest.text().as_bytes()), Ok(manifest));
            }
        }
    }
}
