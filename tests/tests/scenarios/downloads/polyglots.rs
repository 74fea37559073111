//! Files that are two things at once, opened by a real browser. A careless server beside ours shows that each would run.

use axum::Router;
use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use switchboard_tests::browser::{Browser, Page};
use switchboard_tests::harness::Fleet;

use super::Street;

struct Polyglot {
    /// What its sender calls it.
    name: &'static str,
    declared: &'static str,
    /// As what it would run.
    runs_as: &'static str,
    bytes: Vec<u8>,
    /// How it is served.
    disposition: &'static str,
    mime: &'static str,
}

/// What shows that the script of a polyglot ran, in its own page or in one that shows it.
fn script(number: usize) -> String {
    format!("document.title=window.name='ran';parent.postMessage('{number}','*')")
}

fn polyglots() -> Vec<Polyglot> {
    let inline = |mime| ("inline", mime);
    let octets = ("attachment", "application/octet-stream");
    let html = |script: &str| format!("<script>{script}</script>");
    let svg = |script: &str| format!("<svg xmlns='http://www.w3.org/2000/svg'><script>{script}</script></svg>");
    // By a style sheet that is a part of the document; a browser without these takes the other script.
    let xml = |script: &str| {
        format!(
            "<?xml version='1.0'?><?xml-stylesheet type='text/xsl' href='#s'?>\
             <!DOCTYPE d [<!ATTLIST xsl:stylesheet id ID #REQUIRED>]><d><xsl:stylesheet id='s' version='1.0' \
             xmlns:xsl='http://www.w3.org/1999/XSL/Transform'><xsl:template match='/'><html><script>{script}</script></html>\
             </xsl:template></xsl:stylesheet><script xmlns='http://www.w3.org/1999/xhtml'>{script}</script></d>"
        )
    };
    type Row<'a> =
        (&'static str, &'static str, &'static str, &'a dyn Fn(&str) -> Vec<u8>, (&'static str, &'static str));
    let list: [Row<'_>; 9] = [
        ("photo.png", "image/png", "image/svg+xml", &|script| svg(script).into(), octets),
        ("photo.svg", "image/svg+xml", "image/svg+xml", &|script| svg(script).into(), octets),
        ("photo.jpg", "image/jpeg", "text/html", &|script| html(script).into(), octets),
        (
            "photo.jpeg",
            "text/html",
            "text/html",
            &|script| [b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01".as_slice(), html(script).as_bytes()].concat(),
            inline("image/jpeg"),
        ),
        (
            "applet.gif",
            "application/java-archive",
            "text/html",
            &|script| [b"GIF89a\x01\0\x01\0\x80\0\0;PK\x03\x04\x14\0\x08\0", html(script).as_bytes()].concat(),
            inline("image/gif"),
        ),
        (
            "script.gif",
            "text/javascript",
            "text/javascript",
            &|script| format!("GIF89a=1;{script}").into(),
            inline("image/gif"),
        ),
        (
            "act.pdf",
            "text/html",
            "text/html",
            &|script| format!("%PDF-1.7\n{}", html(script)).into(),
            ("attachment", "application/pdf"),
        ),
        ("data.xml", "application/xml", "application/xml", &|script| xml(script).into(), octets),
        ("note.txt", "text/plain", "text/html", &|script| format!("<!DOCTYPE html>{}", html(script)).into(), octets),
    ];
    let made = list.into_iter().enumerate();
    made.map(|(number, (name, declared, runs_as, make, (disposition, mime)))| Polyglot {
        name,
        declared,
        runs_as,
        bytes: make(&script(number)),
        disposition,
        mime,
    })
    .collect()
}

/// A page that shows each address in every way that a page can.
fn showing(addresses: &[String]) -> Html<String> {
    let each = addresses.iter().map(|address| address.replace('&', "&amp;")).map(|url| {
        format!(
            "<iframe src='{url}'></iframe><embed src='{url}'><object data='{url}'></object><img src='{url}'>\
             <link rel=stylesheet href='{url}'><script src='{url}'></script>"
        )
    });
    let listen = "<script>var ran=[];addEventListener('message',(event)=>ran.push(event.data))</script>";
    Html(format!("<!DOCTYPE html><title>page</title>{listen}{}", each.collect::<String>()))
}

/// Serves everything as what would run, and two pages: of its own files, and of the links.
async fn careless_server(port: u16, polyglots: &[Polyglot], links: &[String]) {
    let files: Vec<_> = polyglots.iter().map(|polyglot| (polyglot.runs_as, polyglot.bytes.clone())).collect();
    let own: Vec<String> = (0..files.len()).map(|number| format!("/file/{number}")).collect();
    let (own, links) = (showing(&own), showing(links));
    let file = async move |Path(number): Path<usize>| ([(CONTENT_TYPE, files[number].0)], files[number].1.clone());
    let router = Router::new()
        .route("/file/{number}", get(file))
        .route("/careless", get(async move || own.clone()))
        .route("/links", get(async move || links.clone()));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
}

/// Who ran in a page and in its frames: `control` does, and comes last.
async fn ran(page: &Page) -> Vec<String> {
    let add = "{ const frame = document.createElement('iframe');
        frame.srcdoc = \"<script>parent.postMessage('control','*')</script>\"; document.body.append(frame); true }";
    page.eval(add).await.unwrap();
    let ran = page.wait_for("ran.includes('control') && ran", std::time::Duration::from_secs(20)).await.unwrap();
    let mut ran: Vec<String> = serde_json::from_value(ran).unwrap();
    ran.sort();
    ran.dedup();
    ran
}

pub(super) async fn run_nowhere(fleet: &Fleet, street: &Street) {
    let polyglots = polyglots();
    let anna = fleet.file_client("anna");
    let mut links = Vec::new();
    for Polyglot { name, declared, bytes, disposition, mime, .. } in &polyglots {
        let file = anna.put(&street.base, name, name, declared, bytes).await.file();
        let (link, _) = street.link(&street.base, &file).await;
        let (status, headers, body) = street.ask(&link, None).await;
        assert_eq!((status, &body), (200, bytes), "{name}");
        for (header, want) in [
            ("content-disposition", format!("{disposition}; filename=\"{name}\"").as_str()),
            ("content-type", mime),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-site"),
            ("cache-control", "private, immutable"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(headers.get_all(header).iter().collect::<Vec<_>>(), [want], "{name} {header}");
        }
        links.push(link);
    }
    careless_server(fleet.desk_port, &polyglots, &links).await;
    let careless = format!("http://127.0.0.1:{}", fleet.desk_port);

    let browser = Browser::start().await.unwrap();
    let page = browser.open(800, 600, "about:blank").await.unwrap();
    let marked = "document.title === 'ran' || window.name === 'ran'";
    for (polyglot, link) in polyglots.iter().zip(&links) {
        let shown = page.follow(link).await.unwrap();
        assert_eq!(shown, polyglot.disposition == "inline", "{}", polyglot.name);
        assert_eq!(page.look(marked).await.unwrap(), false, "{} ran", polyglot.name);
    }
    page.goto(&format!("{careless}/links")).await.unwrap();
    assert_eq!(ran(&page).await, ["control"]);
    assert_eq!(page.eval("document.title").await.unwrap(), "page");

    // All of them would run, and it would be seen.
    assert!(page.follow(&format!("{careless}/file/0")).await.unwrap());
    assert_eq!(page.look(marked).await.unwrap(), true);
    page.goto(&format!("{careless}/careless")).await.unwrap();
    let mut all: Vec<String> = (0..polyglots.len()).map(|number| number.to_string()).collect();
    all.push("control".to_owned());
    assert_eq!(ran(&page).await, all);
}
