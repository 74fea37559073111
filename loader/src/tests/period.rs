//! R42, R43: which chats a period has.

use super::*;

#[tokio::test]
async fn a_period_is_half_open_to_the_microsecond() {
    let office = Office::new().await;
    let before = office.wrote(0, "before", 1, "2026-03-03T08:59:59.999999Z").await;
    let first = office.wrote(0, "first", 1, "2026-03-03T09:00:00Z").await;
    let last = office.wrote(1, "last", 1, "2026-03-03T09:59:59.999999Z").await;
    let after = office.wrote(0, "after", 1, "2026-03-03T10:00:00Z").await;
    // Around the period, not in it: the day alone would list it.
    let around = office.wrote(0, "around", 1, "2026-03-03T08:00:00Z").await;
    office.wrote(0, "around", 1, "2026-03-03T11:00:00Z").await;
    let want = vec![first, last];
    for same in [
        "from=2026-03-03T09:00:00Z&to=2026-03-03T10:00:00Z",
        "from=2026-03-03T12:00:00%2B03:00&to=2026-03-03T10:00:00Z",
        "from=2026-03-02T23:30:00-09:30&to=2026-03-03T15:45:00%2B05:45",
        "from=2026-03-03T08:59:59.9999991Z&to=2026-03-03T09:59:59.9999991Z",
    ] {
        assert_eq!(office.chats(same, &reader()).await, want, "{same}");
    }
    let all = office.chats("from=2026-03-03T00:00:00Z&to=2026-03-04T00:00:00Z&limit=2", &reader()).await;
    assert_eq!(all, [before, first, last, after, around]);
    let microsecond = "from=2026-03-03T09:59:59.999999Z&to=2026-03-03T10:00:00Z";
    assert_eq!(office.chats(microsecond, &reader()).await, [last]);
    // Over midnight, which is where one day's rows end: one interval over two days and months.
    let night = office.wrote(0, "night", 1, "2026-02-28T23:59:59.999999Z").await;
    let morning = office.wrote(0, "morning", 1, "2026-03-01T00:00:00Z").await;
    let (evening, midnight) = ("2026-02-28T23:59:59.999999Z", "2026-03-01T00:00:00Z");
    let a_bit_later = "2026-03-01T00:00:00.000001Z";
    for (from, to, want) in [
        (evening, midnight, vec![night]),
        (midnight, a_bit_later, vec![morning]),
        (evening, a_bit_later, vec![night, morning]),
    ] {
        assert_eq!(office.chats(&format!("from={from}&to={to}"), &reader()).await, want, "{from} {to}");
    }
    office.finish().await;
}

#[tokio::test]
async fn only_what_customers_wrote_counts() {
    let office = Office::new().await;
    let both = office.wrote(0, "both", 1, "2026-03-03T09:00:00.25Z").await;
    office.wrote(0, "both", 2, "2026-03-03T09:05:00Z").await;
    office.wrote(0, "both", 1, "2026-03-03T09:10:00.000001Z").await;
    office.wrote(0, "agents-only", 2, "2026-03-03T09:00:00Z").await;
    // The customer wrote on that day, but only the agent in the period.
    office.wrote(0, "earlier", 1, "2026-03-03T07:00:00Z").await;
    office.wrote(0, "earlier", 2, "2026-03-03T09:30:00Z").await;
    let edited = office.wrote(0, "edited", 1, "2026-03-03T07:00:00Z").await;
    office
        .run_sql(&format!(
            "INSERT INTO history (account_id, chat_id, seq, at, kind, author_kind, author_id, body)
             VALUES ({}, {edited}, 2, '2026-03-03T09:30:00Z', 2, 1, 1, 'other words')",
            office.accounts[0].0
        ))
        .await;
    let page = office.read("/v1/chats?from=2026-03-03T09:00:00Z&to=2026-03-03T10:00:00Z", &reader()).await;
    assert_eq!(ids(&page), [both]);
    let chat = &page["items"][0];
    assert_eq!(chat["first_at"], "2026-03-03T09:00:00.250000Z");
    assert_eq!(chat["last_at"], "2026-03-03T09:10:00.000001Z");
    assert_eq!((&chat["account"], &chat["state"], &chat["last_seq"]), (&json!("main"), &json!("closed"), &json!(3)));
    office.finish().await;
}

#[tokio::test]
async fn what_comes_in_is_listed_with_what_became_of_it() {
    let office = Office::new().await;
    office.say(0, vec![message("c1", 1, "hello"), message("c2", 1, "hello")]).await;
    office.say(1, vec![message("c3", 1, "hello")]).await;
    let (c1, c2, c3) = (office.chat("c1").await, office.chat("c2").await, office.chat("c3").await);
    let anna = office.database.agent("anna").await.unwrap().unwrap();
    for chat in [c1, c2] {
        office.database.take_chat(&anna, switchboard_common::model::ChatId(chat)).await.unwrap().unwrap();
    }
    office.database.close_chat(&anna, switchboard_common::model::ChatId(c2), Some("solved")).await.unwrap().unwrap();
    let now = around_now();
    let of = async |more: &str| office.chats(&format!("{now}{more}"), &reader()).await;
    assert_eq!(of("").await, [c1, c2, c3]);
    assert_eq!(of("&account=main").await, [c1, c2]);
    assert_eq!(of("&account=second&state=waiting").await, [c3]);
    assert_eq!(of("&agent=anna").await, [c1]);
    assert_eq!(of("&queue=support&state=closed").await, [c2]);
    for nobody in ["&account=none", "&agent=none", "&queue=none", "&account=main&queue=other"] {
        assert!(of(nobody).await.is_empty(), "{nobody}");
    }
    let page = office.read(&format!("/v1/chats?{now}"), &reader()).await;
    let (first, second) = (&page["items"][0], &page["items"][1]);
    assert_eq!(first["customer"]["platform_id"], "c1");
    assert_eq!((&first["customer"]["name"], &first["title"]), (&json!("Name c1"), &json!("c1")));
    assert_eq!(
        (&first["state"], &first["agent"], &first["queue"]),
        (&json!("taken"), &json!("anna"), &json!("support"))
    );
    assert!(first["interaction"]["taken_at"].is_string() && first["last_closed"].is_null(), "{first}");
    assert!(second["interaction"].is_null(), "{second}");
    assert_eq!(second["last_closed"]["outcome"], "solved");
    office.finish().await;
}
