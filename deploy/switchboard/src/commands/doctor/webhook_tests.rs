use super::super::Level;
use super::*;

const NOW: i64 = 1_800_000_000;
const OURS: &str = "https://chat.example.com/webhooks/shop/telegram";

fn judged(receive: Receive, public_url: &str, info: &WebhookInfo) -> Vec<(Level, String)> {
    let wanted = Wanted { account: "shop", receive, public_url, path: "/webhooks/shop/telegram", secrets: 1, age_s: 0 };
    let mut found = Findings::default();
    judge(&wanted, info, NOW, &mut found);
    assert!(found.all.iter().all(|one| (one.level == Level::Good) == one.mend.is_none()), "{found:?}");
    found.all.into_iter().map(|one| (one.level, format!("{} {}", one.what, one.mend.unwrap_or_default()))).collect()
}

fn webhook(info: &WebhookInfo) -> Vec<(Level, String)> {
    judged(Receive::Webhook, "https://chat.example.com/", info)
}

fn set() -> WebhookInfo {
    WebhookInfo { url: OURS.to_owned(), as_wanted: true, ..WebhookInfo::default() }
}

fn failed(words: &str, ago: i64, pending: u64) -> WebhookInfo {
    let refused_at = words.contains("401").then_some(NOW - ago);
    WebhookInfo { last_error: Some(words.to_owned()), failed_at: Some(NOW - ago), refused_at, pending, ..set() }
}

/// The one finding that is not good.
fn only(found: &[(Level, String)], level: Level, words: &[&str]) {
    let rest: Vec<_> = found.iter().filter(|(level, _)| *level != Level::Good).collect();
    assert!(rest.len() == 1 && rest[0].0 == level && words.iter().all(|word| rest[0].1.contains(word)), "{found:?}");
}

#[test]
fn a_webhook_that_is_ours_is_good() {
    for public_url in ["https://chat.example.com", "https://chat.example.com/", ""] {
        let found = judged(Receive::Webhook, public_url, &set());
        assert!(found.iter().all(|(level, _)| *level == Level::Good), "{public_url}: {found:?}");
    }
}

#[test]
fn a_webhook_that_is_missing_or_a_strangers_is_bad() {
    only(&webhook(&WebhookInfo { as_wanted: true, ..WebhookInfo::default() }), Level::Bad, &["no webhook is set"]);
    for url in [
        "https://elsewhere.example/hook?key=hunter2",
        "https://me:hunter2@elsewhere.example/webhooks/shop/telegram",
        "https://elsewhere.example/webhooks/shop/telegram/hunter2",
    ] {
        let found = webhook(&WebhookInfo { url: url.to_owned(), ..set() });
        only(&found, Level::Bad, &["elsewhere.example", "get a new one"]);
        assert!(!found[0].1.contains("hunter2"), "{found:?}");
    }
    let other_account = WebhookInfo { url: OURS.replace("shop", "workshop"), ..set() };
    only(&judged(Receive::Webhook, "", &other_account), Level::Bad, &["elsewhere"]);
    only(&webhook(&WebhookInfo { as_wanted: false, ..set() }), Level::Bad, &["kinds of updates"]);
    only(&webhook(&WebhookInfo { own_certificate: true, ..set() }), Level::Advice, &["certificate"]);
}

#[test]
fn a_polling_account_must_have_none() {
    let none = WebhookInfo { as_wanted: false, ..WebhookInfo::default() };
    assert!(judged(Receive::Poll, "", &none).iter().all(|(level, _)| *level == Level::Good));
    only(&judged(Receive::Poll, "", &set()), Level::Bad, &["409", "chat.example.com", "removes it"]);
    let waiting = WebhookInfo { pending: MANY, ..none };
    only(&judged(Receive::Poll, "", &waiting), Level::Advice, &["100 updates wait", "--account shop"]);
}

#[test]
fn a_delivery_that_failed_is_shown_with_its_age_and_its_mend() {
    let refused = "Wrong response from the webhook: 401 Unauthorized";
    only(&webhook(&failed(refused, 30, 3)), Level::Bad, &["30 s ago", "401", "webhook_secret"]);
    only(&webhook(&failed(refused, 30, 0)), Level::Advice, &["30 s ago"]);
    only(&webhook(&failed("SSL error {certificate verify failed}", 3000, 3)), Level::Advice, &["50 min ago", "chain"]);
    only(&webhook(&failed("Connection timed out", 60, 1)), Level::Bad, &["firewall", "docs/ports.md"]);
    only(&webhook(&failed("Wrong response: 502 Bad Gateway", 60, 1)), Level::Bad, &["/webhooks/ACCOUNT/"]);
    let history = webhook(&failed(refused, 3 * 86_400, 3));
    assert!(history.iter().any(|(level, what)| *level == Level::Good && what.contains("for 3 days")), "{history:?}");
    only(&webhook(&WebhookInfo { pending: 2 * MANY, ..set() }), Level::Advice, &["200 updates wait"]);
}

#[test]
fn two_secrets_are_not_for_ever() {
    let wanted = Wanted {
        account: "shop",
        receive: Receive::Webhook,
        public_url: "",
        path: "/webhooks/shop/telegram",
        secrets: 2,
        age_s: 0,
    };
    let mut found = Findings::default();
    judge(&wanted, &set(), NOW, &mut found);
    assert!(found.all.iter().any(|one| one.what.contains("two webhook secrets")), "{found:?}");
}

#[test]
fn what_was_bad_when_the_platform_was_asked_is_bad_until_it_is_asked_again() {
    let info = failed("Wrong response: 502 Bad Gateway", 620, 3);
    for (age_s, level) in [(0, Level::Advice), (60, Level::Bad)] {
        let wanted = Wanted {
            account: "shop",
            receive: Receive::Webhook,
            public_url: "",
            path: "/webhooks/shop/telegram",
            secrets: 1,
            age_s,
        };
        let mut found = Findings::default();
        judge(&wanted, &info, NOW, &mut found);
        let told = found.all.iter().find(|one| one.what.contains("10 min ago"));
        assert_eq!(told.map(|one| one.level), Some(level), "{found:?}");
    }
}
