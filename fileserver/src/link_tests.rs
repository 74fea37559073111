#![allow(clippy::unwrap_used)]

use super::*;

const SECRET: &str = "a secret of links, more than 32 bytes";

fn links(account: &str, secrets: &[&str]) -> Links {
    let secret = (!secrets.is_empty()).then(|| SecretFile::fixed(SecretString::from(secrets.join("\n"))));
    let account = AccountName::new(account).unwrap();
    Links::new(&account, secret, Duration::from_secs(300), "https://chat.example/")
}

fn query(url: &str) -> LinkQuery {
    let mut query = LinkQuery::default();
    for (key, value) in url.split_once('?').unwrap().1.split('&').map(|pair| pair.split_once('=').unwrap()) {
        *match key {
            "expires" => &mut query.expires,
            "agent" => &mut query.agent,
            _ => &mut query.signature,
        } = Some(value.to_owned());
    }
    query
}

#[test]
fn a_link_is_good_as_it_was_given_and_not_otherwise() {
    let (main, now) = (links("main", &[SECRET]), DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    let (file, other) = (FileId::new(), FileId::new());
    for viewer in [None, Some(AgentId(7))] {
        let link = main.make(&file, viewer, now).unwrap();
        assert!(link.url.starts_with(&format!("https://chat.example/files/main/{file}?expires=1800000300")));
        assert_eq!(link.expires_at.timestamp(), 1_800_000_300);
        let good = query(&link.url);
        let later = |seconds| now + Duration::from_secs(seconds);
        for moment in [now, later(299)] {
            assert_eq!(main.believe(&file, &good, moment), Ok(viewer));
        }
        let refused = |links: &Links, file: &FileId, query: &LinkQuery, moment| {
            let problem = links.believe(file, query, moment).unwrap_err();
            assert_eq!((problem.status(), problem.code()), (404, "not_found"), "{query:?}");
        };
        refused(&main, &file, &good, later(300));
        refused(&main, &file, &good, now - Duration::from_secs(31)); // made to be good for too long
        refused(&main, &other, &good, now);
        refused(&links("other", &[SECRET]), &file, &good, now);
        refused(&links("main", &["another secret of links, long enough"]), &file, &good, now);
        let mut wrong = vec![LinkQuery::default()];
        for expires in ["1800000301", "01800000300", "+1800000300", "", "x", "9223372036854775807"] {
            wrong.push(LinkQuery { expires: Some(expires.to_owned()), ..good.clone() });
        }
        for agent in [Some("8"), Some(""), Some("07"), None].map(|agent| agent.map(str::to_owned)) {
            let same = agent.as_deref().unwrap_or_default() == good.agent.as_deref().unwrap_or_default();
            wrong.extend((!same).then(|| LinkQuery { agent, ..good.clone() }));
        }
        let signature = good.signature.clone().unwrap();
        let flipped = |at: usize| {
            let digit = if &signature[at..=at] == "0" { "1" } else { "0" };
            format!("{}{digit}{}", &signature[..at], &signature[at + 1..])
        };
        let mangled = [String::new(), signature[..63].to_owned(), format!("{signature}00"), signature.to_uppercase()];
        for signature in (0..64).map(flipped).chain(mangled).chain(["0".repeat(64), "é".repeat(32)]) {
            if Some(&signature) != good.signature.as_ref() {
                wrong.push(LinkQuery { signature: Some(signature), ..good.clone() });
            }
        }
        wrong.push(LinkQuery { signature: None, ..good.clone() });
        wrong.push(LinkQuery { expires: None, ..good.clone() });
        for query in &wrong {
            refused(&main, &file, query, now);
        }
    }
}

#[test]
fn keys_change_one_after_the_other() {
    let (file, now) = (FileId::new(), Utc::now());
    let (old, new) = ("the old secret of links, long enough", SECRET);
    let given = query(&links("main", &[old]).make(&file, None, now).unwrap().url);
    assert_eq!(links("main", &[new, old]).believe(&file, &given, now), Ok(None));
    assert!(links("main", &[new]).believe(&file, &given, now).is_err());
    let given = query(&links("main", &[new, old]).make(&file, None, now).unwrap().url);
    assert!(links("main", &[new]).believe(&file, &given, now).is_ok(), "the first key signs");
    assert_eq!(links("main", &["short", "", new]).keys().len(), 1);
    let off = links("main", &[]).believe(&file, &given, now).unwrap_err();
    assert!(off.status() == 404 && format!("{off:?}").contains("files.link_secret_file"));
}
