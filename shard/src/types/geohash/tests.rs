//! Tests of geohashes.

use super::*;
use crate::rng::Rng;

fn random_place(rng: &mut Rng) -> Place {
    let mut share = || rng.next_u64() as f64 / u64::MAX as f64 * 2.0 - 1.0;
    Place { longitude: share() * LONGITUDE_MAX, latitude: share() * LATITUDE_MAX }
}

#[test]
fn bits_are_interleaved_and_gathered_again() {
    assert_eq!(spread(0b1011), 0b1000101);
    assert_eq!(spread(u32::MAX), 0x5555_5555_5555_5555);
    let mut rng = Rng::new(1);
    for _ in 0..100 {
        let (even, odd) = (rng.next_u64() as u32, rng.next_u64() as u32);
        let bits = spread(even) | spread(odd) << 1;
        assert_eq!((gather(bits), gather(bits >> 1)), (even, odd));
    }
}

#[test]
fn known_places_have_redis_scores() {
    let palermo = Place { longitude: 13.361389, latitude: 38.115556 };
    let catania = Place { longitude: 15.087269, latitude: 37.502669 };
    assert_eq!(palermo.score(), 3479099956230698.0);
    assert_eq!(catania.score(), 3479447370796909.0);
    let stored = |place: Place| Place::of_score(place.score());
    assert_eq!(stored(palermo).longitude, 13.361389338970184);
    assert_eq!(stored(palermo).latitude, 38.1155563954963);
    let distance = stored(palermo).distance(stored(catania));
    assert_eq!(format!("{distance:.4}"), "166274.1516");
    assert_eq!(&text(stored(palermo)), b"sqc8b49rny0");
}

#[test]
fn a_score_gives_a_place_nearby() {
    let seed = 2;
    let mut rng = Rng::new(seed);
    for _ in 0..1000 {
        let place = random_place(&mut rng);
        let stored = Place::of_score(place.score());
        assert!(place.distance(stored) < 1.0, "seed {seed}: {place:?} {stored:?}");
        assert_eq!(stored.score(), place.score(), "seed {seed}: {place:?}");
    }
}

#[test]
fn any_double_gives_some_place() {
    for score in [-1.0, 0.5, f64::MAX, f64::MIN, f64::INFINITY, f64::NEG_INFINITY, 1e19, -1e19] {
        let place = Place::of_score(score);
        assert!(place.has_score(), "{score}: {place:?}");
    }
    assert_eq!(wrapped(-1.0), u64::MAX);
    assert_eq!(wrapped(1e19), 10_000_000_000_000_000_000);
    assert_eq!(wrapped(-1e19), 1 << 63);
    assert_eq!(wrapped(1e20), 0);
}

#[test]
fn the_edges_have_scores_too() {
    for (longitude, latitude) in [(180.0, LATITUDE_MAX), (-180.0, -LATITUDE_MAX)] {
        let place = Place { longitude, latitude };
        assert!(place.has_score());
        assert!(Place::of_score(place.score()).has_score());
    }
    assert!(!Place { longitude: 180.1, latitude: 0.0 }.has_score());
    assert!(!Place { longitude: f64::INFINITY, latitude: 0.0 }.has_score());
}

#[test]
fn cells_have_neighbours_all_around() {
    let cell = Cell { bits: 0, steps: 2 };
    let at = |east, north| cell.neighbour(east, north).bits;
    assert_eq!([at(0, 1), at(1, 0), at(1, 1)], [0b01, 0b10, 0b11]);
    assert_eq!([at(0, -1), at(-1, 0), at(-1, -1)], [0b0101, 0b1010, 0b1111]);
}

#[test]
fn a_search_visits_every_place_that_lies_in_it() {
    let seed = 4;
    let mut rng = Rng::new(seed);
    let places: Vec<Place> =
        (0..2000).map(|_| Place::of_score(random_place(&mut rng).score())).collect();
    for round in 0..300 {
        let center = random_place(&mut rng);
        let metres =
            |rng: &mut Rng| 10_f64.powi(1 + rng.below(6) as i32) * (1 + rng.below(5)) as f64;
        let shape = match rng.below(2) {
            0 => Shape::Circle { radius: metres(&mut rng) },
            _ => Shape::Rectangle { width: metres(&mut rng), height: metres(&mut rng) },
        };
        let search = Search { center, shape };
        // Near the date line and the poles a search ends where the map does, as in Redis.
        let bounds = search.bounds();
        if bounds.longitude.0 < -180.0 || bounds.longitude.1 > 180.0 || center.latitude.abs() > 60.0
        {
            continue;
        }
        let ranges = search.score_ranges();
        for place in places.iter().filter(|place| search.distance(**place).is_some()) {
            let score = place.score();
            let is_visited = ranges.iter().any(|(from, to)| (*from..*to).contains(&score));
            assert!(is_visited, "seed {seed}, round {round}: {search:?} {place:?}");
        }
    }
}

#[test]
fn a_search_of_everything_or_nothing_is_no_trouble() {
    let center = Place { longitude: 10.0, latitude: 50.0 };
    for radius in [0.0, 1e-300, 1e7, 1e300, f64::INFINITY] {
        let search = Search { center, shape: Shape::Circle { radius } };
        assert!(!search.score_ranges().is_empty());
        assert_eq!(search.distance(center), Some(0.0));
    }
}
