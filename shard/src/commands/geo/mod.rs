//! Commands on places: members of sorted sets whose scores are geohashes.
//!
//! What they share stands here: reading coordinates and units, printing distances. [`query`] reads and runs a search.

mod nearest;
pub mod place;
mod query;
pub mod radius;
pub mod search;

use crate::args::Args;
use crate::error::CommandError;
use crate::types::geohash::Place;
use protocol::number::{self, LongDouble};
use protocol::reply::Writer;
use std::borrow::Cow;

/// Reads a longitude and a latitude.
fn parse_place(args: &mut Args<'_>) -> Result<Place, CommandError> {
    let mut degrees = || number::parse_f64(args.bytes()?).ok_or(CommandError::NotFloat);
    let place = Place { longitude: degrees()?, latitude: degrees()? };
    if place.has_score() {
        return Ok(place);
    }
    let Place { longitude, latitude } = place;
    let text = format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}");
    Err(CommandError::Text(Cow::Owned(text)))
}

/// Reads a unit: how many metres it is.
fn parse_unit(word: &[u8]) -> Result<f64, CommandError> {
    match word.to_ascii_lowercase().as_slice() {
        b"m" => Ok(1.0),
        b"km" => Ok(1000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1609.34),
        _ => Err(CommandError::text("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// Writes a distance with four digits behind the point.
fn write_distance(distance: f64, reply: &mut Writer<'_>) {
    let scaled = (distance * 10_000.0).round_ties_even() as i64;
    let (whole, fraction) = (scaled / 10_000, scaled % 10_000);
    reply.bulk(format!("{whole}.{fraction:04}").as_bytes());
}

/// Writes longitude and latitude.
fn write_place(place: Place, reply: &mut Writer<'_>) {
    reply.array(2);
    reply.long_double(LongDouble::from(place.longitude));
    reply.long_double(LongDouble::from(place.latitude));
}
