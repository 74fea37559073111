//! The customer's phone by itself: what a bot sends is shown, and what a person does reaches the bot.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard_tests::browser::{Browser, Page};
use switchboard_tests::harness::{Process, Settings, Simulator, free_port, picture, until};

const SOON: Duration = Duration::from_secs(20);
const OLGA: i64 = 700100200;

/// The simulator, and nothing of the product.
struct Platform {
    control: Simulator,
    _process: Process,
}

impl Platform {
    async fn start() -> Self {
        let settings = Settings::read();
        let dir = settings.runs.join("phone");
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let port = free_port();
        let mut command = Command::new(&settings.simulator);
        command.args(["--listen", &format!("127.0.0.1:{port}"), "--bot", "support=42:SECRET", "--log"]);
        let process = Process::start("simulator", &dir, {
            command.arg(dir.join("mock.jsonl"));
            command
        });
        let alive = format!("http://127.0.0.1:{port}/livez");
        until("the simulator", 10, async || reqwest::get(&alive).await.ok()).await;
        let control = Simulator::new(port);
        control.order("limits", json!({"enforce": false, "poll_guard": false})).await;
        Self { control, _process: process }
    }

    /// The bot calls a method.
    async fn call(&self, method: &str, params: Value) -> Value {
        let url = format!("{}/bot42:SECRET/{method}", self.control.base());
        let answer = reqwest::Client::new().post(url).json(&params).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer["result"].clone()
    }

    async fn send(&self, text: &str, more: Value) -> Value {
        let mut params = json!({"chat_id": OLGA, "text": text});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("sendMessage", params).await["message_id"].clone()
    }

    /// What reached the bot last, once it is as wanted.
    async fn hears(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let kinds = ["message", "callback_query", "message_reaction"];
        until(what, 20, async || {
            let updates = self.call("getUpdates", json!({"offset": -1, "allowed_updates": kinds})).await;
            updates[0].is_object().then(|| updates[0].clone()).filter(&holds)
        })
        .await
    }
}

async fn shows(page: &Page, selector: &str, words: &str) {
    let script = format!("document.querySelector({})?.textContent.includes({})", json!(selector), json!(words));
    page.wait_for(&script, SOON).await.unwrap();
}

async fn gone(page: &Page, selector: &str) {
    page.wait_for(&format!("!document.querySelector({})", json!(selector)), SOON).await.unwrap();
}

fn bubble(id: &Value) -> String {
    format!("#log li[data-message-id='{id}']")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_sees_and_presses_everything() {
    let platform = Platform::start().await;
    platform.control.order("start", json!({"chat": OLGA})).await;
    let browser = Browser::start().await.unwrap();
    let url = format!("{}/phone?acct=support&chat={OLGA}", platform.control.base());
    let phone = browser.open(900, 900, &url).await.unwrap();
    buttons_and_keys(&platform, &phone).await;
    changes(&platform, &phone).await;
    what_is_shown(&platform, &phone).await;
    assert_eq!(phone.complaints(), Vec::<String>::new());
}

async fn buttons_and_keys(platform: &Platform, phone: &Page) {
    let inline =
        json!({"inline_keyboard": [[{"text": "Yes", "callback_data": "y:1"}, {"text": "No", "callback_data": "n"}]]});
    let asked = platform.send("Sure?", json!({"reply_markup": inline})).await;
    phone.click(&format!("{} [data-callback='y:1']", bubble(&asked))).await.unwrap();
    let press = platform.hears("the press", |update| update["callback_query"]["data"] == "y:1").await;
    let query = press["callback_query"]["id"].clone();
    platform.call("answerCallbackQuery", json!({"callback_query_id": query, "text": "noted"})).await;
    shows(phone, "#notice", "noted").await;

    let keys = json!({"keyboard": [["Prices"], [{"text": "My number", "request_contact": true}, {"text": "Here", "request_location": true}]]});
    platform.send("How can we help?", json!({"reply_markup": keys})).await;
    phone.click("#keys [data-key='Prices']").await.unwrap();
    platform.hears("the key", |update| update["message"]["text"] == "Prices").await;
    phone.click("#keys [data-key='My number']").await.unwrap();
    platform.hears("the number", |update| update["message"]["contact"]["user_id"] == OLGA).await;
    phone.click("#keys [data-key='Here']").await.unwrap();
    platform.hears("the place", |update| update["message"]["location"].is_object()).await;
    platform.send("Thanks", json!({"reply_markup": {"remove_keyboard": true}})).await;
    gone(phone, "#keys:not([hidden])").await;
    phone.click("#contact").await.unwrap();
    platform.hears("the card", |update| update["message"]["contact"]["user_id"] == OLGA).await;
    phone.click("#location").await.unwrap();
    platform.hears("the place again", |update| update["message"]["location"].is_object()).await;

    let asked = platform.send("Your name?", json!({"reply_markup": {"force_reply": true}})).await;
    shows(phone, "#answering:not([hidden])", "Your name?").await;
    phone.type_into("#text", "Olga").await.unwrap();
    phone.click("#send").await.unwrap();
    let answered = |update: &Value| update["message"]["reply_to_message"]["message_id"] == asked;
    platform.hears("the answer", answered).await;
    gone(phone, "#answering:not([hidden])").await;

    platform.call("setMyCommands", json!({"commands": [{"command": "help", "description": "what I can do"}]})).await;
    shows(phone, "#menu:not([hidden])", "/help what I can do").await;
    let choose =
        "(menu => { menu.value = '/help'; menu.dispatchEvent(new Event('change')); })(document.querySelector('#menu'))";
    phone.eval(choose).await.unwrap();
    platform.hears("the command", |update| update["message"]["text"] == "/help").await;
}

async fn changes(platform: &Platform, phone: &Page) {
    let said = platform.send("first version", json!({})).await;
    shows(phone, &bubble(&said), "first version").await;
    platform.call("editMessageText", json!({"chat_id": OLGA, "message_id": said, "text": "second version"})).await;
    shows(phone, &format!("{} .text", bubble(&said)), "second version").await;
    shows(phone, &format!("{} time", bubble(&said)), "edited").await;
    let like = "(react => { react.value = '👍'; react.dispatchEvent(new Event('change')); })";
    phone
        .eval(&format!("{like}(document.querySelector({}))", json!(format!("{} .react", bubble(&said)))))
        .await
        .unwrap();
    platform.hears("the reaction", |update| update["message_reaction"]["message_id"] == said).await;
    shows(phone, &format!("{} .reactions .customer", bubble(&said)), "👍").await;
    let fire = json!([{"type": "emoji", "emoji": "🔥"}]);
    platform.call("setMessageReaction", json!({"chat_id": OLGA, "message_id": said, "reaction": fire})).await;
    shows(phone, &format!("{} .reactions .bot", bubble(&said)), "🔥").await;
    platform.call("deleteMessage", json!({"chat_id": OLGA, "message_id": said})).await;
    shows(phone, &bubble(&said), "message removed").await;

    phone.type_into("#text", "a slip").await.unwrap();
    phone.click("#send").await.unwrap();
    let slip = platform.hears("the slip", |update| update["message"]["text"] == "a slip").await;
    let slip = slip["message"]["message_id"].clone();
    phone.click(&format!("{} .remove", bubble(&slip))).await.unwrap();
    shows(phone, &bubble(&slip), "message removed").await;
}

async fn what_is_shown(platform: &Platform, phone: &Page) {
    let entities = json!([{"type": "bold", "offset": 0, "length": 5}, {"type": "italic", "offset": 3, "length": 7}]);
    let said = platform.send("👋 bold both italic", json!({"entities": entities})).await;
    shows(phone, &format!("{} .text", bubble(&said)), "👋 bold both italic").await;
    shows(phone, &format!("{} .text b", bubble(&said)), "👋 ").await;
    let quoted = json!({"reply_parameters": {"message_id": said, "quote": "both"}});
    let reply = platform.send("answer", quoted).await;
    shows(phone, &format!("{} .replied[data-reply-to='{said}']", bubble(&reply)), "both").await;
    platform.control.order("customer", json!({"chat": OLGA, "first_name": "Olga"})).await;
    let own = platform.control.order("message", json!({"chat": OLGA, "text": "hello"})).await["message_id"].clone();
    let sent = json!({"chat_id": OLGA, "from_chat_id": OLGA, "message_id": own});
    let forwarded = platform.call("forwardMessage", sent).await["message_id"].clone();
    shows(phone, &format!("{} .forwarded", bubble(&forwarded)), "Olga").await;
    let venue = json!({"chat_id": OLGA, "latitude": 1.5, "longitude": 2.5, "title": "Office", "address": "Street 1"});
    let venue = platform.call("sendVenue", venue).await["message_id"].clone();
    shows(phone, &bubble(&venue), "venue: Office, Street 1").await;
    let card = json!({"chat_id": OLGA, "phone_number": "+15551", "first_name": "Ann"});
    let card = platform.call("sendContact", card).await["message_id"].clone();
    shows(phone, &bubble(&card), "contact: Ann +15551").await;
    platform.control.photo(OLGA, &picture(64, 48, 4000, 7), "look").await;
    let seen = "document.querySelector('#log li:last-child .file[data-kind=photo]')";
    phone.wait_for(seen, SOON).await.unwrap();
}
