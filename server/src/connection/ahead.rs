//! Requests parsed ahead: the next few of a pipeline, so that what they will touch can be fetched while the first run.
//!
//! Path: `connection::process` -> here -> `protocol::request::Parser`; then each request runs, in order.

use crate::router;
use protocol::error::ProtocolError;
use protocol::limits::Limits;
use protocol::request::{Argv, ArgvBuf, Parsed, Parser, Span};
use shard::keyspace::Likely;

/// Requests found in one piece of input, in memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    spans: Vec<Span>,
    requests: Vec<Found>,
    parsed_len: usize,
}

/// One request: where it stands in the input, and which spans are its own.
#[derive(Clone, Copy, Debug)]
struct Found {
    start: usize,
    len: usize,
    spans_start: usize,
    spans_end: usize,
}

/// Why parsing stopped, behind the requests found.
#[derive(Debug)]
pub(crate) enum ParseEnd {
    /// There is more input, or none at all.
    More,
    /// An inline request with quotes follows.
    Quoted {
        /// Bytes it takes.
        len: usize,
        /// Its arguments.
        argv: ArgvBuf,
    },
    /// A request follows that is not whole yet.
    Incomplete,
    /// Bytes follow that are no request.
    Malformed(ProtocolError),
}

impl Ahead {
    /// Parses up to `max` requests at the start of `input`; those found before are forgotten.
    pub(crate) fn parse(
        &mut self,
        parser: &mut Parser,
        input: &[u8],
        limits: &Limits,
        max: usize,
    ) -> ParseEnd {
        self.clear();
        while self.requests.len() < max && self.parsed_len < input.len() {
            let start = self.parsed_len;
            let spans_start = self.spans.len();
            match parser.next(&input[start..], limits, &mut self.spans) {
                Ok(Parsed::Request { len }) => {
                    let spans_end = self.spans.len();
                    self.requests.push(Found { start, len, spans_start, spans_end });
                    self.parsed_len += len;
                }
                Ok(Parsed::Empty { len }) => self.parsed_len += len,
                Ok(Parsed::Quoted { len, argv }) => return ParseEnd::Quoted { len, argv },
                Ok(Parsed::Incomplete { .. }) => return ParseEnd::Incomplete,
                Err(error) => return ParseEnd::Malformed(error),
            }
        }
        ParseEnd::More
    }

    /// How many requests were found.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Bytes of input that the requests found take, empty ones between them included.
    pub(crate) fn parsed_len(&self) -> usize {
        self.parsed_len
    }

    /// Request `index` of `input`, which is the same as at `parse`, and how many bytes of input it ends behind.
    pub(crate) fn request<'a>(&'a self, input: &'a [u8], index: usize) -> (Argv<'a>, usize) {
        let found = self.requests[index];
        let behind = found.start + found.len;
        let spans = &self.spans[found.spans_start..found.spans_end];
        (Argv::new(&input[found.start..behind], spans), behind)
    }

    /// What each request is likely to read. Nothing if there is only one request, since then there is nothing to
    /// overlap.
    pub(crate) fn likely<'a>(&'a self, input: &'a [u8]) -> impl Iterator<Item = Likely<'a>> {
        let count = if self.len() > 1 { self.len() } else { 0 };
        (0..count).filter_map(move |index| router::likely(self.request(input, index).0))
    }

    /// Forgets everything and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.requests.clear();
        self.parsed_len = 0;
    }

    /// Whether the memory it holds is small enough to be kept.
    pub(crate) fn is_small(&self) -> bool {
        self.spans.capacity() <= 4096
    }
}
