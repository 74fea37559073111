//! `switchboard queue`

use switchboard_common::store::Database;

use crate::cli::QueueCommand;

/// Makes and lists queues.
pub async fn run(database: &Database, command: QueueCommand) -> anyhow::Result<()> {
    match command {
        QueueCommand::Add { name } => match database.add_queue(&name).await? {
            true => println!("queue {name} made"),
            false => println!("queue {name} is there already"),
        },
        QueueCommand::List => {
            for (id, name) in database.queues().await? {
                println!("{id}\t{name}");
            }
        }
    }
    Ok(())
}
