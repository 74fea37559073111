//! What nobody asks for goes away.

use super::*;

/// More than one page of them, among files that stay.
#[tokio::test]
async fn orphans_are_removed_while_the_server_runs() {
    let server = Server::start().await;
    let account = server.account;
    let (named, fresh) = (server.upload("anna", "named").await, server.upload("anna", "fresh").await);
    server
        .run(&format!(
            "INSERT INTO file (account_id, id, inbound, state, kind, agent_id, created_at, ready_at)
             SELECT {account}, md5(n::text), n % 10 = 9, CASE WHEN n % 3 = 0 THEN 0 ELSE 1 END, 'document', 1,
                    now() - interval '2 d', now() - interval '2 d' FROM generate_series(1, 500) n;
             INSERT INTO file_chunk SELECT account_id, id, 0, 'bytes' FROM file WHERE ready_at < now() - interval '1 d';
             INSERT INTO file_use VALUES ({account}, '{named}', 7, 1);
             UPDATE file SET ready_at = now() - interval '2 d' WHERE id = '{named}'"
        ))
        .await;
    let (day, shutdown) = (Duration::from_secs(24 * 3600), Shutdown::default());
    let sweeping = tokio::spawn(crate::sweep::run(pool(&server.test.url, 1), account, day, shutdown.clone()));
    server.has(52, 52).await; // fifty of customers
    let stay = format!("SELECT count(*) FROM file WHERE id IN ('{named}', '{fresh}') OR inbound");
    assert_eq!(server.number(&stay).await, 52);
    shutdown.begin();
    sweeping.await.unwrap();
    server.stop().await;
}
