//! The header `Range`, of one range of bytes.

use std::ops::Range;

/// Which bytes are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All: there is no range, or one that we need not understand.
    Whole,
    /// These.
    Part(Range<u64>),
    /// None that there are.
    Nothing,
}

/// Reads a `Range` for `size` bytes. More than one range is answered by the whole, as RFC 9110 allows: parts of parts are a
/// way to make a server work for nothing.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = header.and_then(parse) else { return Wanted::Whole };
    let range = match (first, last) {
        (Some(first), Some(last)) if last < first => return Wanted::Whole,
        (Some(first), last) => first..last.map_or(size, |last| size.min(last.saturating_add(1))),
        (None, Some(suffix)) => size.saturating_sub(suffix)..size,
        (None, None) => return Wanted::Whole,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

fn parse(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, set) = header.split_once('=')?;
    let (first, last) = set.trim().split_once('-')?;
    unit.trim().eq_ignore_ascii_case("bytes").then_some(())?;
    Some((number(first)?, number(last)?))
}

/// A number, too large ones as the largest; none for something else. No digits are no number.
#[allow(clippy::option_option)] // not a number, or absent
fn number(text: &str) -> Option<Option<u64>> {
    let digits = text.trim_matches([' ', '\t']);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| (!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood() {
        let part = |first, end| Wanted::Part(first..end);
        for (header, want) in [
            (None, Wanted::Whole),
            (Some("bytes=0-0"), part(0, 1)),
            (Some("bytes=0-99"), part(0, 100)),
            (Some("bytes=10-19"), part(10, 20)),
            (Some("Bytes = 10-19 "), part(10, 20)),
            (Some("bytes=90-"), part(90, 100)),
            (Some("bytes=90-1000"), part(90, 100)),
            (Some("bytes=90-99999999999999999999999"), part(90, 100)),
            (Some("bytes=0-18446744073709551615"), part(0, 100)),
            (Some("bytes=-1"), part(99, 100)),
            (Some("bytes=-1000"), part(0, 100)),
            (Some("bytes=100-"), Wanted::Nothing),
            (Some("bytes=100-200"), Wanted::Nothing),
            (Some("bytes=99999999999999999999999-"), Wanted::Nothing),
            (Some("bytes=-0"), Wanted::Nothing),
            (Some("bytes=5-4"), Wanted::Whole),
            (Some("bytes=0-1,3-4"), Wanted::Whole),
            (Some("bytes=-"), Wanted::Whole),
            (Some("bytes="), Wanted::Whole),
            (Some("bytes=a-b"), Wanted::Whole),
            (Some("bytes=+1-2"), Wanted::Whole),
            (Some("bytes=--1"), Wanted::Whole),
            (Some("lines=1-2"), Wanted::Whole),
            (Some("bytes"), Wanted::Whole),
        ] {
            assert_eq!(wanted(header, 100), want, "{header:?}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(wanted(None, 0), Wanted::Whole);
    }
}
