//! Accounts: settings that open here, secrets, the platform's own answer, and who serves them.

use std::path::Path;
use std::time::Duration;

use switchboard_common::service::config::Config;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Account, AccountState, Database};
use switchboard_connectors::platform::{Http, Opened, PlatformSpec, PollError, WebhookInfo};
use switchboard_connectors::settings::webhook_path;
use switchboard_connectors::{beside, platforms};

use super::Findings;
use super::webhook::{self, Wanted};
use crate::commands::fleet::standing;
use crate::process::ensemble;

/// For so long a moment is waited for in which a question hinders nobody.
const PATIENCE: Duration = Duration::from_secs(10);
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
    let told = match ask(database, account, spec, &opened).await {
        Ok(told) => told,
        Err(why) => {
            let what = format!("{name}: {} was not asked: {why}", account.platform);
            return found.advice(what, "again in a quieter moment, with the rights of deploy/sql/roles.sql");
        }
    };
    match told {
        Ok(told) => {
            found.good(format!("{name}: {} answers and takes its credentials", account.platform));
            let wanted = Wanted {
                account: name.as_str(),
                receive: opened.receive,
                public_url: &config.connector.public_url,
                path: &webhook_path(account),
                secrets: opened.secrets.as_ref().map_or(0, |secrets| secrets.current().len()),
            };
            if let Some(info) = told {
                webhook::judge(&wanted, &info, chrono::Utc::now().timestamp(), found);
            }
        }
        Err(PollError::AccountDown(why)) => found.bad(
            format!("{name}: {} refuses the account: {why}", account.platform),
            format!("get a new token, put it into the file, or: switchboard account set {name} token=file:/path"),
        ),
        Err(PollError::Throttled(span)) => found.advice(
            format!("{name}: {} asks for a pause of {} s", account.platform, span.as_secs()),
            "wait so long; `switchboard fleet` shows pauses",
        ),
        Err(error) => found.bad(
            format!("{name}: {} cannot be reached from this host: {error}", account.platform),
            "is there a firewall or a proxy (connector.proxy) between, and is base_url right?",
        ),
    }
}

/// Who we are, and where the platform delivers when that is looked after: of a disabled account it is not.
async fn ask(
    database: &Database,
    account: &Account,
    spec: &PlatformSpec,
    opened: &Opened,
) -> Result<Result<Option<WebhookInfo>, PollError>, beside::NotNow> {
    let (platform, limits) = (opened.platform.as_ref(), opened.capabilities.limits.as_slice());
    let both = account.enabled && spec.webhook_secret.is_some();
    let permit = beside::permit(database, account, (platform, limits), 1 + usize::from(both), PATIENCE).await?;
    let told = async {
        platform.probe().await?;
        if both { platform.webhook_info(permit.deadline()).await.map(Some) } else { Ok(None) }
    };
    let told = told.await;
    match &told {
        // It is noted until it is; an operator does not wait for that.
        Err(PollError::Throttled(span)) => drop(tokio::time::timeout(PATIENCE, permit.throttled(*span)).await),
        _ => permit.answered().await,
    }
    Ok(told)
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
