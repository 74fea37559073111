#![allow(clippy::unwrap_used)]

use axum::http::HeaderValue;

use super::*;
use crate::service::config::Config;

fn public() -> Public {
    let config = Config::load(None, std::iter::empty()).unwrap();
    Public { requests_per_second: 1, requests_at_once: 3, sockets_per_address: 2, ..config.public }
}

fn behind(proxies: &str) -> Addresses {
    Addresses::new(&Public { trusted_proxies: proxies.to_owned(), ..public() }).unwrap()
}

fn headers(lines: &[&'static str]) -> HeaderMap {
    lines.iter().map(|line| ("x-forwarded-for".parse().unwrap(), HeaderValue::from_static(line))).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn only_a_configured_proxy_is_believed() {
    let addresses = behind("10.0.0.0/8, fd00::/8");
    for (peer, lines, want) in [
        ("203.0.113.9", &[][..], "203.0.113.9"),
        ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
        ("203.0.113.9", &["10.0.0.1"], "203.0.113.9"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
        // What the client itself wrote stands left of what the proxy added.
        ("10.0.0.1", &["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", &["10.0.0.7, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", &["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        // Two proxies of ours, one behind the other.
        ("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", &["6.6.6.6, 198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        // What cannot be read ends the chain where it was last known.
        ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1, , 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
    ] {
        assert_eq!(addresses.client(ip(peer), &headers(lines)), ip(want), "{peer} {lines:?}");
    }
}

/// A proxy that adds its word to the client's line passes on what the client has written there.
#[test]
fn odd_bytes_hide_nobody() {
    let addresses = behind("10.0.0.0/8");
    for (line, want) in [
        (b"\xff, 198.51.100.1".as_slice(), "198.51.100.1"),
        (b"1.1.1.1\xc3\xa9,198.51.100.1", "198.51.100.1"),
        (b"198.51.100.1\xff", "10.0.0.1"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED, HeaderValue::from_bytes(line).unwrap());
        assert_eq!(addresses.client(ip("10.0.0.1"), &headers), ip(want), "{line:?}");
    }
}

#[test]
fn a_spoofed_header_gives_no_second_bucket() {
    let addresses = behind("");
    let spoofed = ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"];
    let admitted = spoofed.iter().filter(|line| addresses.admit(ip("203.0.113.9"), &headers(&[line])).is_ok());
    assert_eq!(admitted.count(), 3);
    let addresses = behind("203.0.113.9");
    let admitted = spoofed.iter().filter(|line| addresses.admit(ip("203.0.113.9"), &headers(&[line])).is_ok());
    assert_eq!(admitted.count(), 4, "each client of a proxy has a bucket of its own");
}

#[test]
fn each_address_has_a_bucket_and_an_answer_when_it_is_empty() {
    let addresses = behind("");
    let admit = |peer: &str| addresses.admit(ip(peer), &HeaderMap::new());
    for _ in 0..3 {
        assert_eq!(admit("203.0.113.9"), Ok(ip("203.0.113.9")));
    }
    let problem = admit("203.0.113.9").unwrap_err();
    assert_eq!((problem.status(), problem.code()), (429, "too_fast"));
    let seconds = problem.into_response().headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    assert!(admit("203.0.113.8").is_ok());
    // All addresses of one /64 are one customer's.
    for host in ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:1::3"] {
        assert!(admit(host).is_ok());
    }
    assert!(admit("2001:db8:0:1::4").is_err() && admit("2001:db8:0:2::1").is_ok());
}

#[test]
fn memory_for_addresses_is_bounded() {
    let addresses = behind("");
    let v4 = |n: usize| IpAddr::from(((n as u32) | 0x0a00_0000).to_be_bytes());
    for n in 0..MOST_ADDRESSES * 2 {
        let _ = addresses.admit(v4(n), &HeaderMap::new());
        assert!(addresses.0.pace.len() <= MOST_ADDRESSES + 1);
    }
}

#[test]
fn lists_decide_before_the_pace() {
    let public = Public { allow: "10.0.0.0/8".to_owned(), deny: "10.1.0.0/16".to_owned(), ..public() };
    let addresses = Addresses::new(&public).unwrap();
    let status = |peer: &str| addresses.admit(ip(peer), &HeaderMap::new()).map_or_else(|p| p.status(), |_| 200);
    assert_eq!([status("10.2.0.1"), status("10.1.0.1"), status("192.0.2.1"), status("::1")], [200, 403, 403, 403]);
}

#[test]
fn sockets_are_counted_until_they_are_gone() {
    let addresses = behind("10.0.0.1");
    let first = addresses.hold(ip("203.0.113.9")).unwrap();
    let _second = addresses.hold(ip("203.0.113.9")).unwrap();
    assert_eq!(addresses.hold(ip("203.0.113.9")).err().map(|problem| problem.status()), Some(429));
    assert!(addresses.hold(ip("203.0.113.8")).unwrap().is_some());
    drop(first);
    assert!(addresses.hold(ip("203.0.113.9")).is_ok());
    for _ in 0..5 {
        assert!(addresses.hold(ip("10.0.0.1")).unwrap().is_none(), "a proxy brings everybody's");
    }
    assert_eq!(addresses.0.sockets.lock().unwrap().len(), 1, "only who has one is remembered");
}

#[test]
fn wrong_options_are_refused_by_name() {
    let wrong = |public: Public| Addresses::new(&public).err().unwrap().to_string();
    assert!(wrong(Public { requests_at_once: 0, ..public() }).contains("public.requests_at_once"));
    assert!(wrong(Public { trusted_proxies: "proxy".to_owned(), ..public() }).contains("public.trusted_proxies"));
    assert!(wrong(Public { deny: "10.0.0.1/8".to_owned(), ..public() }).contains("public.deny"));
    assert!(wrong(Public { connections: 0, ..public() }).contains("at least 1"));
}
