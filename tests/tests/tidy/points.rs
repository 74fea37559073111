//! Crash points: each is one place in the product, and the battery knows each.

use std::collections::BTreeMap;

use crate::files::{File, get, none, rust};
use crate::imports::code;

/// Points by process: webhook, poller, media, sender, leader, chatserver, loader, files, an operator's command.
const POINTS: &[(&str, u32)] =
    &[("W", 7), ("P", 5), ("M", 3), ("S", 8), ("L", 5), ("C", 6), ("H", 1), ("F", 3), ("A", 2)];

/// What the product does not do, so that nothing can end in its middle.
const ABSENT: &[(&str, &str)] = &[("A1", "nothing erases a customer")];

/// Further places, where a known bug must be caught in the act.
const OF_BUGS: &[&str] = &["S0", "C0"];

/// What the battery knows of them.
const TABLE: &str = "tests/chaos/src/battery/crash_points/table.rs";

/// What reaches a point.
const REACHED_BY: &[&str] = &["point(\"", "during(\""];

fn demanded() -> impl Iterator<Item = String> {
    let all = POINTS.iter().flat_map(|(process, count)| (1..=*count).map(move |number| format!("{process}{number}")));
    all.filter(|name| !ABSENT.iter().any(|(absent, _)| absent == name))
}

/// Where each point of the product is.
fn places() -> BTreeMap<&'static str, Vec<String>> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let product = |file: &&File| {
        ["common/", "connectors/", "chatserver/", "loader/", "fileserver/"].iter().any(|folder| file.is_under(folder))
    };
    for file in rust().filter(product).filter(|file| !file.path.starts_with("common/src/faults")) {
        for (number, line) in code(file) {
            for begin in REACHED_BY {
                let names = line.match_indices(begin).filter_map(|(at, _)| line[at + begin.len()..].split('"').next());
                for name in names {
                    places.entry(name).or_default().push(format!("{}:{number}", file.path));
                }
            }
        }
    }
    places
}

#[test]
fn each_crash_point_is_one_place_in_the_product() {
    let places = places();
    let missing: Vec<String> = demanded().filter(|name| !places.contains_key(name.as_str())).collect();
    none(&missing, "nothing reaches these points");
    let twice: Vec<String> =
        places.iter().filter(|(_, at)| at.len() > 1).map(|(name, at)| format!("{name}: {}", at.join(", "))).collect();
    none(&twice, "a point is one place: what must hold after it depends on where it is");
    let demanded: Vec<String> = demanded().collect();
    let unknown: Vec<String> = places
        .iter()
        .filter(|(name, _)| !OF_BUGS.contains(name) && !demanded.iter().any(|known| known == *name))
        .map(|(name, at)| format!("{name}: {}", at.join(", ")))
        .collect();
    none(&unknown, "name them in tests/tests/tidy/points.rs and in the battery's table");
}

#[test]
fn the_battery_dies_at_each_crash_point() {
    let text = get(TABLE).text();
    let rows = |name: &str| ["point(\"", "name: \""].map(|begin| text.matches(&format!("{begin}{name}\"")).count());
    let wrong: Vec<String> = demanded().filter(|name| rows(name).iter().sum::<usize>() != 1).collect();
    none(&wrong, &format!("each has one row in {TABLE}: what the dead process leaves behind"));
}
