//! The command line. Secrets are never flags.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use switchboard_common::model::TokenScope;

pub use crate::cli_decisions::{InboxCommand, OutboxCommand, PartArgs};
pub use crate::cli_replies::ReplyCommand;
use crate::commands::loader::LoaderArgs;
use crate::descriptions::DescribeArgs;

/// Chats of messengers, for agents' desktops.
#[derive(Parser)]
#[command(name = "switchboard", version, max_term_width = 100)]
pub struct Cli {
    /// Configuration file.
    #[arg(long, env = "SWITCHBOARD_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Who is written down for a change; usually the account that runs the command.
    #[arg(long, global = true)]
    pub actor: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Subcommands: components first, then what operators do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve one account: take its updates in, send its parts out. A second one for the same account stands by.
    Connector(ConnectorArgs),
    /// Serve agents' websockets. Several share the work.
    Chatserver(ChatserverArgs),
    /// Answer REST: lists of chats, histories, exports. Several share the work.
    Loader(LoaderArgs),
    /// Bring the database's tables to this version.
    Migrate,
    /// Queues, where chats wait for agents.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Accounts, our identities on platforms.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Agents, our people who answer.
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Canned replies: words that agents send often, under a short name.
    #[command(subcommand)]
    Reply(ReplyCommand),
    /// Who is active where, what waits, how fast it goes, and what went wrong last.
    Fleet {
        /// Look again every second.
        #[arg(long)]
        watch: bool,
        /// One JSON array, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Look at everything a fleet needs; says of each finding what mends it, and exits 1 when one is bad.
    Doctor(DoctorArgs),
    /// Who changed what, newest first.
    Audit {
        /// Only changes of this account, agent or queue.
        subject: Option<String>,
        /// So many at most.
        #[arg(long, default_value_t = 50)]
        limit: i64,
        /// One JSON array, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Ask the active connector of an account to step back for its standby, and wait until that has taken over.
    Handover {
        /// The account's name.
        account: String,
    },
    /// Say that the database was restored to an earlier state: whatever was undecided in it is held back, because it may have
    /// been sent since, and agents' desktops begin anew. Switchboard notices most restores itself; saying it twice does no harm.
    Restored,
    /// Make a token for an agent or a program, signed with the first line of auth.hs256_secret.
    Token(TokenArgs),
    /// Parts of agents' messages that wait, failed, or may have arrived.
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Updates that could not be read.
    #[command(subcommand)]
    Inbox(InboxCommand),
    /// Print the machine-readable description of an interface, as JSON.
    Describe(DescribeArgs),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask a running component whether it is ready; exits 0 when it is.
    Healthcheck {
        /// Its admin.listen address.
        #[arg(default_value = "127.0.0.1:9100")]
        address: SocketAddr,
    },
}

/// `connector`
#[derive(Args)]
pub struct ConnectorArgs {
    /// The account's name.
    #[arg(long)]
    pub account: String,
    /// Instead of connector.listen.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Instead of admin.listen.
    #[arg(long)]
    pub admin_listen: Option<SocketAddr>,
    /// Only read the configuration and its secrets; exits 2 when they cannot be used.
    #[arg(long)]
    pub check_config: bool,
}

/// `chatserver`
#[derive(Args)]
pub struct ChatserverArgs {
    /// Instead of chatserver.name.
    #[arg(long)]
    pub name: Option<String>,
    /// Instead of chatserver.listen.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Instead of admin.listen.
    #[arg(long)]
    pub admin_listen: Option<SocketAddr>,
    /// Only read the configuration and its secrets; exits 2 when they cannot be used.
    #[arg(long)]
    pub check_config: bool,
}

/// `queue`
#[derive(Subcommand)]
pub enum QueueCommand {
    /// Make a queue. One that is there already is left as it is.
    Add {
        /// Its name.
        name: String,
    },
    /// List queues.
    List,
}

/// `account`
#[derive(Subcommand)]
pub enum AccountCommand {
    /// Make an account. One that is there already and equal is left as it is.
    Add {
        /// Its name: 1-63 characters of a-z, 0-9, _ and -.
        name: String,
        /// Which platform it is on.
        #[arg(long)]
        platform: String,
        /// The queue where its new chats wait.
        #[arg(long)]
        queue: String,
        /// An option of the platform; secrets as file:/path or env:NAME.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<String>,
        /// Instead of the platform's published limit for account, chat or group: account=1000/1s, group=20/1m.
        #[arg(long = "limit", value_name = "SCOPE=COUNT/SPAN")]
        limits: Vec<String>,
    },
    /// Set an account's limits instead of the platform's published ones; those not named are the platform's again.
    /// Connectors take them up while they serve.
    Limit {
        /// Its name.
        name: String,
        /// For account, chat or group: account=1000/1s, group=20/1m.
        #[arg(value_name = "SCOPE=COUNT/SPAN")]
        limits: Vec<String>,
    },
    /// List accounts.
    List,
    /// Show an account: its settings, what its platform can do, who serves it, and its last changes.
    Show {
        /// Its name.
        name: String,
        /// One JSON object, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Change an account's options or its queue. Connectors take it up while they serve.
    Set(AccountSetArgs),
    /// Let an account be served again.
    Enable {
        /// Its name.
        name: String,
    },
    /// Stop serving an account: no polling, no sending, webhooks are refused. Its connectors wait.
    Disable {
        /// Its name.
        name: String,
    },
}

/// `account set`
#[derive(Args)]
pub struct AccountSetArgs {
    /// The account's name.
    pub name: String,
    /// An option of the platform; secrets as file:/path or env:NAME.
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// An option to be taken away; may be given several times.
    #[arg(long, value_name = "KEY")]
    pub unset: Vec<String>,
    /// The queue where its new chats wait.
    #[arg(long)]
    pub queue: Option<String>,
    /// Only if the account is at this version.
    #[arg(long, value_name = "N")]
    pub expect_version: Option<i64>,
}

/// `agent`
#[derive(Subcommand)]
pub enum AgentCommand {
    /// Make an agent. One that is there already and equal is left as it is.
    Add {
        /// The name in tokens (sub).
        name: String,
        /// The name that other agents see.
        #[arg(long)]
        display_name: Option<String>,
        /// A queue the agent serves; may be given several times.
        #[arg(long = "queue")]
        queues: Vec<String>,
        /// What tokens of theirs may be good for at most: agent, supervisor, bot, loader, admin; may be given several times.
        #[arg(long = "scope", value_parser = scope, default_value = "agent")]
        scopes: Vec<TokenScope>,
    },
    /// Set what tokens of an agent may be good for at most, instead of what was set before. Live sessions come back.
    Scopes {
        /// Which agent.
        name: String,
        /// agent, supervisor, bot, loader or admin; may be given several times.
        #[arg(long = "scope", value_parser = scope, required = true)]
        scopes: Vec<TokenScope>,
    },
    /// Set which queues an agent serves, instead of those before.
    Serve {
        /// Which agent.
        name: String,
        /// A queue; may be given several times, or not at all.
        #[arg(long = "queue")]
        queues: Vec<String>,
    },
    /// List agents.
    List,
    /// Let an agent connect again.
    Enable {
        /// Which one.
        name: String,
    },
    /// Keep an agent from connecting.
    Disable {
        /// Which one.
        name: String,
    },
}

/// `doctor`
#[derive(Args)]
pub struct DoctorArgs {
    /// Only this account.
    #[arg(long)]
    pub account: Option<String>,
    /// The reverse proxy as agents and platforms reach it: `https://chat.example.com`. It is fetched.
    #[arg(long)]
    pub public_url: Option<String>,
    /// One JSON array, for programs.
    #[arg(long)]
    pub json: bool,
}

fn scope(word: &str) -> Result<TokenScope, String> {
    let known = TokenScope::ALL.map(TokenScope::as_str).join(", ");
    TokenScope::from_word(word).ok_or_else(|| format!("the scopes are {known}"))
}

/// `token`
#[derive(Args)]
pub struct TokenArgs {
    /// The agent's name.
    #[arg(long, required_unless_present = "service")]
    pub agent: Option<String>,
    /// Instead of an agent: the name of a program that reads or operates.
    #[arg(long, conflicts_with = "agent", requires = "scopes")]
    pub service: Option<String>,
    /// What it is good for, for an agent within what the agent's own scopes allow: agent, supervisor, bot, loader, admin; may
    /// be given several times. Without it an agent's token is good for agent.
    #[arg(long = "scope", value_parser = scope)]
    pub scopes: Vec<TokenScope>,
    /// How long it is good: 30m, 12h, 7d.
    #[arg(long, default_value = "12h")]
    pub ttl: String,
}

/// `config`
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print every option with its default and what it means.
    Default,
    /// Print the options in force; secrets stay hidden.
    Show,
}
