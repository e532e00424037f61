//! Places on the earth as sorted set scores: longitude and latitude cut in half 26 times each, the bits interleaved.
//!
//! Path: `commands::geo` -> here. Latitudes end at ±85.05112878° (Web Mercator), so the same bits mean other places than
//! in the geohashes of other systems; [`text`] converts. Every operation on doubles is done in the order Redis does
//! it, so that scores, distances and the cells that a search visits are the same to the last digit.

use std::f64::consts::PI;

/// Longitudes that have a score, in degrees.
pub const LONGITUDE_MAX: f64 = 180.0;
/// Latitudes that have a score, in degrees.
pub const LATITUDE_MAX: f64 = 85.05112878;
/// Radius of the earth in metres, as Redis has it.
const EARTH_RADIUS_M: f64 = 6_372_797.560856;
/// Half the equator in the Mercator projection, in metres.
const MERCATOR_MAX_M: f64 = 20_037_726.37;
const DEGREE: f64 = PI / 180.0;
/// How often each coordinate of a score is cut in half.
const STEPS_MAX: u32 = 26;

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// East of Greenwich.
    pub longitude: f64,
    /// North of the equator.
    pub latitude: f64,
}

impl Place {
    /// Whether a score can stand for it.
    #[must_use]
    pub fn has_score(self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }

    /// The score of this place, which has one.
    #[must_use]
    pub fn score(self) -> f64 {
        Cell::containing(self, LATITUDE_MAX, STEPS_MAX).bits as f64
    }

    /// The place that a score stands for: the middle of the smallest cell. Any double gives some place.
    #[must_use]
    pub fn of_score(score: f64) -> Place {
        let area = Cell { bits: wrapped(score), steps: STEPS_MAX }.area();
        let middle = |(least, greatest): (f64, f64), max: f64| {
            let middle = (least + greatest) / 2.0;
            middle.min(max).max(-max)
        };
        Place {
            longitude: middle(area.longitude, LONGITUDE_MAX),
            latitude: middle(area.latitude, LATITUDE_MAX),
        }
    }

    /// The great-circle distance in metres.
    #[must_use]
    pub fn distance(self, other: Place) -> f64 {
        let v = ((other.longitude * DEGREE - self.longitude * DEGREE) / 2.0).sin();
        if v == 0.0 {
            return self.latitude_distance(other);
        }
        let (latitude, other_latitude) = (self.latitude * DEGREE, other.latitude * DEGREE);
        let u = ((other_latitude - latitude) / 2.0).sin();
        let a = u * u + latitude.cos() * other_latitude.cos() * v * v;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }

    /// How far apart the latitudes are, in metres.
    fn latitude_distance(self, other: Place) -> f64 {
        EARTH_RADIUS_M * (other.latitude * DEGREE - self.latitude * DEGREE).abs()
    }
}

/// A double as an unsigned integer, with what a conversion in C on x86-64 gives for those that do not fit.
fn wrapped(score: f64) -> u64 {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    let signed = |value: f64| {
        if value.abs() < TWO_TO_63 { value as i64 } else { i64::MIN }
    };
    if score < TWO_TO_63 {
        signed(score) as u64
    } else {
        signed(score - TWO_TO_63) as u64 ^ 1 << 63
    }
}

/// The usual text of 11 letters for a place, whose latitudes reach to the poles. The last letter is always `0`: a score
/// has no more bits.
#[must_use]
pub fn text(place: Place) -> [u8; 11] {
    const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let bits = Cell::containing(place, 90.0, STEPS_MAX).bits;
    std::array::from_fn(|index| match index {
        10 => LETTERS[0],
        _ => LETTERS[(bits >> (47 - 5 * index)) as usize & 31],
    })
}

/// What is searched around a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// All places at most this far away.
    Circle {
        /// Metres.
        radius: f64,
    },
    /// All places at most half the width to the east or west and half the height to the north or south.
    Rectangle {
        /// Metres.
        width: f64,
        /// Metres.
        height: f64,
    },
}

/// A search: a shape around a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Its middle.
    pub center: Place,
    /// Its outline.
    pub shape: Shape,
}

impl Search {
    /// How far `place` is from the middle, in metres; `None` if it lies outside.
    #[must_use]
    pub fn distance(&self, place: Place) -> Option<f64> {
        if let Shape::Rectangle { width, height } = self.shape {
            let across = Place { longitude: self.center.longitude, ..place };
            if place.latitude_distance(self.center) > height / 2.0
                || place.distance(across) > width / 2.0
            {
                return None;
            }
            return Some(self.center.distance(place));
        }
        let Shape::Circle { radius } = self.shape else { unreachable!("there are two shapes") };
        // Not `<=`: a distance that is no number is not too far.
        let distance = self.center.distance(place);
        if distance > radius { None } else { Some(distance) }
    }

    /// The ranges of scores that hold all places of this search, lower end included: the cell of the middle and those
    /// of its eight neighbours that may hold some, in Redis's order.
    ///
    /// Around a very large area neighbours are the same cell; one that equals the last one is left out, but for the
    /// first two, as in Redis.
    #[must_use]
    pub fn score_ranges(&self) -> Vec<(f64, f64)> {
        let mut ranges = Vec::with_capacity(9);
        let mut last = None;
        for (order, cell) in self.cells().into_iter().enumerate() {
            let Some(cell) = cell else { continue };
            if last == Some(cell) {
                continue;
            }
            ranges.push(cell.score_range());
            last = (order > 0).then_some(cell);
        }
        ranges
    }

    /// The smallest and greatest longitude and latitude.
    fn bounds(&self) -> Area {
        let (width, height) = match self.shape {
            Shape::Circle { radius } => (radius, radius),
            Shape::Rectangle { width, height } => (width / 2.0, height / 2.0),
        };
        let Place { longitude, latitude } = self.center;
        let latitude_delta = height / EARTH_RADIUS_M / DEGREE;
        // Meridians come closer towards the poles: the edge that is nearer to one spans more of them.
        let edge =
            if latitude < 0.0 { latitude - latitude_delta } else { latitude + latitude_delta };
        let longitude_delta = width / EARTH_RADIUS_M / (edge * DEGREE).cos() / DEGREE;
        Area {
            longitude: (longitude - longitude_delta, longitude + longitude_delta),
            latitude: (latitude - latitude_delta, latitude + latitude_delta),
        }
    }

    /// How often to cut in half, so that a cell and its neighbours cover the search, by a first guess.
    fn steps(&self) -> u32 {
        let mut range = match self.shape {
            Shape::Circle { radius } => radius,
            Shape::Rectangle { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        };
        if range == 0.0 {
            return STEPS_MAX;
        }
        let mut steps: i32 = 1;
        while range < MERCATOR_MAX_M {
            range *= 2.0;
            steps += 1;
        }
        steps -= 2;
        let latitude = self.center.latitude.abs();
        steps -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        steps.clamp(1, STEPS_MAX as i32) as u32
    }

    /// The cell of the middle, then north, south, east, west, north-east, north-west, south-east, south-west; `None`
    /// for a neighbour that cannot hold anything of the search.
    fn cells(&self) -> [Option<Cell>; 9] {
        let bounds = self.bounds();
        let cell_at = |steps| Cell::containing(self.center, LATITUDE_MAX, steps);
        let mut steps = self.steps();
        let mut cell = cell_at(steps);
        if steps > 1 && !cell.is_wide_enough(&bounds) {
            steps -= 1;
            cell = cell_at(steps);
        }
        let area = cell.area();
        let is_small = steps >= 2;
        // Where the cell itself reaches beyond the bounds, nothing is to be found behind its edge.
        let has_south = !(is_small && area.latitude.0 < bounds.latitude.0);
        let has_north = !(is_small && area.latitude.1 > bounds.latitude.1);
        let has_west = !(is_small && area.longitude.0 < bounds.longitude.0);
        let has_east = !(is_small && area.longitude.1 > bounds.longitude.1);
        let neighbour = |east: i64, north: i64| {
            let is_wanted = match east {
                1 => has_east,
                -1 => has_west,
                _ => true,
            } && match north {
                1 => has_north,
                -1 => has_south,
                _ => true,
            };
            is_wanted.then(|| cell.neighbour(east, north))
        };
        [
            Some(cell),
            neighbour(0, 1),
            neighbour(0, -1),
            neighbour(1, 0),
            neighbour(-1, 0),
            neighbour(1, 1),
            neighbour(-1, 1),
            neighbour(1, -1),
            neighbour(-1, -1),
        ]
    }
}

/// Degrees from west to east and from south to north.
#[derive(Clone, Copy, Debug)]
struct Area {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

/// All places whose coordinates begin with the same bits: those of the longitude at odd positions, those of the
/// latitude at even ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    bits: u64,
    /// How often each coordinate was cut in half.
    steps: u32,
}

impl Cell {
    /// The cell that holds `place`, where latitudes reach to `latitude_max`.
    fn containing(place: Place, latitude_max: f64, steps: u32) -> Cell {
        let part = |degrees: f64, max: f64| {
            let share = (degrees - -max) / (max - -max);
            (share * (1_u64 << steps) as f64) as u32
        };
        let latitude = part(place.latitude, latitude_max);
        let longitude = part(place.longitude, LONGITUDE_MAX);
        Cell { bits: spread(latitude) | spread(longitude) << 1, steps }
    }

    fn area(self) -> Area {
        let edges = |part: u32, max: f64| {
            let edge =
                |part: u32| -max + (f64::from(part) / (1_u64 << self.steps) as f64) * (max - -max);
            (edge(part), edge(part.wrapping_add(1)))
        };
        Area {
            longitude: edges(gather(self.bits >> 1), LONGITUDE_MAX),
            latitude: edges(gather(self.bits), LATITUDE_MAX),
        }
    }

    /// Whether this cell and its neighbours reach beyond `bounds` on all sides.
    fn is_wide_enough(self, bounds: &Area) -> bool {
        let north = self.neighbour(0, 1).area().latitude.1;
        let south = self.neighbour(0, -1).area().latitude.0;
        let east = self.neighbour(1, 0).area().longitude.1;
        let west = self.neighbour(-1, 0).area().longitude.0;
        // Not `>=`: a bound that is no number is not beyond anything.
        !(north < bounds.latitude.1
            || south > bounds.latitude.0
            || east < bounds.longitude.1
            || west > bounds.longitude.0)
    }

    /// The cell so many cells to the east and north; the last one is followed by the first.
    fn neighbour(self, east: i64, north: i64) -> Cell {
        let part = |bits: u64, by: i64| {
            if by == 0 {
                // As it is: the greatest longitude and latitude have one bit more than the cells.
                return spread(gather(bits));
            }
            let mask = (1_u64 << self.steps) - 1;
            spread((u64::from(gather(bits)).wrapping_add_signed(by) & mask) as u32)
        };
        let bits = part(self.bits, north) | part(self.bits >> 1, east) << 1;
        Cell { bits, ..self }
    }

    /// The scores of its places: from the first one up to, but not including, the second one.
    fn score_range(self) -> (f64, f64) {
        let shift = 2 * (STEPS_MAX - self.steps);
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }
}

/// Puts the bits of `value` at the even positions. Source: Morton 1966, in five steps of halving the groups.
fn spread(value: u32) -> u64 {
    let mut bits = u64::from(value);
    bits = (bits | bits << 16) & 0x0000_FFFF_0000_FFFF;
    bits = (bits | bits << 8) & 0x00FF_00FF_00FF_00FF;
    bits = (bits | bits << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & 0x5555_5555_5555_5555
}

/// Takes the bits at the even positions: the reverse of [`spread`].
fn gather(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0F0F_0F0F_0F0F_0F0F;
    bits = (bits | bits >> 4) & 0x00FF_00FF_00FF_00FF;
    bits = (bits | bits >> 8) & 0x0000_FFFF_0000_FFFF;
    (bits | bits >> 16) as u32
}

#[cfg(test)]
mod tests;
