//! `switchboard doctor`: looks at everything a fleet needs, and says of each finding what mends it.

mod accounts;
mod certificate;
mod host;
mod postgres;
mod proxy;
mod told;
mod webhook;
mod zookeeper;

use serde_json::{Value, json};
use switchboard_common::service::config::{Config, ConfigError};

use crate::cli::DoctorArgs;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// As it should be.
    Good,
    /// It works; this would be better.
    Advice,
    /// It does not work, or promises are not kept.
    Bad,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Advice => "advice",
            Self::Bad => "bad",
        }
    }
}

/// Something that was looked at.
#[derive(Debug)]
struct Finding {
    level: Level,
    area: &'static str,
    what: String,
    mend: Option<String>,
}

/// What was found so far, in one area after the other.
#[derive(Debug, Default)]
struct Findings {
    area: &'static str,
    all: Vec<Finding>,
}

impl Findings {
    fn area(&mut self, area: &'static str) -> &mut Self {
        self.area = area;
        self
    }

    fn good(&mut self, what: impl Into<String>) {
        self.all.push(Finding { level: Level::Good, area: self.area, what: what.into(), mend: None });
    }

    fn advice(&mut self, what: impl Into<String>, mend: impl Into<String>) {
        self.all.push(Finding { level: Level::Advice, area: self.area, what: what.into(), mend: Some(mend.into()) });
    }

    fn bad(&mut self, what: impl Into<String>, mend: impl Into<String>) {
        self.all.push(Finding { level: Level::Bad, area: self.area, what: what.into(), mend: Some(mend.into()) });
    }

    fn bad_ones(&self) -> usize {
        self.all.iter().filter(|finding| finding.level == Level::Bad).count()
    }
}

/// Looks at everything; fails when something is bad.
pub async fn run(config: Result<Config, ConfigError>, args: &DoctorArgs) -> anyhow::Result<()> {
    let mut found = Findings::default();
    found.area("configuration");
    match config {
        Ok(config) => {
            found.good("every option is known and can be");
            examine(&config, args, &mut found).await;
        }
        Err(error) => {
            found.bad(error.to_string(), "`switchboard config default` prints every option and what it means")
        }
    }
    match args.json {
        true => println!("{}", Value::from(found.all.iter().map(describe).collect::<Vec<_>>())),
        false => found.all.iter().for_each(|finding| print!("{}", text(finding))),
    }
    match found.bad_ones() {
        0 => Ok(()),
        count => anyhow::bail!("{count} of {} findings are bad", found.all.len()),
    }
}

async fn examine(config: &Config, args: &DoctorArgs, found: &mut Findings) {
    host::examine(config, found.area("host")).await;
    let database = postgres::examine(config, found.area("postgres")).await;
    zookeeper::examine(config, found.area("zookeeper")).await;
    if let Some(database) = database {
        accounts::examine(config, &database, args.account.as_deref(), found.area("account")).await;
    }
    if let Some(url) = &args.public_url {
        proxy::examine(url, found.area("proxy")).await;
    }
}

fn describe(finding: &Finding) -> Value {
    json!({"level": finding.level.as_str(), "area": finding.area, "what": finding.what, "mend": finding.mend})
}

fn text(finding: &Finding) -> String {
    let mend = finding.mend.as_ref().map_or(String::new(), |mend| format!("{:23}mend: {mend}\n", ""));
    format!("{:<8}{:<15}{}\n{mend}", finding.level.as_str(), finding.area, finding.what)
}
