//! Reading what requests ask for. Everything that is wrong is a 400 that says what and how to mend it.

use axum::extract::Query;
use axum::http::Uri;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use switchboard_common::model::AccountName;
use switchboard_common::service::problem::Problem;
use switchboard_common::store::Span;

/// Entries of a page at most, and when nothing is said.
pub(crate) const LONGEST_PAGE: usize = 200;
const USUAL_PAGE: usize = 50;

/// The longest period of a list.
const LONGEST_DAYS: i64 = 366;

/// Characters of a name at most.
const LONGEST_NAME: usize = 200;

/// Reads the query; unknown and repeated fields are refused, for they are mistakes.
pub(crate) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    match Query::<T>::try_from_uri(uri) {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(Problem::bad_request(rejection.body_text())),
    }
}

/// `limit`
pub(crate) fn limit(text: Option<&str>) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(USUAL_PAGE) };
    match text.parse() {
        Ok(limit) if (1..=LONGEST_PAGE).contains(&limit) => Ok(limit),
        _ => Err(Problem::bad_request(format!("limit must be a number from 1 to {LONGEST_PAGE}"))),
    }
}

/// A sequence number, 0 or more.
pub(crate) fn seq(field: &str, text: &str) -> Result<i64, Problem> {
    match text.parse() {
        Ok(seq) if seq >= 0 => Ok(seq),
        _ => Err(Problem::bad_request(format!("{field} must be a sequence number: 0, 1, 2 ..."))),
    }
}

/// A name or an id of a platform.
pub(crate) fn name(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.is_empty() || text.chars().count() > LONGEST_NAME || text.contains('\0') => {
            Err(Problem::bad_request(format!("{field} must have from 1 to {LONGEST_NAME} characters, and no U+0000")))
        }
        other => Ok(other),
    }
}

/// `account`
pub(crate) fn account(text: Option<String>) -> Result<Option<String>, Problem> {
    text.map(|text| AccountName::new(&text).map(|name| name.to_string()).map_err(Problem::bad_request)).transpose()
}

/// `from` and `to`
pub(crate) fn span(from: Option<&str>, to: Option<&str>) -> Result<Span, Problem> {
    let (Some(from), Some(to)) = (from, to) else {
        return Err(Problem::bad_request("from and to are required: 2026-11-21T00:00:00Z"));
    };
    let span = Span { from: time("from", from)?, to: time("to", to)? };
    if span.from >= span.to {
        return Err(Problem::bad_request("from must be before to: to itself does not belong to the period"));
    }
    if (span.to - span.from).num_microseconds().is_none_or(|length| length > LONGEST_DAYS * 86_400_000_000) {
        return Err(Problem::bad_request(format!("the period must not be longer than {LONGEST_DAYS} days")));
    }
    Ok(span)
}

/// A time with its offset. Stored times have microseconds; what is finer is rounded up, which moves no stored time over it.
fn time(field: &str, text: &str) -> Result<DateTime<Utc>, Problem> {
    let wrong = || {
        Problem::bad_request(format!(
            "{field} must be a time with an offset (RFC 3339): 2026-11-21T00:00:00Z, or 2026-11-21T03:00:00%2B03:00, \
             where %2B is a plus"
        ))
    };
    // Chrono also takes a blank before the offset's digits, which is a plus that was not encoded.
    if text.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
    let micros = i64::from(time.timestamp_subsec_nanos().div_ceil(1000));
    time.timestamp()
        .checked_mul(1_000_000)
        .and_then(|whole| whole.checked_add(micros))
        .and_then(DateTime::from_timestamp_micros)
        .ok_or_else(wrong)
}

/// `phone`: its digits, with the country and without what people put between them.
pub(crate) fn phone(text: &str) -> Result<String, Problem> {
    let wrong = || Problem::bad_request("phone must be a number with its country: +74951234567 (write + as %2B)");
    let between = |c: char| matches!(c, ' ' | '-' | '.' | '(' | ')' | '\u{a0}');
    let bare: String = text.trim().chars().filter(|c| !between(*c)).collect();
    let digits = bare.strip_prefix('+').or_else(|| bare.strip_prefix("00")).unwrap_or(&bare);
    // E.164: at most 15 digits, and no country's code begins with 0.
    let good = (5..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    if good { Ok(digits.to_owned()) } else { Err(wrong()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn status<T: std::fmt::Debug>(result: Result<T, Problem>) -> u16 {
        result.unwrap_err().status()
    }

    #[test]
    fn times_keep_every_microsecond() {
        let span = span(Some("2026-11-21T03:00:00.0000001+03:00"), Some("2026-11-21T00:00:00.000002Z")).unwrap();
        assert_eq!(span.from.timestamp_subsec_micros(), 1, "rounded up");
        assert_eq!((span.to - span.from).num_microseconds(), Some(1));
        // A leap second is the first moment of the next minute.
        let leap = super::time("from", "2016-12-31T23:59:60Z").unwrap();
        assert_eq!(leap.to_rfc3339(), "2017-01-01T00:00:00+00:00");
    }

    #[test]
    fn a_period_must_be_one() {
        let day = "2026-11-21T00:00:00Z";
        assert_eq!(status(span(None, Some(day))), 400);
        assert_eq!(status(span(Some(day), Some(day))), 400);
        assert_eq!(status(span(Some(day), Some("2026-11-20T00:00:00Z"))), 400);
        assert!(span(Some("2025-11-20T00:00:00Z"), Some(day)).is_ok());
        assert_eq!(status(span(Some("2025-11-20T00:00:00Z"), Some("2026-11-21T00:00:00.000001Z"))), 400);
        for wrong in ["2026-11-21", "2026-11-21T00:00:00", "2026-11-21T00:00:00 03:00", "", "0", "2026-13-01T00:00:00Z"]
        {
            assert_eq!(status(span(Some(wrong), Some("2026-11-22T00:00:00Z"))), 400, "{wrong}");
        }
    }

    #[test]
    fn phones_are_looked_up_by_their_digits() {
        for same in ["+7 (495) 123-45-67", "0074951234567", "74951234567", " 7.495.123.4567"] {
            assert_eq!(phone(same).unwrap(), "74951234567", "{same}");
        }
        for wrong in ["", "+", "12", "+0495123456", "1234567890123456", "٧٤٩٥١٢٣٤", "+7495x1234", "'; --"] {
            assert_eq!(status(phone(wrong)), 400, "{wrong}");
        }
    }
}
