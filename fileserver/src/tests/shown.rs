//! What a browser is told of a file: by its bytes, whatever it calls itself.

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01";
const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01";
const MP4: &[u8] = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2";
const OPUS: &[u8] = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01\x01";

const SCRIPT: &[u8] = b"<script>document.domain='marker'</script>";

#[tokio::test]
async fn only_a_few_types_are_shown_by_a_browser() {
    let server = Server::start().await;
    let svg = [b"<svg xmlns=\"http://www.w3.org/2000/svg\">".as_slice(), SCRIPT, b"</svg>"].concat();
    let xml_svg = [b"<?xml version=\"1.0\"?>".as_slice(), &svg].concat();
    let html = [b"<!DOCTYPE html><html>".as_slice(), SCRIPT].concat();
    let gifar = [b"GIF89a\x01\0\x01\0\x80\0\0;".as_slice(), b"PK\x03\x04\x14\0\x08\0", SCRIPT].concat();
    let pdf_html = [b"%PDF-1.7\n".as_slice(), SCRIPT].concat();
    let late_pdf = [SCRIPT, b"%PDF-1.7\n"].concat();
    let jpeg_html = [JPEG, b"*/</style>", SCRIPT].concat();
    let gif_js = b"GIF89a=1;document.domain='marker'//".to_vec();
    let octets = ("attachment", "application/octet-stream");
    for (name, declared, bytes, (disposition, mime)) in [
        ("a.png", "image/png", PNG.to_vec(), ("inline", "image/png")),
        ("a.jpg", "image/jpeg", JPEG.to_vec(), ("inline", "image/jpeg")),
        ("a.gif", "image/gif", b"GIF89a\x01\0\x01\0".to_vec(), ("inline", "image/gif")),
        ("a.webp", "image/webp", b"RIFF\x24\0\0\0WEBPVP8 ".to_vec(), ("inline", "image/webp")),
        ("a.mp4", "video/mp4", MP4.to_vec(), ("inline", "video/mp4")),
        ("a.ogg", "audio/ogg", OPUS.to_vec(), ("inline", "audio/ogg")),
        ("a.mp3", "audio/mpeg", b"ID3\x03\0\0\0\0\0\0".to_vec(), ("inline", "audio/mpeg")),
        ("a.pdf", "application/pdf", b"%PDF-1.7\n".to_vec(), ("attachment", "application/pdf")),
        ("a.txt", "text/plain", b"text".to_vec(), octets),
        ("a.js", "text/javascript", b"document.domain='marker'".to_vec(), octets),
        ("a.html", "text/html", html.clone(), octets),
        ("a.xml", "application/xml", xml_svg.clone(), octets),
        ("a.svg", "image/svg+xml", svg.clone(), octets),
        ("a.zip", "application/zip", b"PK\x03\x04\x14\0\0\0".to_vec(), octets),
        ("a.xhtml", "application/xhtml+xml", [b"<html xmlns=\"x\">".as_slice(), SCRIPT].concat(), octets),
        // What pretends to be something else.
        ("a.png", "image/png", svg, octets),
        ("a.png", "image/png", xml_svg, octets),
        ("a.jpg", "image/jpeg", html, octets),
        ("a.html", "text/html", late_pdf, ("attachment", "application/pdf")),
        // What is two things at once is what cannot run.
        ("a.jar", "application/java-archive", gifar, ("inline", "image/gif")),
        ("a.html", "text/html", pdf_html, ("attachment", "application/pdf")),
        ("a.html", "text/html", jpeg_html, ("inline", "image/jpeg")),
        ("a.js", "text/javascript", gif_js, ("inline", "image/gif")),
    ] {
        let request = server.post("anna", &format!("main?name={name}")).header("content-type", declared);
        let said: Value = request.body(bytes.clone()).send().await.unwrap().json().await.unwrap();
        let path = format!("main/{}", said["file"].as_str().unwrap());
        let answer = server.get("anna", &path).send().await.unwrap();
        let mut headers: Vec<(String, String)> = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.retain(|(name, _)| name != "date");
        headers.sort();
        let want = [
            ("accept-ranges", "bytes"),
            ("cache-control", "private, immutable"),
            ("content-disposition", &format!("{disposition}; filename=\"{name}\"")),
            ("content-length", &bytes.len().to_string()),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("content-type", mime),
            ("cross-origin-resource-policy", "same-site"),
            ("etag", &format!("\"{}\"", sha256(&bytes))),
            ("referrer-policy", "no-referrer"),
            ("vary", "Authorization"),
            ("x-content-type-options", "nosniff"),
        ];
        let want: Vec<(String, String)> = want.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(headers, want, "{name} {declared}");
        assert_eq!(answer.bytes().await.unwrap(), bytes);
    }
    // Both types are kept, and neither was taken for the other.
    let lies = "SELECT count(*) FROM file WHERE mime = 'image/png' AND sniffed <> 'image/png'";
    assert_eq!(server.number(lies).await, 2);
    server.stop().await;
}

#[tokio::test]
async fn names_are_data() {
    let server = Server::start().await;
    let long = "n".repeat(4096);
    for (declared, name, disposition) in [
        ("../../etc/passwd", "passwd", "filename=\"passwd\""),
        ("..\\..\\boot.ini", "boot.ini", "filename=\"boot.ini\""),
        ("%2e%2e%2fx", "%2e%2e%2fx", "filename=\"_2e_2e_2fx\"; filename*=UTF-8''%252e%252e%252fx"),
        ("a\0b\r\nSet-Cookie: x=1", "abSet-Cookie: x=1", "filename=\"abSet-Cookie: x=1\""),
        ("x\"; filename=\"evil.exe", "x\"; filename=\"evil.exe", "filename=\"x_; filename=_evil.exe\"; filename*="),
        ("a\u{202e}gpj.exe", "agpj.exe", "filename=\"agpj.exe\""),
        ("<style>*{display:none}</style>.png", "style>.png", "filename=\"style>.png\""),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>", "filename=\"<img src=x onerror=alert(1)>\""),
        ("счёт №1.pdf", "счёт №1.pdf", "filename=\"____ _1.pdf\"; filename*=UTF-8''%D1%81%D1%87"),
        (&long, &long[..255], "filename=\"nnn"),
    ] {
        let query = server.post("anna", "main").query(&[("name", declared)]).body("x").send().await.unwrap();
        assert_eq!(query.status(), 201, "{declared:?}");
        let said: Value = query.json().await.unwrap();
        assert_eq!(said["name"], name, "{declared:?}");
        let path = format!("main/{}", said["file"].as_str().unwrap());
        let answer = server.get("anna", &path).send().await.unwrap();
        let got = header(&answer, "content-disposition").to_owned();
        assert!(got.starts_with(&format!("attachment; {disposition}")), "{declared:?}: {got}");
        assert!(got.len() < 1200 && answer.headers().get("set-cookie").is_none());
    }
    for nameless in ["main", "main?name=", "main?name=..", "main?name=%00"] {
        let said: Value = server.post("anna", nameless).body(JPEG).send().await.unwrap().json().await.unwrap();
        assert_eq!((&said["name"], &said["kind"]), (&Value::Null, &json!("photo")));
        let answer = server.get("anna", &format!("main/{}", said["file"].as_str().unwrap())).send().await.unwrap();
        assert_eq!(header(&answer, "content-disposition"), "inline; filename=\"photo.jpg\"");
    }
    server.stop().await;
}

#[tokio::test]
async fn only_pages_of_allowed_origins_may_read() {
    let desk = "https://desk.example";
    let server = Server::start_with(Wishes { origins: vec![desk], ..Wishes::default() }).await;
    let path = format!("main/{}", server.upload("anna", "bytes").await);
    let preflight = async |origin: &str| {
        let request = server.client.request(reqwest::Method::OPTIONS, server.url(&path)).header("origin", origin);
        request.header("access-control-request-method", "PUT").send().await.unwrap()
    };
    let answer = preflight(desk).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (204, desk));
    assert!(header(&answer, "access-control-allow-methods").contains("PUT"));
    assert!(header(&answer, "access-control-allow-headers").contains("Authorization"));
    let get = async |origin: &str| server.get("anna", &path).header("origin", origin).send().await.unwrap();
    let answer = get(desk).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (200, desk));
    assert!(answer.headers().get_all("vary").iter().any(|value| value == "Origin"));
    for foreign in ["https://evil.example", "https://desk.example.evil.example", "null", "http://desk.example"] {
        for answer in [preflight(foreign).await, get(foreign).await] {
            assert!(answer.headers().get("access-control-allow-origin").is_none(), "{foreign}");
        }
    }
    // A page can read why it was refused.
    let answer = server.client.get(server.url(&path)).header("origin", desk).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (401, desk));
    server.stop().await;
}
