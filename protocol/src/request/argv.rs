//! Arguments of one request: spans into its bytes, borrowed ([`Argv`]) or owned ([`ArgvBuf`]).

/// Where one argument stands: byte offset and length, relative to the start of its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

/// The arguments of one request, the command name first. Two borrowed slices; copying it is free.
#[derive(Clone, Copy)]
pub struct Argv<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Argv<'a> {
    /// Pairs the bytes of a request with the spans of its arguments.
    ///
    /// Every span must lie inside `bytes`: [`Argv::get`] panics otherwise, since only our own parser makes spans.
    #[must_use]
    pub fn new(bytes: &'a [u8], spans: &'a [Span]) -> Self {
        Argv { bytes, spans }
    }

    /// How many arguments there are, the command name included.
    #[must_use]
    pub fn len(self) -> usize {
        self.spans.len()
    }

    /// Whether there is not even a command name.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    /// Argument `index`, or `None` past the end.
    #[must_use]
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(index)?;
        let start = span.start as usize;
        Some(&self.bytes[start..start + span.len as usize])
    }

    /// The arguments with these indices, as a request of its own; `spans` is memory for it. Those past the end are left out.
    pub fn pick<'b>(
        self,
        indices: impl Iterator<Item = usize>,
        spans: &'b mut Vec<Span>,
    ) -> Argv<'b>
    where
        'a: 'b,
    {
        spans.clear();
        spans.extend(indices.filter_map(|index| self.spans.get(index)));
        Argv { bytes: self.bytes, spans }
    }

    /// All arguments in order.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.spans.iter().map(move |span| {
            let start = span.start as usize;
            &self.bytes[start..start + span.len as usize]
        })
    }
}

impl std::fmt::Debug for Argv<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|arg| arg.escape_ascii().to_string())).finish()
    }
}

/// Arguments that own their bytes: one buffer and its spans. What travels between cores, waits in a queue, or is
/// built by hand; emptied and filled again, it allocates nothing in steady state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArgvBuf {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl ArgvBuf {
    /// No arguments yet.
    #[must_use]
    pub fn new() -> Self {
        ArgvBuf::default()
    }

    /// Copies the arguments of `argv`.
    #[must_use]
    pub fn from_argv(argv: Argv<'_>) -> Self {
        let mut buf = ArgvBuf::new();
        buf.copy_from(argv);
        buf
    }

    /// Becomes a copy of `argv`, in the memory that there is if that is enough.
    pub fn copy_from(&mut self, argv: Argv<'_>) {
        self.clear();
        self.bytes.reserve_exact(argv.spans.iter().map(|span| span.len as usize).sum());
        self.spans.reserve_exact(argv.len());
        argv.iter().for_each(|arg| self.push(arg));
    }

    /// Adds one argument at the end.
    pub fn push(&mut self, arg: &[u8]) {
        let start = u32::try_from(self.bytes.len()).expect("a request is smaller than 4 GiB");
        let len = u32::try_from(arg.len()).expect("an argument is smaller than 4 GiB");
        self.bytes.extend_from_slice(arg);
        self.spans.push(Span { start, len });
    }

    /// Puts `arg` in the place of argument `index`, which exists. Costs a copy of all of them.
    pub fn set(&mut self, index: usize, arg: &[u8]) {
        let changed = self.as_argv().iter().enumerate();
        *self = changed.map(|(at, old)| if at == index { arg } else { old }).collect();
    }

    /// Forgets all arguments and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// A borrowed view.
    #[must_use]
    pub fn as_argv(&self) -> Argv<'_> {
        Argv::new(&self.bytes, &self.spans)
    }

    /// Bytes of heap this holds.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.bytes.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}

impl<'a> FromIterator<&'a [u8]> for ArgvBuf {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(args: I) -> Self {
        let mut buf = ArgvBuf::new();
        for arg in args {
            buf.push(arg);
        }
        buf
    }
}
