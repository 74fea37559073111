//! Customers, accounts, the audit.

use super::*;

#[tokio::test]
async fn a_customer_is_found_by_phone_however_it_is_written() {
    let office = Office::new().await;
    office.say(0, vec![message("c1", 1, "hello"), message("c2", 1, "hello")]).await;
    office.say(1, vec![message("c1", 1, "hello")]).await;
    // With a plus and without, as platforms give it; the third is somebody else's.
    office.run_sql("UPDATE customer SET phone = '+74951234567' WHERE platform_id = 'c1' AND account_id = 1").await;
    office.run_sql("UPDATE customer SET phone = '74951234567' WHERE platform_id = 'c1' AND account_id = 2").await;
    office.run_sql("UPDATE customer SET phone = '+74951234568' WHERE platform_id = 'c2'").await;
    let accounts = async |query: &str| {
        let found = office.read(&format!("/v1/customers?{query}"), &reader()).await;
        let accounts =
            found["items"].as_array().unwrap().iter().map(|item| item["account"].as_str().unwrap().to_owned());
        accounts.collect::<Vec<_>>()
    };
    for phone in ["%2B74951234567", "74951234567", "%2B7%20(495)%20123-45-67", "0074951234567"] {
        assert_eq!(accounts(&format!("phone={phone}")).await, ["main", "second"], "{phone}");
    }
    assert_eq!(accounts("phone=74951234567&account=second").await, ["second"]);
    assert_eq!(accounts("platform_id=c2").await, ["main"]);
    assert!(accounts("phone=74951234569").await.is_empty() && accounts("platform_id=c3").await.is_empty());
    let found = office.read("/v1/customers?platform_id=c2", &reader()).await;
    let customer = &found["items"][0];
    assert_eq!((&customer["name"], &customer["phone"]), (&json!("Name c2"), &json!("+74951234568")));
    assert_eq!((&customer["chats"][0]["state"], &customer["chats"][0]["last_seq"]), (&json!("waiting"), &json!(2)));
    assert_eq!(customer["chats"][0]["chat"], office.chat("c2").await.to_string());
    for wrong in ["", "phone=1&platform_id=1", "account=main", "phone=x"] {
        assert_eq!(office.get(&format!("/v1/customers?{wrong}"), &reader()).await.0, 400, "{wrong}");
    }
    office.finish().await;
}

#[tokio::test]
async fn accounts_say_what_they_can_do() {
    let office = Office::new().await;
    let accounts = office.read("/v1/accounts", &token("anna", "agent")).await;
    let accounts = accounts["items"].as_array().unwrap();
    let said = |n: usize| (accounts[n]["account"].as_str().unwrap(), accounts[n]["queue"].as_str().unwrap());
    assert_eq!((said(0), said(1), accounts.len()), (("main", "support"), ("second", "other"), 2));
    assert_eq!((&accounts[0]["enabled"], &accounts[0]["platform"]), (&json!(true), &json!("telegram")));
    assert_eq!(accounts[0]["capabilities"]["text_max_utf16"], 4096);
    assert!(accounts[0].get("settings").is_none(), "settings are the operators'");
    office.finish().await;
}

#[tokio::test]
async fn the_audit_is_read_from_the_newest_on() {
    let office = Office::new().await;
    let kept = office.number("SELECT count(*) FROM audit").await;
    office
        .run_sql(
            "INSERT INTO audit (actor, action, subject, version, before, after)
             SELECT 'olga', 'account.set', CASE WHEN n % 2 = 0 THEN 'main' ELSE 'second' END, n, '{\"a\": 1}', '[1, null]'
               FROM generate_series(1, 25) n",
        )
        .await;
    let admin = token("root", "admin");
    let pages = async |query: &str| {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = office.read(&format!("/v1/audit?limit=4{query}{cursor}"), &admin).await;
            seen.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return seen,
            }
        }
    };
    let all = pages("").await;
    assert_eq!(all.len() as i64, 25 + kept);
    let ids: Vec<i64> = all.iter().map(|change| change["id"].as_str().unwrap().parse().unwrap()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older));
    let of_main = pages("&subject=main").await;
    assert_eq!(of_main.iter().filter(|change| change["actor"] == "olga").count(), 12);
    assert!(of_main.iter().all(|change| change["subject"] == "main"));
    let newest = &of_main[0];
    assert_eq!(
        (&newest["version"], &newest["before"], &newest["after"]),
        (&json!(24), &json!({"a": 1}), &json!([1, null]))
    );
    office.finish().await;
}
