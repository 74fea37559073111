//! `switchboard outbox`: what waits, failed or is unclear, without what it says; and an operator's decisions.

use std::time::Duration;

use chrono::SecondsFormat;
use serde_json::{Value, json};
use switchboard_common::model::{ChatId, OutboxId, PartState};
use switchboard_common::store::{Account, Database, OperatorDecision, PartFilter, PartRow};

use crate::cli::{OutboxCommand, PartArgs};

/// Parts read at once.
const PAGE: i64 = 500;
/// What is listed unless asked otherwise: everything that is not done.
const UNDONE: [PartState; 4] = [PartState::Queued, PartState::Sending, PartState::Unconfirmed, PartState::Failed];

/// Lists, shows, takes back and sends again.
pub async fn run(database: &Database, command: OutboxCommand) -> anyhow::Result<()> {
    match command {
        OutboxCommand::List { parts, limit, json } => {
            let account = super::account::find(database, &parts.account).await?;
            let mut filter = filter(&parts)?;
            if filter.states.is_empty() && filter.ids.is_empty() {
                filter.states = UNDONE.to_vec();
            }
            list(database, &account, &filter, limit, json).await
        }
        OutboxCommand::Show { account, id } => show(database, &account, OutboxId(id)).await,
        OutboxCommand::Cancel { parts, dry_run } => decide(database, &parts, OperatorDecision::Cancel, dry_run).await,
        OutboxCommand::Close { parts, dry_run } => decide(database, &parts, OperatorDecision::Close, dry_run).await,
        OutboxCommand::Requeue { parts, dry_run } => decide(database, &parts, OperatorDecision::Requeue, dry_run).await,
    }
}

fn filter(parts: &PartArgs) -> anyhow::Result<PartFilter> {
    let older = parts.older.as_deref().map(|span| super::seconds("--older", span)).transpose()?;
    Ok(PartFilter {
        ids: parts.ids.clone(),
        states: parts.states.clone(),
        chat: parts.chat.map(ChatId),
        older: older.map(Duration::from_secs),
    })
}

async fn list(
    database: &Database,
    account: &Account,
    filter: &PartFilter,
    limit: i64,
    json: bool,
) -> anyhow::Result<()> {
    let mut rows = database.parts(account.id, filter, OutboxId(0), limit.saturating_add(1)).await?;
    let more = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or_default());
    if json {
        println!("{}", Value::from(rows.iter().map(describe).collect::<Vec<_>>()));
        return Ok(());
    }
    rows.iter().for_each(|row| println!("{}", line(row)));
    if more {
        eprintln!("there are more; --limit shows them");
    }
    Ok(())
}

async fn show(database: &Database, account: &str, id: OutboxId) -> anyhow::Result<()> {
    let account = super::account::find(database, account).await?;
    let filter = PartFilter { ids: vec![id.0], ..PartFilter::default() };
    let rows = database.parts(account.id, &filter, OutboxId(0), 1).await?;
    let row = rows.first().ok_or_else(|| anyhow::anyhow!("{} has no part {}", account.name, id.0))?;
    println!("{}", line(row));
    for attempt in database.attempts(account.id, id).await? {
        println!(
            "attempt {}\tepoch {}\t{}\t{}\t{}\t{}",
            attempt.n,
            attempt.epoch,
            attempt.claimed_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            attempt.ended_at.map_or("no end".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            attempt.outcome.map_or("-", |outcome| outcome.as_str()),
            attempt.reason.as_deref().unwrap_or("-"),
        );
    }
    Ok(())
}

async fn decide(database: &Database, parts: &PartArgs, decision: OperatorDecision, dry: bool) -> anyhow::Result<()> {
    let account = super::account::find(database, &parts.account).await?;
    let mut filter = filter(parts)?;
    let chosen = !filter.ids.is_empty() || filter.chat.is_some() || filter.older.is_some() || !filter.states.is_empty();
    anyhow::ensure!(chosen, "which parts? name their ids, or narrow by --state, --chat or --older");
    let possible = decision.from();
    if let Some(wrong) = filter.states.iter().find(|state| !possible.contains(state)) {
        let words: Vec<&str> = possible.iter().map(|state| state.as_str()).collect();
        anyhow::bail!("a part that is {} cannot be: only {}", wrong.as_str(), words.join(" or "));
    }
    if filter.states.is_empty() {
        filter.states = possible.to_vec();
    }
    let named = filter.ids.len();
    let (mut done, mut late, mut after) = (0, 0, OutboxId(0));
    loop {
        let rows = database.parts(account.id, &filter, after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        for row in &rows {
            if dry || database.decide_as_operator(row, account.name.as_str(), decision).await? {
                println!("{}", line(row));
                done += 1;
            } else {
                late += 1;
            }
        }
    }
    let would = if dry { "would be" } else { "are" };
    let word = match decision {
        OperatorDecision::Cancel => "cancelled",
        OperatorDecision::Requeue => "queued again",
        OperatorDecision::Close => "closed",
    };
    println!("{done} {would} {word}{}", if late > 0 { format!(", {late} moved on meanwhile") } else { String::new() });
    anyhow::ensure!(done >= named, "{} of the named parts are not there, or in no state for it", named - done);
    Ok(())
}

fn describe(row: &PartRow) -> Value {
    json!({
        "id": row.id.0, "chat": row.chat.0.to_string(), "seq": row.seq, "part": row.part.0, "parts": row.part.1,
        "state": row.state.map(PartState::as_str), "attempts": row.attempts, "reason": row.reason,
        "age_s": row.age.as_secs_f64(), "file": row.file, "platform_id": row.platform_id,
    })
}

fn line(row: &PartRow) -> String {
    let (part, parts) = row.part;
    format!(
        "{}\tchat {} seq {} part {}/{parts}\t{}\t{} attempts\t{} s\t{}\t{}",
        row.id.0,
        row.chat.0,
        row.seq,
        part + 1,
        row.state.map_or("?", PartState::as_str),
        row.attempts,
        row.age.as_secs(),
        row.file.as_deref().unwrap_or("-"),
        row.reason.as_deref().unwrap_or("-"),
    )
}
