//! Indices as clients write them: from 0 on, or from -1 backwards.

use std::ops::Range;

/// The place that `index` means among `len` elements, if there is one.
pub(crate) fn position(index: i64, len: usize) -> Option<usize> {
    let from_start = if index < 0 { index.checked_add_unsigned(len as u64)? } else { index };
    usize::try_from(from_start).ok().filter(|&position| position < len)
}

/// The places from `first` to `last`, both included, that exist among `len` elements.
pub(crate) fn span(first: i64, last: i64, len: usize) -> Range<usize> {
    let from_start = |index: i64| if index < 0 { index + len as i64 } else { index };
    let start = usize::try_from(from_start(first)).unwrap_or(0);
    let end = match usize::try_from(from_start(last)) {
        Ok(last) => last.saturating_add(1).min(len),
        Err(_) => 0,
    };
    if start < end { start..end } else { 0..0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_from_either_end() {
        assert_eq!(position(0, 3), Some(0));
        assert_eq!(position(2, 3), Some(2));
        assert_eq!(position(3, 3), None);
        assert_eq!(position(-1, 3), Some(2));
        assert_eq!(position(-3, 3), Some(0));
        assert_eq!(position(-4, 3), None);
        assert_eq!(position(i64::MIN, 3), None);
        assert_eq!(position(i64::MAX, 3), None);
        assert_eq!(position(0, 0), None);
    }

    #[test]
    fn a_span_is_cut_to_what_exists() {
        assert_eq!(span(0, -1, 3), 0..3);
        assert_eq!(span(-2, -2, 3), 1..2);
        assert_eq!(span(1, 100, 3), 1..3);
        assert_eq!(span(-100, 0, 3), 0..1);
        assert_eq!(span(2, 1, 3), 0..0);
        assert_eq!(span(3, 5, 3), 0..0);
        assert_eq!(span(0, -4, 3), 0..0);
        assert_eq!(span(i64::MIN, i64::MAX, 3), 0..3);
        assert_eq!(span(0, -1, 0), 0..0);
    }
}
