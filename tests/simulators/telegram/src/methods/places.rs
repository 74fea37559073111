//! sendContact, sendLocation, sendVenue.

use serde_json::{Value, json};

use super::around::{Around, put};
use crate::{
    bot::State,
    params::Params,
    reply::{ApiError, Outcome},
};

/// Largest vcard in bytes; the method reference.
const MAX_VCARD: usize = 2048;
/// Seconds that a place may be live, but for one that is live for ever; the method reference.
const LIVE_S: std::ops::RangeInclusive<i64> = 60..=86_400;
const LIVE_FOR_EVER: i64 = 0x7FFF_FFFF;
/// Largest radius of uncertainty in metres; the method reference.
const MAX_ACCURACY: f64 = 1500.0;

/// A person's card.
pub fn send_contact(state: &mut State, params: &Params) -> Outcome {
    let mut card =
        json!({ "phone_number": required(params, "phone_number")?, "first_name": required(params, "first_name")? });
    if params.get("vcard").len() > MAX_VCARD {
        return Err(ApiError::bad("vcard is too long"));
    }
    for name in ["last_name", "vcard"] {
        if let Some(value) = params.given(name) {
            card[name] = json!(value);
        }
    }
    let around = Around::read(params, state.chats.writable(params.get("chat_id"))?)?;
    Ok(put(state, &around, |body| body["contact"] = card))
}

/// A place.
pub fn send_location(state: &mut State, params: &Params) -> Outcome {
    let mut place = location(params)?;
    let live = params.number("live_period", 0, 0, LIVE_FOR_EVER);
    if live != 0 && live != LIVE_FOR_EVER && !LIVE_S.contains(&live) {
        return Err(ApiError::bad("wrong live location period specified"));
    }
    if live != 0 {
        place["live_period"] = json!(live);
    }
    let around = Around::read(params, state.chats.writable(params.get("chat_id"))?)?;
    Ok(put(state, &around, |body| body["location"] = place))
}

/// A place with its name.
pub fn send_venue(state: &mut State, params: &Params) -> Outcome {
    let place = location(params)?;
    let venue = json!({
        "location": place, "title": required(params, "title")?, "address": required(params, "address")?,
    });
    let around = Around::read(params, state.chats.writable(params.get("chat_id"))?)?;
    Ok(put(state, &around, |body| {
        body["location"] = place;
        body["venue"] = venue;
    }))
}

fn required<'a>(params: &'a Params, name: &str) -> Result<&'a str, ApiError> {
    params.given(name).ok_or_else(|| ApiError::bad(format!("parameter \"{name}\" is required")))
}

fn location(params: &Params) -> Result<Value, ApiError> {
    let degrees = |name: &str, most: f64| {
        let text = params.given(name).ok_or_else(|| ApiError::bad(format!("{name} is empty")))?;
        let number = text.trim().parse::<f64>().ok().filter(|number| number.abs() <= most);
        number.ok_or_else(|| ApiError::bad("wrong location specified"))
    };
    let mut place = json!({ "latitude": degrees("latitude", 90.0)?, "longitude": degrees("longitude", 180.0)? });
    if let Some(metres) = params.get("horizontal_accuracy").trim().parse::<f64>().ok().filter(|metres| *metres > 0.0) {
        place["horizontal_accuracy"] = json!(metres.min(MAX_ACCURACY));
    }
    Ok(place)
}
