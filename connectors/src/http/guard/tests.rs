use super::*;

/// What an attacker would like us to fetch. None may pass, whatever the parser makes of it.
fn hostile() -> Vec<String> {
    let mut urls: Vec<String> = include_str!("hostile.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
        .map(str::to_owned)
        .collect();
    // Characters that a line of a file cannot hold.
    for odd in
        ["\t", "\n", "\r", "\r\n", "\0", "\u{b}", "\u{7f}", "\u{a0}", "\u{200b}", "\u{feff}", "\u{ad}", "\u{2028}"]
    {
        urls.push(format!("https://files.example{odd}.evil.example/"));
        urls.push(format!("https://files.example/{odd}x"));
        urls.push(format!("{odd}https://127.0.0.1/"));
        urls.push(format!("https:{odd}//127.0.0.1/"));
        urls.push(format!("https://files.example/ HTTP/1.1{odd}Host: inside{odd}{odd}"));
    }
    urls.push("https://files.example/ ".to_owned());
    urls.push(format!("https://files.example/{}", "a".repeat(LONGEST)));
    urls
}

#[test]
fn a_configured_address_holds_no_password() {
    for good in ["http://127.0.0.1:8081", "https://bots.example", "https://bots.example/tg"] {
        assert!(Origin::configured(good).is_some(), "{good}");
    }
    for bad in [
        "https://bot:hunter2@bots.example",
        "https://bot@bots.example",
        "https://bots.example?key=hunter2",
        "https://bots.example#x",
        "ftp://bots.example",
        "https://",
        "bots.example",
    ] {
        assert!(Origin::configured(bad).is_none(), "{bad}");
    }
}

#[test]
fn no_hostile_address_passes() {
    let hostile = hostile();
    assert!(hostile.len() >= 200, "{}", hostile.len());
    let passed: Vec<&String> = hostile.iter().filter(|url| public(url).is_ok()).collect();
    assert!(passed.is_empty(), "{passed:#?}");
    let host = Origin::Host("files.example");
    let passed: Vec<&String> = hostile.iter().filter(|url| host.check(url).is_ok()).collect();
    assert!(passed.is_empty(), "{passed:#?}");
}

#[test]
fn honest_addresses_pass_as_they_are() {
    for url in [
        "https://files.example/",
        "https://files.example/a/b.jpg?size=1&x=%20",
        "https://files.example:443/file/bot42:SECRET/photos/file_0.jpg",
        "https://FILES.example/a",
        "https://files.example",
        "https://files.example/..%2f../a@b",
    ] {
        let checked = Origin::Host("files.example").check(url).unwrap_or_else(|why| panic!("{url}: {why}"));
        let Checked::Public(parsed) = checked else { panic!("{url} is not configured") };
        assert_eq!((parsed.host_str(), parsed.port_or_known_default()), (Some("files.example"), Some(443)));
    }
    assert!(public("https://8.8.8.8/").is_ok() && public("https://[2a00:1450::1]/").is_ok());
    for other in ["https://evil.example/", "https://files.example.evil.example/", "https://xfiles.example/"] {
        assert!(public(other).is_ok() && Origin::Host("files.example").check(other).is_err(), "{other}");
    }
}

#[test]
fn what_is_configured_is_exactly_one_origin() {
    let origin = Origin::configured("http://127.0.0.1:8081").expect("an address");
    for own in ["http://127.0.0.1:8081/file/x", "http://127.0.0.1:8081/?a"] {
        assert!(matches!(origin.check(own), Ok(Checked::Configured(_))), "{own}");
    }
    for other in [
        "http://127.0.0.1/file/x",
        "http://127.0.0.1:8082/file/x",
        "https://127.0.0.1:8081/file/x",
        "http://127.0.0.2:8081/file/x",
        "http://localhost:8081/file/x",
        "http://a@127.0.0.1:8081/file/x",
        "http://127.0.0.1:8081@evil.example/file/x",
        "http://127.0.0.1:8081\\@evil.example/file/x",
        "http://2130706433:8081/file/x",
        "https://files.example/",
    ] {
        assert!(origin.check(other).is_err(), "{other}");
    }
    assert!(Origin::configured("nonsense").is_none() && Origin::configured("mailto:a@b").is_none());
}
