//! Requests: from bytes to argument slices, without copying them.
//!
//! Path: `server::connection::input` -> here -> `server::dispatch`.
//! A request is a run of [`Span`]s into the query buffer; [`Argv`] pairs the two and hands out slices.
//! [`Parser`] finds one request at a time: [`multibulk`] reads what clients send (`*2\r\n$3\r\nGET\r\n...`),
//! [`inline`] what people type (`GET key\r\n`).
//!
//! Whatever way the bytes of a connection are cut into reads, the requests and the error found are the same.

mod argv;
mod inline;
mod multibulk;

pub use argv::{Argv, ArgvBuf, Span};
pub use inline::unquote;

use crate::error::ProtocolError;
use crate::limits::Limits;
use multibulk::Multibulk;

/// What [`Parser::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A whole request. Its spans were pushed.
    Request {
        /// Bytes it takes, from the start of the input.
        len: usize,
    },
    /// A whole inline request with quotes in it: its arguments differ from the bytes received, so they come along
    /// in memory of their own and no span was pushed. Rare: only people at a terminal write quotes.
    Quoted {
        /// Bytes it takes, from the start of the input.
        len: usize,
        /// The arguments; at least one.
        argv: ArgvBuf,
    },
    /// An empty line, `*0` or `*-1`: nothing to run and nothing to answer.
    Empty {
        /// Bytes it takes, from the start of the input.
        len: usize,
    },
    /// The request goes on beyond the input.
    Incomplete {
        /// At least so many bytes are missing. The client's own claim: good for sizing a read within a limit,
        /// never for an allocation.
        wanted: usize,
    },
}

/// Finds requests in the bytes of one connection, one after another.
///
/// Between requests it owns no heap, so that an idle connection costs nothing here.
#[derive(Debug, Default)]
pub struct Parser {
    /// How far the request at hand has been read. All zero between requests.
    progress: Multibulk,
    /// Spans so far of a request that did not fit in its first input; empty otherwise.
    spans: Vec<Span>,
}

const _: () = assert!(size_of::<Parser>() <= 64, "every idle connection has one");

impl Parser {
    /// A parser between two requests.
    #[must_use]
    pub fn new() -> Self {
        Parser::default()
    }

    /// Whether part of a request has been seen, but not its end.
    #[must_use]
    pub fn is_inside_request(&self) -> bool {
        self.progress != Multibulk::default()
    }

    /// Bytes of heap this holds: nothing between requests, at most a few bytes per byte received inside one.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.spans.capacity() * size_of::<Span>()
    }

    /// Looks for one request at the start of `input`.
    ///
    /// `input` begins with the first byte of the request. After [`Parsed::Incomplete`] the next call brings the same
    /// bytes again, perhaps at another address, and more behind them; what was understood is not read a second time.
    /// After any other answer the next call begins `len` bytes further on. After an error there is no next call.
    ///
    /// Only [`Parsed::Request`] leaves something in `spans`: its arguments, behind what was there, with offsets
    /// from the start of `input`. A request is shorter than 4 GiB, so that offsets fit a [`Span`]: one that would be
    /// longer ends in [`ProtocolError::InvalidBulkLen`], whatever `limits` says.
    ///
    /// Limits are those of this moment; a caller that parses ahead stops behind a request that may change them.
    ///
    /// # Errors
    /// The first mistake in the request, as Redis 7.2 would name it.
    ///
    /// Cost: one pass; no allocation for a request that is whole at the first call. Memory for one that is not is in
    /// proportion to the bytes received, never to a length announced.
    #[inline]
    pub fn next(
        &mut self,
        input: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Parsed, ProtocolError> {
        match input.first() {
            None => Ok(Parsed::Incomplete { wanted: 1 }),
            Some(b'*') if !self.is_inside_request() => self.begin(input, limits, spans),
            Some(b'*') => self.resume(input, limits, spans),
            Some(_) => inline::parse(&mut self.progress.searched, input, spans),
        }
    }

    fn begin(
        &mut self,
        input: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Parsed, ProtocolError> {
        let spans_before = spans.len();
        let mut progress = Multibulk::default();
        let parsed = progress.parse(input, limits, spans)?;
        if let Parsed::Incomplete { .. } = parsed {
            self.progress = progress;
            self.spans = spans[spans_before..].to_vec();
            spans.truncate(spans_before);
        }
        Ok(parsed)
    }

    #[cold]
    fn resume(
        &mut self,
        input: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Parsed, ProtocolError> {
        let parsed = self.progress.parse(input, limits, &mut self.spans)?;
        if let Parsed::Incomplete { .. } = parsed {
            return Ok(parsed);
        }
        self.progress = Multibulk::default();
        spans.append(&mut std::mem::take(&mut self.spans));
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests;
