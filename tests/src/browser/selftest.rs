//! The driver itself: what it must notice, it notices.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::Browser;

const SOON: Duration = Duration::from_secs(10);

/// Serves `GET /name` from this list; returns the port. The pages forbid inline script, as ours do.
async fn serve(pages: &'static [(&'static str, &'static str)]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") && socket.read_buf(&mut request).await.is_ok_and(|n| n > 0) {}
                let request = String::from_utf8_lossy(&request);
                let path = request.split(' ').nth(1).unwrap_or("/");
                let page = pages.iter().find(|(name, _)| *name == path);
                let (status, body) = page.map_or(("404 Not Found", String::new()), |(_, body)| {
                    ("200 OK", body.replace("PORT", &port.to_string()))
                });
                let kind = if path.ends_with(".js") { "text/javascript" } else { "text/html" };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\
                     Content-Security-Policy: default-src 'self'; frame-src *\r\n\r\n{body}",
                    body.len()
                );
                let _ = socket.write_all(head.as_bytes()).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_page_is_read_clicked_typed_into_and_pictured() {
    let port = serve(&[
        ("/", "<title>t</title><link rel=icon href=/icon><input id=name><button id=go>go</button><p id=out></p><script type=module src=/a.js></script>"),
        ("/a.js", "document.querySelector('#go').onclick = () => setTimeout(() => { document.querySelector('#out').textContent = document.querySelector('#name').value }, 100)"),
        ("/icon", ""),
    ])
    .await;
    let browser = Browser::start().await.unwrap();
    let page = browser.open(640, 480, &format!("http://127.0.0.1:{port}/")).await.unwrap();
    page.type_into("#name", "Ольга 🙂").await.unwrap();
    page.click("#go").await.unwrap();
    let said = page.wait_for("document.querySelector('#out').textContent", SOON).await.unwrap();
    assert_eq!(said, "Ольга 🙂");
    assert_eq!(page.eval("Promise.resolve([innerWidth, innerHeight])").await.unwrap(), serde_json::json!([640, 480]));
    let picture = browser.profile().join("picture.png");
    page.screenshot(&picture).await.unwrap();
    let picture = std::fs::read(picture).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n") && picture.ends_with(b"IEND\xae\x42\x60\x82"));
    assert_eq!(page.complaints(), Vec::<String>::new());

    let profile = browser.profile().to_owned();
    drop(browser);
    assert!(!profile.exists(), "the profile goes with the browser");
}

#[tokio::test]
async fn errors_and_forbidden_scripts_are_noticed_and_a_wait_ends() {
    let port = serve(&[
        ("/", "<link rel=icon href=/a.js><p>shown text</p><script>window.inline = 1</script><img src=/absent.png><script type=module src=/a.js></script>"),
        ("/a.js", "console.error('on the', 'console'); console.log('fine'); setTimeout(() => { throw new Error('nobody caught') })"),
    ])
    .await;
    let browser = Browser::start().await.unwrap();
    let page = browser.open(640, 480, &format!("http://127.0.0.1:{port}/")).await.unwrap();
    let error = page.wait_for("window.inline", Duration::from_millis(300)).await.unwrap_err().to_string();
    assert!(
        error.contains("not within 300ms: window.inline (\"was undefined\")") && error.contains("shown text"),
        "{error}"
    );
    let complaints = page.complaints().join("\n");
    for part in ["console: on the console", "nobody caught", "Content Security Policy", "absent.png"] {
        assert!(complaints.contains(part), "{part} is missing in:\n{complaints}");
    }
    assert_eq!(page.complaints().len(), 4, "{complaints}");
    assert!(page.eval("nothing.at.all").await.unwrap_err().to_string().contains("ReferenceError"));
    assert!(page.goto("http://127.0.0.1:1/").await.is_err());
}

#[tokio::test]
async fn frames_of_the_same_and_of_another_site_are_reached() {
    let port = serve(&[
        ("/", "<link rel=icon href=/inner><br><br><iframe src=http://127.0.0.1:PORT/inner?same></iframe><iframe src=http://localhost:PORT/inner?other></iframe>"),
        ("/inner?same", "<link rel=icon href=/><button id=go>go</button><p></p><script src=/b.js></script>"),
        ("/inner?other", "<link rel=icon href=/><button id=go>go</button><p></p><script src=/b.js></script>"),
        ("/b.js", "document.querySelector('#go').onclick = () => { document.querySelector('p').textContent = 'pressed in ' + location.search }"),
    ])
    .await;
    let browser = Browser::start().await.unwrap();
    let page = browser.open(800, 600, &format!("http://127.0.0.1:{port}/")).await.unwrap();
    for name in ["same", "other"] {
        let frame = page.frame(&format!("inner?{name}")).await.unwrap();
        frame.click("#go").await.unwrap();
        let pressed = format!("document.querySelector('p').textContent === 'pressed in ?{name}'");
        frame.wait_for(&pressed, SOON).await.unwrap();
    }
}

#[tokio::test]
async fn a_click_waits_until_the_button_is_enabled_and_uncovered() {
    let port = serve(&[
        ("/", "<link rel=icon href=/c.js><link rel=stylesheet href=/c.css><button id=go disabled>go</button><div id=cover></div><p></p><script type=module src=/c.js></script>"),
        ("/c.css", ""),
        ("/c.js", "const [go, cover] = [document.querySelector('#go'), document.querySelector('#cover')]; let early = 0;\
          cover.style.cssText = 'position:fixed;inset:0'; cover.onclick = () => { early += 1 };\
          go.onclick = () => { document.querySelector('p').textContent = 'pressed, early ' + early };\
          setTimeout(() => { go.disabled = false }, 150); setTimeout(() => cover.remove(), 300)"),
    ])
    .await;
    let browser = Browser::start().await.unwrap();
    let page = browser.open(640, 480, &format!("http://127.0.0.1:{port}/")).await.unwrap();
    page.click("#go").await.unwrap();
    page.wait_for("document.querySelector('p').textContent === 'pressed, early 0'", SOON).await.unwrap();
}

#[test]
fn an_absent_chromium_is_named_with_the_way_out() {
    let missing = super::Process::start(std::path::Path::new("/nonexistent/chromium")).err().unwrap().to_string();
    assert!(missing.contains("./dev test") && missing.contains("SWITCHBOARD_CHROMIUM"), "{missing}");
}
