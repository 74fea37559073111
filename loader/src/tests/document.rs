//! The document names exactly the routes that the rules do.

use std::collections::BTreeSet;

use switchboard_common::access::{Surface, rules};

#[test]
fn the_document_has_the_routes_of_the_rules() {
    let document = serde_json::to_value(crate::openapi()).unwrap();
    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let ruled: BTreeSet<String> =
        rules::ALL.iter().filter(|rule| rule.surface == Surface::Loader).map(|rule| rule.name.to_owned()).collect();
    assert_eq!(described, ruled);
    assert_eq!(document["openapi"], "3.1.0");
}
