//! Cutting and decoding replies, on any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::error::ReplyError;
use protocol::reply::Reply;
use protocol::reply::parse::{element_len, elements, integer};

fuzz_target!(|bytes: &[u8]| {
    let len = element_len(bytes);
    match Reply::parse(bytes) {
        Ok(Some((_, reply_len))) => assert_eq!(len, Ok(Some(reply_len))),
        Ok(None) => assert_eq!(len, Ok(None)),
        // Cutting does not look into values.
        Err(ReplyError::InvalidValue | ReplyError::TooDeep) => {}
        Err(error) => assert_eq!(len, Err(error)),
    }
    if let Ok(mut array) = elements(bytes) {
        let is_whole = array.by_ref().all(|element| element.is_ok());
        let end = bytes.len() - array.rest().len();
        assert_eq!(is_whole, len == Ok(Some(end)));
    }
    assert!(integer(bytes).is_err() || len == Ok(Some(bytes.len())));
});
