//! A search for places: how it is asked for, what it finds, and where that goes.
//!
//! Path: `geo::{search, radius}` -> here -> `types::geohash`.

use super::nearest::sort_front;
use super::{parse_place, parse_unit, write_distance, write_place};
use crate::args::Args;
use crate::error::CommandError;
use crate::types::geohash::{Place, Search, Shape};
use crate::types::sorted_set::{SortedSet, SortedSetLimits};
use protocol::number;
use protocol::reply::Writer;

/// The commands that search; each has arguments of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// GEORADIUS, GEORADIUS_RO: around coordinates.
    Radius(Storing),
    /// GEORADIUSBYMEMBER, GEORADIUSBYMEMBER_RO: around a member.
    RadiusByMember(Storing),
    /// GEOSEARCH
    Search,
    /// GEOSEARCHSTORE
    SearchStore,
}

/// Whether STORE and STOREDIST are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storing {
    /// They are.
    Allowed,
    /// They are not: the command only reads.
    Refused,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }

    fn may_store(self) -> bool {
        matches!(self, Form::Radius(Storing::Allowed) | Form::RadiusByMember(Storing::Allowed))
    }

    /// Where the key of the sorted set stands in argv.
    pub(super) fn source_index(self) -> usize {
        if self == Form::SearchStore { 2 } else { 1 }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// Where to search; `None` if there is no sorted set to search in.
    search: Option<Search>,
    /// How many metres the unit of the distances is.
    unit: f64,
    order: Option<Order>,
    /// Most places to find; 0 for all.
    count: usize,
    /// Whether any `count` places will do, instead of the nearest.
    is_any: bool,
    with_distance: bool,
    with_score: bool,
    with_place: bool,
    /// Where the result goes, if not to the client.
    pub(super) target: Option<Target>,
}

/// The nearest or the farthest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
}

/// A key that gets the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The key, as an index into argv.
    pub(super) key_index: usize,
    /// What the scores become.
    scores: Scores,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scores {
    Geohashes,
    Distances,
}

/// A place that was found.
#[derive(Clone, Debug)]
struct Found<'a> {
    member: &'a [u8],
    score: f64,
    place: Place,
    /// Metres from the middle.
    distance: f64,
}

/// The parts of [`Query::search`] while they are read.
#[derive(Clone, Copy, Debug, Default)]
struct Around {
    center: Option<Place>,
    /// Whether the middle was given as a member, of a sorted set that may not exist.
    is_member: bool,
    shape: Option<Shape>,
}

impl Query {
    /// Reads a request, whose arguments begin behind the keys, for a search in `set`.
    ///
    /// # Errors
    /// Redis's, in Redis's order.
    pub(super) fn parse(
        form: Form,
        set: Option<&SortedSet>,
        mut args: Args<'_>,
    ) -> Result<Query, CommandError> {
        let mut around = Around::default();
        let mut query = Query {
            search: None,
            unit: 1.0,
            order: None,
            count: 0,
            is_any: false,
            with_distance: false,
            with_score: false,
            with_place: false,
            target: (form == Form::SearchStore)
                .then_some(Target { key_index: 1, scores: Scores::Geohashes }),
        };
        match form {
            Form::Radius(_) => {
                around.center = Some(parse_place(&mut args)?);
                around.shape = Some(query.parse_circle(&mut args)?);
            }
            Form::RadiusByMember(_) => {
                around.take_member(set, args.bytes()?)?;
                match set {
                    Some(_) => around.shape = Some(query.parse_circle(&mut args)?),
                    // Without a sorted set Redis does not look at the radius.
                    None => (0..2).for_each(|_| args.skip()),
                }
            }
            Form::Search | Form::SearchStore => {}
        }
        while !args.is_empty() {
            query.parse_option(form, set, &mut around, &mut args)?;
        }
        query.check(form, &around, &args)?;
        query.search = around.search();
        Ok(query)
    }

    /// Reads one option.
    fn parse_option(
        &mut self,
        form: Form,
        set: Option<&SortedSet>,
        around: &mut Around,
        args: &mut Args<'_>,
    ) -> Result<(), CommandError> {
        let word = args.bytes()?.to_ascii_uppercase();
        let following = args.remaining();
        match word.as_slice() {
            b"WITHDIST" => self.with_distance = true,
            b"WITHHASH" => self.with_score = true,
            b"WITHCOORD" => self.with_place = true,
            b"ANY" => self.is_any = true,
            b"ASC" => self.order = Some(Order::Ascending),
            b"DESC" => self.order = Some(Order::Descending),
            b"COUNT" if following >= 1 => {
                let count = usize::try_from(args.integer()?).unwrap_or(0);
                if count == 0 {
                    return Err(CommandError::text("ERR COUNT must be > 0"));
                }
                self.count = count;
            }
            b"STORE" | b"STOREDIST" if following >= 1 && form.may_store() => {
                let is_distance = word == b"STOREDIST";
                let scores = if is_distance { Scores::Distances } else { Scores::Geohashes };
                self.target = Some(Target { key_index: args.position(), scores });
                args.skip();
            }
            b"STOREDIST" if form == Form::SearchStore => {
                self.target = Some(Target { key_index: 1, scores: Scores::Distances });
            }
            b"FROMMEMBER" if following >= 1 && form.is_search() && !around.is_given_by_place() => {
                around.take_member(set, args.bytes()?)?;
            }
            b"FROMLONLAT" if following >= 2 && form.is_search() && !around.is_member => {
                around.center = Some(parse_place(args)?);
            }
            b"BYRADIUS"
                if following >= 2
                    && form.is_search()
                    && !matches!(around.shape, Some(Shape::Rectangle { .. })) =>
            {
                around.shape = Some(self.parse_circle(args)?);
            }
            b"BYBOX"
                if following >= 3
                    && form.is_search()
                    && !matches!(around.shape, Some(Shape::Circle { .. })) =>
            {
                around.shape = Some(self.parse_rectangle(args)?);
            }
            _ => return Err(CommandError::Syntax),
        }
        Ok(())
    }

    /// Whether the options fit together and all that is needed was given.
    fn check(&self, form: Form, around: &Around, args: &Args<'_>) -> Result<(), CommandError> {
        if self.target.is_some() && (self.with_distance || self.with_score || self.with_place) {
            return Err(CommandError::text(match form {
                Form::SearchStore => {
                    "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
                }
                _ => {
                    "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
                }
            }));
        }
        let lacking = |what: &str| {
            let name = args.argv().get(0).unwrap_or_default();
            let text = format!("ERR exactly one of {what} can be specified for ");
            Err(CommandError::showing(&text, name, ""))
        };
        if form.is_search() && around.center.is_none() && !around.is_member {
            return lacking("FROMMEMBER or FROMLONLAT");
        }
        if form.is_search() && around.shape.is_none() {
            return lacking("BYRADIUS and BYBOX");
        }
        if self.is_any && self.count == 0 {
            return Err(CommandError::text("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// Reads a radius and its unit.
    fn parse_circle(&mut self, args: &mut Args<'_>) -> Result<Shape, CommandError> {
        let radius = number::parse_f64(args.bytes()?)
            .ok_or(CommandError::text("ERR need numeric radius"))?;
        if radius < 0.0 {
            return Err(CommandError::text("ERR radius cannot be negative"));
        }
        self.unit = parse_unit(args.bytes()?)?;
        Ok(Shape::Circle { radius: radius * self.unit })
    }

    /// Reads width, height and their unit.
    fn parse_rectangle(&mut self, args: &mut Args<'_>) -> Result<Shape, CommandError> {
        let width =
            number::parse_f64(args.bytes()?).ok_or(CommandError::text("ERR need numeric width"))?;
        let height = number::parse_f64(args.bytes()?)
            .ok_or(CommandError::text("ERR need numeric height"))?;
        if width < 0.0 || height < 0.0 {
            return Err(CommandError::text("ERR height or width cannot be negative"));
        }
        self.unit = parse_unit(args.bytes()?)?;
        Ok(Shape::Rectangle { width: width * self.unit, height: height * self.unit })
    }

    /// The places that are asked for, in the order they are asked for.
    ///
    /// Cost: O(log n) and the places of up to nine cells around the search.
    fn run<'a>(&self, set: &'a SortedSet) -> Vec<Found<'a>> {
        let Some(search) = self.search else { return Vec::new() };
        let mut found = self.collect(&search, set);
        // The first few without an order would be any: the nearest are meant, unless the client says otherwise.
        let default = (self.count > 0 && !self.is_any).then_some(Order::Ascending);
        let wanted = if self.count == 0 { found.len() } else { self.count.min(found.len()) };
        if let Some(order) = self.order.or(default) {
            let compare = |a: &Found<'_>, b: &Found<'_>| match order {
                Order::Ascending => a.distance.total_cmp(&b.distance),
                Order::Descending => b.distance.total_cmp(&a.distance),
            };
            if wanted == found.len() {
                found.sort_by(compare);
            } else {
                sort_front(&mut found, wanted, &compare);
            }
        }
        found.truncate(wanted);
        found
    }

    /// The places of the search, cell by cell; no more than asked for, if any will do.
    fn collect<'a>(&self, search: &Search, set: &'a SortedSet) -> Vec<Found<'a>> {
        let count_max = if self.is_any { self.count } else { usize::MAX };
        let mut found = Vec::new();
        for (from, to) in search.score_ranges() {
            let start = set.partition_point(|_, score| score < from);
            let members = set.range(start..set.len()).take_while(|(_, score)| *score < to);
            for (member, score) in members {
                if found.len() >= count_max {
                    return found;
                }
                let place = Place::of_score(score);
                if let Some(distance) = search.distance(place) {
                    found.push(Found { member, score, place, distance });
                }
            }
        }
        found
    }

    /// Writes the places that are asked for.
    pub(super) fn answer(&self, set: Option<&SortedSet>, reply: &mut Writer<'_>) {
        let found = set.map(|set| self.run(set)).unwrap_or_default();
        let extras = [self.with_distance, self.with_score, self.with_place];
        let extra_count = extras.iter().filter(|wanted| **wanted).count();
        reply.array(found.len());
        for Found { member, score, place, distance } in found {
            if extra_count > 0 {
                reply.array(1 + extra_count);
            }
            reply.bulk(member);
            if self.with_distance {
                write_distance(distance / self.unit, reply);
            }
            if self.with_score {
                reply.integer(score as i64);
            }
            if self.with_place {
                write_place(place, reply);
            }
        }
    }

    /// The places that are asked for as a sorted set, for the target.
    pub(super) fn result(&self, set: Option<&SortedSet>, limits: SortedSetLimits) -> SortedSet {
        let found = set.map(|set| self.run(set)).unwrap_or_default();
        let scores = self.target.map_or(Scores::Geohashes, |target| target.scores);
        let mut result = SortedSet::default();
        result.prepare(found.len(), limits);
        for Found { member, score, distance, .. } in found {
            let score = match scores {
                Scores::Geohashes => score,
                Scores::Distances => distance / self.unit,
            };
            result.insert(member, score, limits);
        }
        result
    }
}

impl Around {
    fn is_given_by_place(&self) -> bool {
        self.center.is_some() && !self.is_member
    }

    /// Takes the place of `member` as the middle, if there is a sorted set.
    fn take_member(&mut self, set: Option<&SortedSet>, member: &[u8]) -> Result<(), CommandError> {
        self.is_member = true;
        let Some(set) = set else { return Ok(()) };
        let score = set
            .score(member)
            .ok_or(CommandError::text("ERR could not decode requested zset member"))?;
        self.center = Some(Place::of_score(score));
        Ok(())
    }

    fn search(&self) -> Option<Search> {
        Some(Search { center: self.center?, shape: self.shape? })
    }
}
