//! Alerts and the dashboard: read by promtool, and about metrics that there are.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::{deploy, run, said, scratch};

const METRICS: &str = include_str!("../../../common/src/service/metrics.rs");

fn promtool() -> Command {
    Command::new(std::env::var_os("SWITCHBOARD_PROMTOOL").unwrap_or_else(|| "promtool".into()))
}

/// Names in quotes of the one file that has them all.
fn known() -> BTreeSet<&'static str> {
    let known: BTreeSet<&str> = METRICS.split('"').filter(|text| text.starts_with("switchboard_")).collect();
    assert!(known.len() > 20, "{known:?}");
    known
}

/// Every metric that a text names, without what a histogram adds.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let plain =
        |word: &'_ str| ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).map(str::len);
    words
        .filter(|word| word.starts_with("switchboard_"))
        .map(|word| &word[..plain(word).unwrap_or(word.len())])
        .collect()
}

fn is_known(text: &str) {
    let known = known();
    let strangers: Vec<&str> = named(text).into_iter().filter(|name| !known.contains(name)).collect();
    assert!(strangers.is_empty(), "no process has these metrics: {strangers:?}");
}

#[test]
fn alerts_are_read_and_about_metrics_that_there_are() {
    let rules = deploy("prometheus/switchboard.rules.yml");
    let output = run(promtool().args(["check", "rules", "--lint=all", "--lint-fatal"]).arg(&rules));
    assert!(output.status.success(), "{}", said(&output));
    is_known(&std::fs::read_to_string(rules).unwrap());
}

#[test]
fn the_dashboard_is_read_and_about_metrics_that_there_are() {
    let text = std::fs::read_to_string(deploy("grafana/switchboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(dashboard["__inputs"][0]["type"], "datasource", "whoever imports it chooses the data source");
    assert!(dashboard["id"].is_null(), "no id of somebody's Grafana");
    let variables: Vec<&Value> =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|v| &v["name"]).collect();
    assert_eq!(variables, ["account", "instance"]);
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let targets = || panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expressions: Vec<&str> = targets().map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(expressions.len() > 20);
    assert!(targets().all(|target| target["datasource"]["uid"] == "${DS_PROMETHEUS}"));
    is_known(&expressions.join(" "));
    let queries: Vec<&str> =
        dashboard["templating"]["list"].as_array().unwrap().iter().filter_map(|v| v["definition"].as_str()).collect();
    is_known(&queries.join(" "));

    // As rules, whose syntax promtool knows. JSON is YAML.
    let rules: Vec<Value> = expressions
        .iter()
        .enumerate()
        .map(|(n, expr)| json!({"record": format!("panel:{n}"), "expr": expr.replace("$__rate_interval", "1m")}))
        .collect();
    let file = scratch("dashboard").join("rules.yml");
    std::fs::write(&file, json!({"groups": [{"name": "panels", "rules": rules}]}).to_string()).unwrap();
    let output = run(promtool().args(["check", "rules"]).arg(&file));
    assert!(output.status.success(), "{}", said(&output));
}
