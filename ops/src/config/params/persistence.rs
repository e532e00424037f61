//! The append-only file, snapshots, and where they lie.

use super::{INT_MAX, INT_MIN, LONG_MAX};
use crate::config::choices::AppendFsync;
use crate::config::kind::Kind;
use crate::config::parameter::Parameter;
use crate::config::value::Value;

const FOR_TESTS: &str = "a knob for tests of Redis itself";

const NO_SNAPSHOTS: &str = "snapshots are not built yet";

const NO_REWRITE: &str = "rewriting the append-only file is not built yet";

const NO_TIMESTAMPS: &str = "frames carry epochs instead";

pub(super) const ROWS: &[Parameter] = &[
    Parameter::of_kind("dir", Kind::Directory, "")
        .protected()
        .denied_while_loading()
        .store(|s, v| s.dir = v.path().unwrap_or_default())
        .docs("Directory of all data files; the default is the current one."),
    Parameter::of_kind("dbfilename", Kind::Text(snapshot_name), "dump.rdb")
        .protected()
        .store(|s, v| s.dbfilename = v.text())
        .docs("File name of the snapshot.")
        .no_effect(NO_SNAPSHOTS),
    Parameter::of_kind("save", Kind::Save, "3600 1 300 100 60 10000")
        .store(|s, v| {
            if let Value::Save(points) = v {
                s.save.clone_from(points);
            }
        })
        .docs("A snapshot is due after so many seconds if so many keys changed; empty: never.")
        .no_effect(NO_SNAPSHOTS),
    Parameter::flag("appendonly", "no")
        .denied_while_loading()
        .store(|s, v| s.appendonly = v.flag())
        .docs("Keep an append-only file. CONFIG SET cannot switch it yet."),
    Parameter::choice("appendfsync", AppendFsync::CHOICES, "everysec")
        .store(|s, v| s.appendfsync = AppendFsync::from_code(v.code()))
        .docs("When the append-only file is forced to disk."),
    Parameter::of_kind("appendfilename", Kind::Text(append_file_name), "appendonly.aof")
        .fixed()
        .store(|s, v| s.appendfilename = v.text())
        .docs("First part of the names of the append-only files."),
    Parameter::of_kind("appenddirname", Kind::Text(append_dir_name), "appendonlydir")
        .fixed()
        .store(|s, v| s.appenddirname = v.text())
        .docs("Directory of the append-only files, below `dir`."),
    Parameter::flag("aof-load-truncated", "yes")
        .store(|s, v| s.aof_load_truncated = v.flag())
        .docs("Start with a torn tail by cutting it off; else refuse."),
    Parameter::flag("aof-use-rdb-preamble", "yes")
        .store(|s, v| s.aof_use_rdb_preamble = v.flag())
        .docs("Write the base of the append-only file in RDB form.")
        .no_effect(NO_REWRITE),
    Parameter::flag("aof-timestamp-enabled", "no")
        .store(|s, v| s.aof_timestamp_enabled = v.flag())
        .docs("Annotate the append-only file with times.")
        .no_effect(NO_TIMESTAMPS),
    Parameter::integer("auto-aof-rewrite-percentage", 0, INT_MAX, "100")
        .store(|s, v| s.auto_aof_rewrite_percentage = v.number())
        .docs("Growth in percent at which the append-only file is rewritten; 0: never.")
        .no_effect(NO_REWRITE),
    Parameter::memory("auto-aof-rewrite-min-size", 0, LONG_MAX, "67108864")
        .store(|s, v| s.auto_aof_rewrite_min_size_bytes = v.number())
        .docs("Bytes below which the append-only file is not rewritten.")
        .no_effect(NO_REWRITE),
    Parameter::flag("stop-writes-on-bgsave-error", "yes")
        .store(|s, v| s.stop_writes_on_bgsave_error = v.flag())
        .docs("Refuse writes after a failed snapshot.")
        .no_effect(NO_SNAPSHOTS),
    Parameter::flag("rdbcompression", "yes")
        .store(|s, v| s.rdbcompression = v.flag())
        .docs("Compress strings in payloads of DUMP (snapshots are not built yet)."),
    Parameter::flag("rdbchecksum", "yes")
        .fixed()
        .store(|s, v| s.rdbchecksum = v.flag())
        .docs("Put a checksum at the end of snapshots, and check it on load.")
        .no_effect(NO_SNAPSHOTS),
    Parameter::flag("no-appendfsync-on-rewrite", "no")
        .no_effect("a rewrite never makes the append-only file wait"),
    Parameter::flag("aof-rewrite-incremental-fsync", "yes")
        .no_effect("a rewrite is always forced to disk in steps"),
    Parameter::flag("rdb-save-incremental-fsync", "yes")
        .no_effect("a snapshot is always forced to disk in steps"),
    Parameter::flag("rdb-del-sync-files", "no").no_effect("replication is not built yet"),
    Parameter::flag("aof-disable-auto-gc", "no").hidden().no_effect(FOR_TESTS),
    Parameter::integer("rdb-key-save-delay", INT_MIN, INT_MAX, "0").hidden().no_effect(FOR_TESTS),
    Parameter::integer("key-load-delay", INT_MIN, INT_MAX, "0").hidden().no_effect(FOR_TESTS),
    Parameter::integer("loading-process-events-interval-bytes", 1024, INT_MAX, "2097152")
        .hidden()
        .no_effect(FOR_TESTS),
];

fn snapshot_name(name: &[u8]) -> Result<(), &'static str> {
    if is_path(name) {
        return Err("dbfilename can't be a path, just a filename");
    }
    Ok(())
}

fn append_file_name(name: &[u8]) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("appendfilename can't be empty");
    }
    if is_path(name) {
        return Err("appendfilename can't be a path, just a filename");
    }
    Ok(())
}

fn append_dir_name(name: &[u8]) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("appenddirname can't be empty");
    }
    if is_path(name) {
        return Err("appenddirname can't be a path, just a dirname");
    }
    Ok(())
}

fn is_path(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'/' | b'\\'))
}
