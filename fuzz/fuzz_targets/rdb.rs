//! Reading values as RDB bytes: any type and body, as RESTORE gets them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use persistence::rdb::payload::{self, Checksum};
use persistence::rdb::{Compression, Reader, ValueType};
use shard::Options;
use shard::types::rdb;

fuzz_target!(|bytes: &[u8]| {
    let options = Options::default();
    let Some((&code, body)) = bytes.split_first() else { return };
    let Some(value_type) = ValueType::from_code(code) else { return };
    let Ok(value) = rdb::load(value_type, &mut Reader::new(body), &options) else { return };
    // What was read can be written, and is the same when it is read again.
    for compression in [Compression::Lzf, Compression::Off] {
        let dumped = rdb::dump(value.view(), compression);
        assert_eq!(rdb::restore(&dumped, Checksum::Checked, &options).as_ref(), Ok(&value));
        assert!(payload::open(&dumped, Checksum::Checked).is_ok());
    }
});
