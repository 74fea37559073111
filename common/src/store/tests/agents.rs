use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::model::TokenScopes;

#[tokio::test]
async fn an_agent_reads_their_own_feed_and_their_queues() {
    let f = Fixture::new(2).await;
    assert!(f.database.add_queue("billing").await.unwrap());
    assert!(!f.database.add_queue("billing").await.unwrap(), "there is one already");
    assert!(!f.database.add_agent("a0", "again", &[]).await.unwrap());
    let both = ["support".to_owned(), "billing".to_owned()];
    assert!(f.database.set_agent_queues("a0", &both).await.unwrap());
    assert!(f.database.set_agent_queues("a0", &["nowhere".to_owned()]).await.is_err());
    let agent = f.database.agent("a0").await.unwrap().unwrap();
    let names: Vec<_> = agent.feeds.iter().map(|feed| feed.name.as_str()).collect();
    assert_eq!(names, ["agent:1", "queue:2", "queue:1"], "own first, then queues by name");
    assert!(f.database.enable_agent("a1", false).await.unwrap());
    let ids: Vec<_> = f.agents.iter().map(|agent| agent.id).collect();
    let (standings, epoch) = f.database.standings(&ids).await.unwrap();
    assert_eq!(epoch, 1);
    let feeds: Vec<_> = agent.feeds.iter().map(|feed| feed.id).collect();
    assert!(standings.contains(&Standing { agent: ids[0], enabled: true, scopes: agent.scopes, feeds }));
    assert!(standings.iter().any(|standing| standing.agent == ids[1] && !standing.enabled));
    assert!(f.database.agent("nobody").await.unwrap().is_none());
    assert_eq!(agent.scopes, TokenScopes::from_words(["agent"]));
    let both = TokenScopes::from_words(["agent", "supervisor"]);
    assert!(f.database.set_agent_scopes("a0", both).await.unwrap());
    assert!(!f.database.set_agent_scopes("nobody", both).await.unwrap());
    assert_eq!(f.database.agent_standing("a0").await.unwrap().map(|standing| standing.scopes), Some(both));
    assert!(f.database.standings(&ids).await.unwrap().0.iter().any(|standing| standing.scopes == both));
    f.finish().await;
}

#[tokio::test]
async fn sessions_are_rows_that_do_not_outlive_their_chatserver() {
    let f = Fixture::new(1).await;
    let (live, lost, other) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    for (session, server) in [(live, "one"), (lost, "one"), (other, "two")] {
        f.database.open_session(session, f.agents[0].id, server).await.unwrap();
    }
    f.run("UPDATE agent_session SET seen_at = now() - interval '1 min'").await;
    f.database.refresh_sessions("one", &[live], Duration::from_secs(600)).await.unwrap();
    assert_eq!(
        f.number("SELECT count(*) FROM agent_session").await,
        2,
        "of its own, one that does not live is forgotten"
    );
    f.run("UPDATE agent_session SET seen_at = now() - interval '1 h' WHERE chatserver = 'two'").await;
    f.database.refresh_sessions("one", &[live], Duration::from_secs(600)).await.unwrap();
    assert_eq!(f.number("SELECT count(*) FROM agent_session").await, 1, "a chatserver that is silent is gone");
    f.database.close_session(live).await.unwrap();
    assert_eq!(f.number("SELECT count(*) FROM agent_session").await, 0);
    f.finish().await;
}
