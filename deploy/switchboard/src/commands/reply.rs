//! `switchboard reply`

use serde_json::json;
use switchboard_common::store::Database;

use crate::cli::ReplyCommand;

/// Longest short name, in characters.
const LONGEST_KEY: usize = 64;

/// Longest words, in characters: a page of a hundred is still a small frame.
const LONGEST_TEXT: usize = 4000;

/// Makes, lists and removes canned replies.
pub async fn run(database: &Database, command: ReplyCommand) -> anyhow::Result<()> {
    match command {
        ReplyCommand::Add { key, text, queue } => {
            usable("the short name", &key, LONGEST_KEY)?;
            usable("the text", &text, LONGEST_TEXT)?;
            match database.set_reply(queue.as_deref(), &key, &text).await? {
                true => println!("reply {key} is set for {}", whose(queue.as_deref())),
                false => println!("reply {key} is there already"),
            }
        }
        ReplyCommand::List { json } => {
            let replies = database.replies().await?;
            if json {
                let shown = |reply: &switchboard_common::store::CannedReply| json!({"queue": reply.queue, "key": reply.key, "text": reply.text});
                println!("{}", json!(replies.iter().map(shown).collect::<Vec<_>>()));
                return Ok(());
            }
            for reply in replies {
                // A line each, whatever the words are.
                let text = reply.text.replace(char::is_control, " ");
                println!("{}\t{}\t{text}", reply.queue.as_deref().unwrap_or("*"), reply.key);
            }
        }
        ReplyCommand::Remove { key, queue } => {
            let removed = database.remove_reply(queue.as_deref(), &key).await?;
            anyhow::ensure!(removed, "there is no reply \"{key}\" for {}", whose(queue.as_deref()));
            println!("reply {key} is gone");
        }
    }
    Ok(())
}

fn whose(queue: Option<&str>) -> String {
    queue.map_or_else(|| "everybody".to_owned(), |queue| format!("the queue {queue}"))
}

fn usable(what: &str, text: &str, longest: usize) -> anyhow::Result<()> {
    let good = !text.trim().is_empty() && !text.contains('\0') && text.chars().count() <= longest;
    anyhow::ensure!(good, "{what} must have 1 to {longest} characters");
    Ok(())
}
