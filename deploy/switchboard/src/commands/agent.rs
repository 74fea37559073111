//! `switchboard agent`

use switchboard_common::model::TokenScopes;
use switchboard_common::store::Database;

use crate::cli::AgentCommand;

/// Makes, lists, enables and disables agents.
pub async fn run(database: &Database, command: AgentCommand) -> anyhow::Result<()> {
    match command {
        AgentCommand::Add { name, display_name, queues, scopes } => {
            let scopes = TokenScopes::from_iter(scopes);
            let shown = display_name.unwrap_or_else(|| name.clone());
            if database.add_agent_with(&name, &shown, &queues, scopes).await? {
                println!("agent {name} made; `switchboard token --agent {name}` makes a token");
                return Ok(());
            }
            let known = database.agents().await?.into_iter().find(|agent| agent.name == name);
            let mut wanted = queues;
            wanted.sort();
            anyhow::ensure!(
                known.as_ref().is_some_and(|agent| agent.queues == wanted && agent.scopes == scopes),
                "agent {name} is there already, with other queues or scopes: use `switchboard agent serve {name} --queue …` \
                 or `switchboard agent scopes {name} --scope …`"
            );
            println!("agent {name} is there already");
        }
        AgentCommand::Serve { name, queues } => {
            anyhow::ensure!(database.set_agent_queues(&name, &queues).await?, "there is no agent \"{name}\"");
            println!(
                "agent {name} serves {}",
                if queues.is_empty() { "no queue".to_owned() } else { queues.join(", ") }
            );
        }
        AgentCommand::Scopes { name, scopes } => {
            let scopes = TokenScopes::from_iter(scopes);
            anyhow::ensure!(database.set_agent_scopes(&name, scopes).await?, "there is no agent \"{name}\"");
            println!("tokens of agent {name} are good for {scopes}");
        }
        AgentCommand::List => {
            for agent in database.agents().await? {
                let state = if agent.enabled { "enabled" } else { "disabled" };
                println!(
                    "{}\t{}\t{state}\t{}\t{}",
                    agent.name,
                    agent.display_name,
                    agent.queues.join(","),
                    agent.scopes
                );
            }
        }
        AgentCommand::Enable { name } => enable(database, &name, true).await?,
        AgentCommand::Disable { name } => enable(database, &name, false).await?,
    }
    Ok(())
}

async fn enable(database: &Database, name: &str, enabled: bool) -> anyhow::Result<()> {
    anyhow::ensure!(database.enable_agent(name, enabled).await?, "there is no agent \"{name}\"");
    println!("agent {name} {}", if enabled { "may connect" } else { "is shut out" });
    Ok(())
}
