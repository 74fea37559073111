//! What the desk shows: chats, logs with every kind of entry, older pages, and text that would like to be more than text.

use serde_json::{Value, json};
use switchboard_tests::browser::Browser;

use crate::fake::{Fake, SOON, answered, bob, chat, customer, entry, picture, said, system};
use crate::{gone, log_seqs, no_complaints, shows, text, there};

#[tokio::test]
async fn the_desk_shows_chats_takes_one_and_reads_its_log() {
    let mut fake = Fake::start().await;
    let browser = Browser::start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let page = browser.open(600, 760, &format!("{}/#token=secret-token", fake.address)).await.unwrap();
    let mut socket = fake.accept().await;
    let hello = socket.welcome(false).await;
    assert_eq!((&hello["token"], hello.get("cursors")), (&json!("secret-token"), None));
    assert_eq!(page.eval("location.href").await.unwrap(), format!("{}/", fake.address), "the token left the address");

    let waits = said("17", 2, "Olga P.", "Where is my parcel?");
    let mine = said("18", 9, "Игорь Семёнов", "Спасибо, жду ответа");
    socket
        .resync(
            10,
            json!([
                chat("17", "Olga P.", None, 2, 1, waits.clone()),
                chat("18", "Игорь Семёнов", Some("bob"), 9, 2, mine.clone())
            ]),
        )
        .await;
    there(&page, "#waiting [data-chat='17'] [data-action=take]").await;
    there(&page, "#chats [data-chat='18'][data-unread='2']").await;
    shows(&page, "#chats [data-chat='18']", "Спасибо, жду ответа").await;
    assert_eq!(text(&page, "#agent").await, "Bob Larsen");
    assert!(text(&page, "#status").await.contains("chatserver-1"));

    // a log with every kind of entry
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    let photo = entry(
        "18",
        6,
        "message",
        customer("Игорь Семёнов"),
        json!({"text": "", "content": [{"type": "unsupported", "of": "photo"}]}),
    );
    let entries = json!([
        entry("18", 3, "opened", system(), json!({"interaction": "5", "queue": "support"})),
        entry("18", 4, "taken", bob(), json!({"interaction": "5", "agent": "bob"})),
        said("18", 5, "Игорь Семёнов", "Здравствуйте! Заказ 1042"),
        photo,
        entry("18", 7, "edited", customer("Игорь Семёнов"), json!({"text": "Здравствуйте! Заказ 1043", "of": 5})),
        entry("18", 8, "membership", system(), json!({"state": "returned"})),
        mine,
    ]);
    let request = socket.history("18", entries, json!(3)).await;
    assert_eq!((request.get("before"), &request["limit"]), (None, &json!(50)));
    for (seq, words) in [
        (3, "Waits in the queue support"),
        (4, "Taken by Bob Larsen"),
        (5, "corrected below"),
        (6, "photo"),
        (7, "correction"),
        (8, "came back"),
        (9, "Спасибо, жду ответа"),
    ] {
        shows(&page, &format!("#log [data-seq='{seq}']"), words).await;
    }
    there(&page, "#chats [data-chat='18'][data-unread='0']").await;

    // older ones come above; nothing older than those: the button goes
    page.click("#older").await.unwrap();
    let older = json!([
        said("18", 1, "Игорь Семёнов", "самое первое"),
        entry("18", 2, "closed", bob(), json!({"interaction": "4", "outcome": "solved"}))
    ]);
    let request = socket.history("18", older, Value::Null).await;
    assert_eq!(request["before"], 3);
    shows(&page, "#log [data-seq='2']", "Closed by Bob Larsen: solved").await;
    assert_eq!(log_seqs(&page).await, json!([1, 2, 3, 4, 5, 6, 7, 8, 9]));
    there(&page, "#older[hidden]").await;
    picture(&page, "log-600.png").await;

    // take: refused first, then granted
    page.click("#waiting [data-chat='17'] [data-action=take]").await.unwrap();
    let take = socket.asked("take").await;
    assert_eq!(take["chat"], "17");
    socket.error(&take, "already_taken", "agent alice took this chat", false).await;
    shows(&page, "#alert-text", "agent alice took this chat").await;
    page.click("#alert-dismiss").await.unwrap();
    page.click("#waiting [data-chat='17'] [data-action=take]").await.unwrap();
    let take = socket.asked("take").await;
    socket.ok(&take, json!({"chat": "17", "seq": 3})).await;
    let taken = entry("17", 3, "taken", bob(), json!({"interaction": "6", "agent": "bob"}));
    socket.entry("queue:3", 11, taken.clone()).await;
    socket.entry("agent:12", 11, taken.clone()).await;
    let opened = entry("17", 1, "opened", system(), json!({"interaction": "6", "queue": "support"}));
    socket.history("17", json!([opened, waits, taken]), Value::Null).await;
    there(&page, "#chats [data-chat='17'][data-open]").await;
    gone(&page, "#waiting [data-chat='17']").await;

    // entries: in the open chat a line, in another one a count, in an unknown one a new waiting chat
    socket.entry("agent:12", 12, said("17", 4, "Olga P.", "Hello?")).await;
    shows(&page, "#log [data-seq='4']", "Hello?").await;
    shows(&page, "#log [data-seq='4'] .head", "Olga P.").await;
    socket.entry("agent:12", 13, said("18", 10, "Игорь Семёнов", "Ещё вопрос")).await;
    there(&page, "#chats [data-chat='18'][data-unread='1']").await;
    socket.entry("queue:3", 12, said("19", 1, "Mehmet", "Merhaba")).await;
    socket
        .entry("queue:3", 13, entry("19", 2, "opened", system(), json!({"interaction": "7", "queue": "support"})))
        .await;
    shows(&page, "#waiting [data-chat='19']", "Mehmet").await;
    socket
        .entry(
            "queue:3",
            14,
            entry(
                "19",
                3,
                "taken",
                json!({"kind": "agent", "id": "13", "name": "alice"}),
                json!({"interaction": "7", "agent": "alice"}),
            ),
        )
        .await;
    gone(&page, "#waiting [data-chat='19']").await;
    gone(&page, "#chats [data-chat='19']").await;

    page.click("#close").await.unwrap();
    let close = socket.asked("close").await;
    assert_eq!(close["chat"], "17");
    socket.ok(&close, json!({"chat": "17", "seq": 5})).await;
    socket.entry("agent:12", 14, entry("17", 5, "closed", bob(), json!({"interaction": "6", "outcome": null}))).await;
    gone(&page, "#chats [data-chat='17']").await;
    there(&page, "#composer[hidden]").await;
    no_complaints(&page);
}

#[tokio::test]
async fn hostile_text_stays_text() {
    let hostile = [
        "<img src=x onerror=\"window.hacked = true\">".to_owned(),
        "<script>window.hacked = true</script></li></ol><h1>out</h1>".to_owned(),
        "W".repeat(4000),
        "\u{202e}txt.exe \u{202d}\u{2066}unclosed RTL עברית العربية".to_owned(),
        "Z\u{0351}\u{0352}\u{0353}\u{0354}".repeat(50) + "\r\n\t\u{7f}\u{feff}\u{200b}",
        "javascript:window.hacked=true &lt;b&gt; &amp; 👩‍👩‍👧‍👦".to_owned(),
    ];
    let mut fake = Fake::start().await;
    let entries: Vec<Value> = hostile.iter().zip(1..).map(|(text, seq)| said("18", seq, text, text)).collect();
    let chats = json!([
        chat("17", &hostile[2], None, 1, 1, said("17", 1, &hostile[2], &hostile[2])),
        chat("18", &hostile[0], Some("bob"), 6, 3, entries[0].clone()),
        chat("19", &hostile[3], Some("bob"), 6, 12345, entries[1].clone()),
    ]);
    let (_browser, page, mut socket) = fake.desk(600, chats).await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    let mut log = entries.clone();
    log.push(entry("18", 7, "closed", customer(&hostile[0]), json!({"interaction": "1", "outcome": hostile[1]})));
    log.push(entry("18", 8, "<b>unknown</b>", system(), json!({"text": hostile[0]})));
    let mut failed = answered("18", 9, "k", &hostile[1], 1);
    failed["delivery"] = json!([{"part": 0, "state": "failed", "reason": hostile[0]}]);
    log.push(failed);
    log.push(entry(
        "18",
        10,
        "message",
        customer("a"),
        json!({"text": "", "content": [{"type": "unsupported", "of": hostile[0]}]}),
    ));
    socket.history("18", json!(log), Value::Null).await;
    there(&page, "#log [data-seq='10']").await;
    for (text_sent, seq) in hostile.iter().zip(1..) {
        assert_eq!(&text(&page, &format!("#log [data-seq='{seq}'] .text")).await, text_sent);
        assert_eq!(&text(&page, &format!("#log [data-seq='{seq}'] .head bdi")).await, text_sent);
    }
    socket.entry("agent:12", 11, said("19", 7, &hostile[1], &hostile[1])).await;
    let take = "#waiting [data-chat='17'] [data-action=take]";
    page.click(take).await.unwrap(); // still reachable beside the longest name
    let request = socket.asked("take").await;
    socket.error(&request, "not_found", &hostile[0], false).await;
    shows(&page, "#alert-text", &hostile[0]).await;

    let elements = page
        .eval("document.querySelectorAll('img, h1:not(#token-form h1), script:not([src]), b b, iframe').length")
        .await
        .unwrap();
    assert_eq!(elements, 0, "markup became elements");
    assert_eq!(page.eval("typeof window.hacked").await.unwrap(), "undefined");
    for width in [600, 1200, 360] {
        page.resize(width, 760).await.unwrap();
        let wide = "[document.documentElement, document.querySelector('#scroll'), document.querySelector('nav')].filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.id || box.tagName)";
        assert_eq!(page.eval(wide).await.unwrap(), json!([]), "wider than its box at {width}");
        picture(&page, &format!("hostile-{width}.png")).await;
    }
    no_complaints(&page);
}

#[tokio::test]
async fn older_pages_come_above_without_moving_what_is_read() {
    let mut fake = Fake::start().await;
    let lines = |from: u64, to: u64| {
        (from..to).map(|seq| said("18", seq, "Olga P.", &format!("line {seq}"))).collect::<Vec<_>>()
    };
    let chats = json!([chat("18", "Olga P.", Some("bob"), 99, 0, said("18", 99, "Olga P.", "line 99"))]);
    let (_browser, page, mut socket) = fake.desk(600, chats).await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    socket.history("18", json!(lines(50, 100)), json!(50)).await;
    let at_end = "(() => { const box = document.querySelector('#scroll'); return box.scrollTop > 0 && box.scrollHeight - box.scrollTop - box.clientHeight < 2 })()";
    there(&page, "#log [data-seq='99']").await;
    page.wait_for(at_end, SOON).await.unwrap();
    socket.entry("agent:12", 11, said("18", 100, "Olga P.", "line 100")).await;
    there(&page, "#log [data-seq='100']").await;
    page.wait_for(at_end, SOON).await.unwrap(); // the newest line is followed

    page.eval("document.querySelector('#scroll').scrollTop = 20").await.unwrap();
    let request = socket.asked("history").await;
    assert_eq!(request["before"], 50);
    let place = "Math.round(document.querySelector(\"#log [data-seq='50']\").getBoundingClientRect().y)";
    let before = page.eval(place).await.unwrap();
    socket.ok(&request, json!({"chat": "18", "entries": lines(1, 50), "next_before": null})).await;
    there(&page, "#log [data-seq='1']").await;
    let after = page.eval(place).await.unwrap();
    let moved = after.as_i64().unwrap() - before.as_i64().unwrap();
    assert!(moved.abs() <= 1, "what was read moved by {moved} px");
    socket.entry("agent:12", 12, said("18", 101, "Olga P.", "line 101")).await;
    there(&page, "#log [data-seq='101']").await;
    assert_eq!(page.eval(place).await.unwrap(), after, "a new line below does not tear the reader away");
    no_complaints(&page);
}
