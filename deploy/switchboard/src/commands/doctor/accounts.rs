//! Accounts: settings that open here, secrets, what the platform says, and who serves them.

use std::path::Path;
use std::time::Duration;

use switchboard_common::service::config::Config;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Account, AccountState, Database};
use switchboard_connectors::platform::{Http, PollError};
use switchboard_connectors::platforms;
use switchboard_connectors::settings::webhook_path;

use super::Findings;
use super::told::{self, Told, Untold};
use super::webhook::{self, Wanted};
use crate::commands::fleet::standing;
use crate::process::ensemble;

/// A lease is renewed four times as often.
const RENEWED_AGO_S: f64 = 10.0;

pub(super) async fn examine(config: &Config, database: &Database, only: Option<&str>, found: &mut Findings) {
    let (accounts, states) = match tokio::try_join!(database.accounts(), database.account_states()) {
        Ok(both) => both,
        Err(error) => return found.bad(format!("accounts cannot be read: {error}"), "see the role's rights"),
    };
    let chosen: Vec<Account> =
        accounts.into_iter().filter(|account| only.is_none_or(|only| only == account.name.as_str())).collect();
    match (chosen.is_empty(), only) {
        (true, Some(name)) => found.bad(format!("there is no account \"{name}\""), "switchboard account list"),
        (true, None) => found.advice("there is no account yet", "switchboard account add"),
        (false, _) => {}
    }
    let surroundings = Shutdown::default();
    let ensemble = ensemble(config, &surroundings);
    for account in chosen {
        settings(config, database, &account, found).await;
        if let Some(state) = states.iter().find(|state| state.account == account.name.as_str()) {
            let line = standing(&ensemble, &account.name).await;
            served(state, line, found);
        }
    }
    surroundings.begin();
    surroundings.drained(Duration::from_secs(2)).await;
}

async fn settings(config: &Config, database: &Database, account: &Account, found: &mut Findings) {
    let name = &account.name;
    for (key, reference) in account.settings.as_object().into_iter().flatten() {
        if let Some(path) = reference.as_str().and_then(|text| text.strip_prefix("file:")) {
            super::host::secret(&format!("{name}: {key}"), Path::new(path), found);
        }
    }
    let Some(spec) = platforms::find(&account.platform) else {
        return found.bad(
            format!("{name}: this version knows no platform \"{}\"", account.platform),
            "install the version that the account was made with",
        );
    };
    let opened = Http::through(&config.connector.proxy).map_err(|error| error.to_string());
    let opened = opened.and_then(|http| spec.open(&account.settings, http).map_err(|error| error.to_string()));
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => {
            return found.bad(format!("{name}: {error}"), format!("switchboard account set {name} KEY=VALUE"));
        }
    };
    let Told { said, age } = match told::learn(config, database, account, (spec, &opened)).await {
        Ok(told) => told,
        Err(Untold { why, mend }) => return found.advice(format!("{name}: {why}"), mend),
    };
    let age_s = age.map_or(0, |age| age.as_secs() as i64);
    let when = age.map_or(String::new(), |_| format!(", as the active was told {} ago", webhook::span(age_s)));
    if said.error.is_none() {
        found.good(format!("{name}: {} answers and takes its credentials{when}", account.platform));
    }
    if let Some(info) = said.webhook {
        let wanted = Wanted {
            account: name.as_str(),
            receive: opened.receive,
            public_url: &config.connector.public_url,
            path: &webhook_path(account),
            secrets: opened.secrets.as_ref().map_or(0, |secrets| secrets.current().len()),
            age_s,
        };
        webhook::judge(&wanted, &info, chrono::Utc::now().timestamp(), found);
    }
    let Some(error) = said.error else { return };
    let host = if age.is_some() { "the active's host" } else { "this host" };
    match error {
        PollError::AccountDown(why) => found.bad(
            format!("{name}: {} refuses the account: {why}{when}", account.platform),
            format!("get a new token, put it into the file, or: switchboard account set {name} token=file:/path"),
        ),
        PollError::Throttled(span) => found.advice(
            format!("{name}: {} asks for a pause of {} s{when}", account.platform, span.as_secs()),
            "wait so long; `switchboard fleet` shows pauses",
        ),
        error => found.bad(
            format!("{name}: {} cannot be reached from {host}: {error}{when}", account.platform),
            "is there a firewall or a proxy (connector.proxy) between, and is base_url right?",
        ),
    }
}

fn served(state: &AccountState, line: Option<Vec<String>>, found: &mut Findings) {
    let name = &state.account;
    let start = format!("switchboard connector --account {name}");
    match (&state.active, state.enabled) {
        (_, false) => found.advice(format!("{name}: disabled"), format!("switchboard account enable {name}")),
        (None, true) => found.bad(format!("{name}: no connector is active"), start.clone()),
        (Some(active), true) => match state.renewed_ago_s.unwrap_or_default() {
            ago if ago > RENEWED_AGO_S => found.bad(
                format!("{name}: {active} has not renewed its lease for {ago:.0} s, and nobody has taken over"),
                start.clone(),
            ),
            _ => found.good(format!("{name}: {active} is active, epoch {}", state.epoch)),
        },
    }
    let standbys = line.map(|line| line.iter().filter(|one| Some(*one) != state.active.as_ref()).count());
    match standbys {
        Some(0) if state.enabled => found.advice(
            format!("{name}: no standby: a takeover waits until the active is started again"),
            format!("on another host: {start}"),
        ),
        Some(count) if state.enabled => found.good(format!("{name}: {count} standing by")),
        _ => {}
    }
    if state.quarantined > 0 {
        found.advice(
            format!("{name}: {} updates could not be read", state.quarantined),
            format!("switchboard inbox list {name}; after an upgrade: switchboard inbox replay {name}"),
        );
    }
    if state.unconfirmed > 0 {
        found.advice(
            format!("{name}: {} parts may have arrived or not, and wait for a person", state.unconfirmed),
            format!("switchboard outbox list {name} --state unconfirmed"),
        );
    }
}
