#![allow(clippy::unwrap_used)]

use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "a shared secret of more than 32 bytes";
const RS256: (&str, &str) = (include_str!("testdata/rs256.pem"), include_str!("testdata/rs256.pub.pem"));
const ES256: (&str, &str) = (include_str!("testdata/es256.pem"), include_str!("testdata/es256.pub.pem"));
const ED25519: (&str, &str) = (include_str!("testdata/ed25519.pem"), include_str!("testdata/ed25519.pub.pem"));

fn verifier(keys: &[(TokenAlgorithm, &str, Option<&str>)]) -> Verifier {
    let key = |(algorithm, material, id): &(TokenAlgorithm, &str, Option<&str>)| AuthKey {
        id: id.map(str::to_owned),
        algorithm: *algorithm,
        material: SecretString::from(*material),
    };
    let settings =
        AuthSettings { issuer: "us".to_owned(), audience: "agents".to_owned(), keys: keys.iter().map(key).collect() };
    Verifier::new(&settings).unwrap()
}

fn shared() -> Verifier {
    verifier(&[(TokenAlgorithm::Hs256, SECRET, None)])
}

fn claims() -> Value {
    json!({ "sub": "anna", "iss": "us", "aud": "agents", "exp": get_current_timestamp() + 600 })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(key),
            value => claims.as_object_mut().unwrap().insert(key.clone(), value.clone()),
        };
    }
    claims
}

fn sign(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// Header and claims as given, signed as HS256 with `secret`, whatever the header says.
fn forge(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let honest = encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret)).unwrap();
    let payload = honest.split('.').nth(1).unwrap();
    let head = base64url(header.to_string().as_bytes());
    let message = format!("{head}.{payload}");
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for n in 0..=chunk.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * n)) as usize & 63]));
        }
    }
    text
}

#[test]
fn a_good_token_names_the_agent_and_when_to_stop() {
    let now = get_current_timestamp();
    let identity = shared().verify(&sign(&with(json!({ "exp": now + 600 })))).unwrap();
    let until = DateTime::from_timestamp(now as i64 + 630, 0).unwrap();
    let (subject, scopes) = ("anna".to_owned(), TokenScopes::from_iter([TokenScope::Agent]));
    assert_eq!(identity, Identity { subject, scopes, until, key: identity.key });
    assert!(shared().believes(identity.key) && !shared().believes(KeyMark::default()));
    for good in [
        json!({ "aud": ["others", "agents"] }),
        json!({ "nbf": now + 20 }),
        json!({ "exp": now - 20 }),
        json!({ "exp": now as f64 + 600.5 }),
    ] {
        assert!(shared().verify(&sign(&with(good.clone()))).is_ok(), "{good}");
    }
}

#[test]
fn hostile_claims_are_refused() {
    let now = get_current_timestamp();
    for bad in [
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": 7 }),
        json!({ "sub": ["anna"] }),
        json!({ "iss": null }),
        json!({ "iss": "them" }),
        json!({ "iss": ["us"] }),
        json!({ "iss": ["us", "them"] }),
        json!({ "iss": 1 }),
        json!({ "aud": null }),
        json!({ "aud": "others" }),
        json!({ "aud": [] }),
        json!({ "aud": ["others"] }),
        json!({ "aud": {"agents": true} }),
        json!({ "exp": null }),
        json!({ "exp": now - 31 }),
        json!({ "exp": (now + 600).to_string() }),
        json!({ "exp": -1 }),
        json!({ "exp": 0 }),
        json!({ "exp": "never" }),
        json!({ "exp": true }),
        json!({ "exp": 1e300 }),
        json!({ "exp": i64::MAX }),
        json!({ "nbf": now + 40 }),
        json!({ "nbf": "soon" }),
        json!({ "nbf": (now + 600).to_string() }),
    ] {
        assert!(shared().verify(&sign(&with(bad.clone()))).is_err(), "{bad}");
    }
}

#[test]
fn hostile_headers_and_signatures_are_refused() {
    let good = sign(&claims());
    let (head, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let mut bad = vec![
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        head.to_owned(),
        format!("{head}.{payload}"),
        format!("{head}.{payload}."),
        format!("{head}.{payload}.{}", &signature[1..]),
        format!("{head}.{payload}.{signature}."),
        format!("{head}.{payload}.{signature}.{signature}"),
        format!(" {good}"),
        format!("Bearer {good}"),
    ];
    for alg in ["none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "ES256", "EdDSA", "PS256", "hs256"] {
        let header = json!({ "typ": "JWT", "alg": alg });
        bad.push(forge(&header, &claims(), SECRET.as_bytes()));
        bad.push(format!("{}.{payload}.", base64url(header.to_string().as_bytes())));
    }
    bad.push(forge(&json!({ "typ": "JWT" }), &claims(), SECRET.as_bytes()));
    bad.push(forge(&json!({ "alg": "HS256", "crit": ["b64"] }), &claims(), SECRET.as_bytes()));
    bad.push(forge(&json!({ "alg": "HS256" }), &claims(), b"another secret of more than 32 bytes"));
    bad.push(forge(&json!({ "alg": "HS256" }), &claims(), b""));
    for token in bad {
        assert!(shared().verify(&token).is_err(), "{token}");
    }
    let pointed = json!({ "alg": "HS256", "jku": "https://evil.example/keys", "x5u": "https://evil.example/cert" });
    assert!(shared().verify(&forge(&pointed, &claims(), SECRET.as_bytes())).is_ok(), "where to find keys is ignored");
}

#[test]
fn each_key_has_one_algorithm() {
    let pairs = [
        (TokenAlgorithm::Rs256, Algorithm::RS256, RS256, EncodingKey::from_rsa_pem(RS256.0.as_bytes())),
        (TokenAlgorithm::Es256, Algorithm::ES256, ES256, EncodingKey::from_ec_pem(ES256.0.as_bytes())),
        (TokenAlgorithm::EdDsa, Algorithm::EdDSA, ED25519, EncodingKey::from_ed_pem(ED25519.0.as_bytes())),
    ];
    for (ours, theirs, (_, public), private) in pairs {
        let verifier = verifier(&[(ours, public, None)]);
        let good = encode(&Header::new(theirs), &claims(), &private.unwrap()).unwrap();
        assert!(verifier.verify(&good).is_ok(), "{ours}");
        // The public key is no secret: nobody may use it as a shared one.
        let forged = forge(&json!({ "alg": "HS256" }), &claims(), public.as_bytes());
        assert!(verifier.verify(&forged).is_err(), "{ours}");
        let forged = forge(&json!({ "alg": ours.to_string() }), &claims(), public.as_bytes());
        assert!(verifier.verify(&forged).is_err(), "{ours}");
    }
}

#[test]
fn a_kid_chooses_the_key() {
    let other = "another shared secret of 32 bytes and more";
    let verifier =
        verifier(&[(TokenAlgorithm::Hs256, other, Some("old")), (TokenAlgorithm::Hs256, SECRET, Some("new"))]);
    let named = |kid: Option<&str>| {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
    };
    assert!(verifier.verify(&named(Some("new"))).is_ok());
    for kid in [Some("old"), Some("unknown"), Some(""), None] {
        assert!(verifier.verify(&named(kid)).is_err(), "{kid:?}");
    }
}

#[test]
fn unusable_keys_are_refused_at_the_start() {
    let refused = |keys: Vec<AuthKey>| {
        Verifier::new(&AuthSettings { issuer: "us".to_owned(), audience: "agents".to_owned(), keys }).err().unwrap()
    };
    let key = |algorithm, material: &str| AuthKey { id: None, algorithm, material: SecretString::from(material) };
    assert!(matches!(refused(vec![]), AuthSettingsError::NoKey));
    assert!(matches!(refused(vec![key(TokenAlgorithm::Hs256, "short")]), AuthSettingsError::ShortSecret));
    assert!(matches!(refused(vec![key(TokenAlgorithm::Hs256, RS256.1)]), AuthSettingsError::PublicSecret));
    for algorithm in [TokenAlgorithm::Rs256, TokenAlgorithm::Es256, TokenAlgorithm::EdDsa] {
        assert!(matches!(refused(vec![key(algorithm, "no PEM")]), AuthSettingsError::Unreadable(..)));
    }
    assert!("none".parse::<TokenAlgorithm>().is_err() && "HS256".parse::<TokenAlgorithm>().is_ok());
}

/// What a header says of keys, types and places is never followed.
#[test]
fn headers_point_nowhere() {
    const BROUGHT: &[u8] = b"a key that the token brings along, 32 bytes";
    let own = json!({ "kty": "oct", "k": base64url(BROUGHT) });
    let evil = "https://evil.example/keys";
    for header in [
        json!({ "alg": "HS256", "jwk": own }),
        json!({ "alg": "HS256", "jku": evil, "kid": "1" }),
        json!({ "alg": "HS256", "x5u": evil }),
        json!({ "alg": "HS256", "x5c": ["MIIB"] }),
        json!({ "alg": "HS256", "kid": "../../../../dev/null" }),
        json!({ "alg": "HS256", "kid": "/proc/self/environ" }),
        json!({ "alg": "HS256", "kid": "' OR 1=1 --" }),
        json!({ "alg": "HS256", "kid": "|/bin/sh" }),
    ] {
        // By a key of the attacker's, the empty one, and the one in the header.
        for key in [b"another secret of more than 32 bytes".as_slice(), b"", BROUGHT] {
            assert!(shared().verify(&forge(&header, &claims(), key)).is_err(), "{header}");
        }
    }
    for typ in ["JWS", "logout+jwt", "dpop+jwt", "JOSE", "secevent+jwt", ""] {
        let header = json!({ "alg": "HS256", "typ": typ });
        assert!(shared().verify(&forge(&header, &claims(), SECRET.as_bytes())).is_err(), "{typ}");
    }
    for typ in ["JWT", "jwt", "at+jwt"] {
        assert!(shared().verify(&forge(&json!({ "alg": "HS256", "typ": typ }), &claims(), SECRET.as_bytes())).is_ok());
    }
    for header in [json!({ "alg": ["HS256"] }), json!({ "alg": null }), json!([]), json!("HS256")] {
        assert!(shared().verify(&forge(&header, &claims(), SECRET.as_bytes())).is_err(), "{header}");
    }
}

#[test]
fn subjects_are_names() {
    let many = |c: &str, n: usize| c.repeat(n);
    for sub in ["anna\0", "\u{1b}[31manna", "anna\n", "a\rb", "\u{85}", &many("a", 129), &many("\u{1f600}", 129)] {
        assert!(shared().verify(&sign(&with(json!({ "sub": sub })))).is_err(), "{sub:?}");
    }
    // As they are: nothing is folded into another's name.
    for sub in ["Анна", "安娜", "anna@example.org", "a b", "ａｎｎａ", "ANNA", &many("a", 128)] {
        assert_eq!(shared().verify(&sign(&with(json!({ "sub": sub })))).unwrap().subject, sub);
    }
}

#[test]
fn scopes_are_words_of_ours_or_nothing() {
    let scopes = |scope: Value| {
        shared().verify(&sign(&with(json!({ "scope": scope })))).map(|identity| identity.scopes.to_string())
    };
    for (scope, want) in [
        (json!("agent"), "agent"),
        (json!("openid supervisor  profile"), "supervisor"),
        (json!("loader admin loader"), "loader admin"),
        (Value::Null, "agent"),
    ] {
        assert_eq!(scopes(scope).unwrap(), want);
    }
    for scope in ["", " ", "openid", "Agent", "agents", "agent,admin", "agent\tadmin", "*", "admin\0", "ａgent"] {
        assert!(scopes(json!(scope)).is_err(), "{scope:?}");
    }
    for scope in [json!(["admin"]), json!({"admin": true}), json!(1), json!(true)] {
        assert!(scopes(scope.clone()).is_err(), "{scope}");
    }
}

#[test]
fn a_mutilated_token_is_none_and_a_huge_one_is_not_read() {
    let good = sign(&claims());
    for length in 0..good.len() {
        assert!(shared().verify(&good[..length]).is_err(), "cut after {length}");
    }
    for at in 0..good.len() {
        let other = if &good[at..=at] == "A" { "B" } else { "A" };
        let bent = [&good[..at], other, &good[at + 1..]].concat();
        assert!(shared().verify(&bent).is_err(), "bent at {at} of {good}");
    }
    let upper = good.to_uppercase();
    for odd in [format!("{good}="), good.replace('.', ".."), upper, format!("{good}\0"), good.replacen("ey", "e y", 1)]
    {
        assert!(shared().verify(&odd).is_err(), "{odd}");
    }
    let begun = std::time::Instant::now();
    let huge = sign(&with(json!({ "padding": "x".repeat(64 * 1024) })));
    let parts = format!("{good}.{}", "a".repeat(64 * 1024));
    for long in [huge, "a".repeat(64 * 1024), ".".repeat(64 * 1024), parts] {
        assert!(shared().verify(&long).is_err());
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// What is said of a refused token quotes nothing of it, and nothing of the keys.
#[test]
fn words_of_refusal_leak_nothing() {
    let canary = "canary-7f3a";
    let forged = |header: Value| forge(&header, &claims(), SECRET.as_bytes());
    let tokens = [
        sign(&with(json!({ "iss": canary }))),
        sign(&with(json!({ "aud": canary }))),
        sign(&with(json!({ "exp": canary }))),
        sign(&with(json!({ "sub": format!("{canary}\n") }))),
        sign(&with(json!({ "scope": canary }))),
        forged(json!({ "alg": "HS256", "kid": canary, "crit": [canary] })),
        forged(json!({ "alg": canary })),
        forged(json!({ "alg": "HS256", "typ": canary })),
        format!("{canary}.{canary}.{canary}"),
    ];
    for token in tokens {
        let denied = shared().verify(&token).unwrap_err();
        let words = format!("{denied} {denied:?}");
        assert!(!words.contains("canary") && !words.contains(SECRET) && words.len() < 200, "{words}");
    }
}
