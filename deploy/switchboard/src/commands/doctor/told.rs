//! What a platform says of an account: the active connector's own questions tell it, and while none is active the doctor asks.

use std::time::Duration;

use switchboard_common::service::config::Config;
use switchboard_common::service::host;
use switchboard_common::store::{Account, Database, StoreError};
use switchboard_connectors::beside::{self, Asker, NotNow};
use switchboard_connectors::platform::{Opened, PlatformSpec, PollError};
use switchboard_connectors::{CHECK, Said};

use super::webhook::span;

/// For so long a moment is waited for in which the limits leave room.
const PATIENCE: Duration = Duration::from_secs(10);
/// What an active said longer ago than this is not believed: it should have asked again.
const BELIEVED: Duration = Duration::from_secs(2 * CHECK.as_secs());

/// What is known.
pub(super) struct Told {
    pub said: Said,
    /// How long ago the active asked; none: it was asked just now, from here.
    pub age: Option<Duration>,
}

/// Nothing is known: why not, and what mends it.
pub(super) struct Untold {
    pub why: String,
    pub mend: String,
}

/// Asks, or reads what the active was told.
pub(super) async fn learn(
    config: &Config,
    database: &Database,
    account: &Account,
    (spec, opened): (&PlatformSpec, &Opened),
) -> Result<Told, Untold> {
    let (name, platform) = (&account.name, &account.platform);
    let why = match ask(config, database, account, (spec, opened)).await {
        Ok(said) => return Ok(Told { said, age: None }),
        Err(NotNow::Held) => return by_the_active(database, account).await,
        Err(why) => why,
    };
    let mend = match why {
        NotNow::Unvouched => {
            format!("it looks at it, and asks, when it starts: switchboard connector --account {name}")
        }
        _ => "again in a quieter moment, with the rights of deploy/sql/roles.sql".to_owned(),
    };
    Err(Untold { why: format!("{platform} was not asked: {why}"), mend })
}

/// Who we are, and where the platform delivers when that is looked after: of a disabled account it is not.
async fn ask(
    config: &Config,
    database: &Database,
    account: &Account,
    (spec, opened): (&PlatformSpec, &Opened),
) -> Result<Said, NotNow> {
    let (platform, limits) = (opened.platform.as_ref(), opened.capabilities.limits.as_slice());
    let both = account.enabled && spec.webhook_secret.is_some();
    let asker = Asker {
        name: &format!("doctor {}:{}", host::name(), std::process::id()),
        session_timeout: Duration::from_millis(config.zookeeper.session_timeout_ms),
    };
    let cost = 1 + usize::from(both);
    let permit = beside::permit((database, account), (platform, limits), asker, cost, PATIENCE).await?;
    let told = async {
        platform.probe(permit.deadline()).await?;
        if both { platform.webhook_info(permit.deadline()).await.map(Some) } else { Ok(None) }
    };
    let told = told.await;
    match &told {
        // It is noted until it is; an operator does not wait for that.
        Err(PollError::Throttled(pause)) => drop(tokio::time::timeout(PATIENCE, permit.throttled(*pause)).await),
        _ => permit.answered().await,
    }
    Ok(match told {
        Ok(webhook) => Said { webhook, error: None },
        Err(error) => Said { webhook: None, error: Some(error) },
    })
}

async fn by_the_active(database: &Database, account: &Account) -> Result<Told, Untold> {
    let (name, platform) = (&account.name, &account.platform);
    let read = |error: StoreError| Untold {
        why: format!("what {platform} said to the active cannot be read: {error}"),
        mend: "see the role's rights: deploy/sql/roles.sql".to_owned(),
    };
    let Some(row) = database.registration(account.id).await.map_err(read)? else {
        return Err(Untold {
            why: format!("no connector has written down yet what {platform} says"),
            mend: "the active asks when it begins, then every ten minutes: its log says why it could not; one of an earlier \
                   version never does"
                .to_owned(),
        });
    };
    if row.age > BELIEVED {
        return Err(Untold {
            why: format!(
                "what {platform} said to the active is {} old, too old to tell anything",
                span(row.age.as_secs() as i64)
            ),
            mend: format!(
                "the active asks every ten minutes: its log says why it could not; `switchboard handover {name}` makes one \
                 that asks at once"
            ),
        });
    }
    match Said::from_json(row.said) {
        Ok(said) => Ok(Told { said, age: Some(row.age) }),
        Err(error) => Err(Untold {
            why: format!("this version cannot read what the active wrote down of {platform}: {error}"),
            mend: "take the doctor of the connector's version".to_owned(),
        }),
    }
}
