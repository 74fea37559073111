//! Everything together: bots, the listener, the routes.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use anyhow::Context as _;
use axum::Router;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    bot::Bot,
    clock::Calendar,
    connection::{Connection, CuttableListener},
    control, delivery, exchange,
    faults::Fault,
    limits::{Limiter, Rules},
    log::ObserverLog,
    page,
};

/// How a simulator is started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Accounts and their tokens.
    pub bots: Vec<(String, String)>,
    /// The observers' log.
    pub log: PathBuf,
    /// How long an answer stays here before it leaves: the way to the platform and back.
    pub reply_delay: Duration,
    /// Which random moments calls arrive at, where rules want them to.
    pub seed: u64,
    /// Flood control.
    pub rules: Rules,
    /// The agents' page, shown beside the phone.
    pub desk: Option<String>,
    /// Webhooks may be plain HTTP at any port, as with the self-hosted server.
    pub local: bool,
    /// Answers as if it did what it is asked, and does nothing of it.
    pub mute: bool,
}

/// A platform with some bots.
#[derive(Debug)]
pub struct Simulator {
    /// The bots.
    pub bots: Vec<Arc<Bot>>,
    /// The platform's calendar.
    pub calendar: Arc<Calendar>,
    /// How long an answer stays here.
    pub reply_delay: Duration,
    /// Which random moments calls arrive at.
    pub seed: u64,
    /// Calls so far, of all bots: they are numbered through.
    pub calls: AtomicU64,
    /// The agents' page.
    pub desk: Option<String>,
    /// Asks webhooks.
    pub webhooks: OnceLock<reqwest::Client>,
}

impl Simulator {
    /// The bot of an account.
    pub fn bot(&self, acct: &str) -> Option<&Arc<Bot>> {
        self.bots.iter().find(|bot| bot.name == acct)
    }

    /// The bot that a token opens.
    pub fn bot_by_token(&self, token: &str) -> Option<Arc<Bot>> {
        self.bots.iter().find(|bot| bot.opens_with(token)).cloned()
    }
}

/// A simulator that listens and is not served yet.
#[derive(Debug)]
pub struct Listening {
    simulator: Arc<Simulator>,
    listener: TcpListener,
}

impl Listening {
    /// Opens the log and the port.
    pub async fn open(settings: Settings) -> anyhow::Result<Self> {
        let log = Arc::new(ObserverLog::open(&settings.log)?);
        let calendar = Arc::new(Calendar::default());
        let mut bots: Vec<Arc<Bot>> = Vec::new();
        for (name, token) in &settings.bots {
            let bot = Bot::new(name, token, Limiter::new(settings.rules), Arc::clone(&log), Arc::clone(&calendar))?;
            anyhow::ensure!(bots.iter().all(|other| other.name != bot.name), "two bots are named {name}");
            anyhow::ensure!(bots.iter().all(|other| other.id != bot.id), "two bots have the id {}", bot.id);
            bot.lock().local = settings.local;
            if settings.mute {
                bot.lock().faults.add(Fault::mute());
            }
            bots.push(Arc::new(bot));
        }
        anyhow::ensure!(!bots.is_empty(), "a platform without a bot is of no use: give --bot NAME=TOKEN");
        let listener =
            TcpListener::bind(settings.listen).await.with_context(|| format!("listening at {}", settings.listen))?;
        let simulator = Arc::new(Simulator {
            bots,
            calendar,
            reply_delay: settings.reply_delay,
            seed: settings.seed,
            calls: AtomicU64::new(0),
            desk: settings.desk,
            webhooks: OnceLock::new(),
        });
        Ok(Self { simulator, listener })
    }

    /// Where it listens.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.listener.local_addr().context("reading the listener's address")
    }

    /// Serves until the process or the task ends.
    pub async fn serve(self) -> anyhow::Result<()> {
        let mut deliveries = JoinSet::new();
        for bot in &self.simulator.bots {
            deliveries.spawn(delivery::run(Arc::clone(&self.simulator), Arc::clone(bot)));
        }
        let router = Router::new()
            .merge(page::routes())
            .merge(control::routes())
            .fallback(exchange::handle)
            .with_state(self.simulator);
        let service = router.into_make_service_with_connect_info::<Connection>();
        axum::serve(CuttableListener(self.listener), service).await.context("serving")
    }
}
