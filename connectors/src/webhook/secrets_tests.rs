use super::*;

fn any(secret: &str) -> Result<(), &'static str> {
    if secret.contains(' ') { Err("no blanks") } else { Ok(()) }
}

fn file(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("switchboard-webhook-{name}-{}", std::process::id()))
}

fn lines(secrets: &[SecretString]) -> Vec<&str> {
    secrets.iter().map(|secret| secret.expose_secret()).collect()
}

#[test]
fn a_rotation_is_noticed() {
    let path = file("rotation");
    std::fs::write(&path, "old\n").expect("writable");
    let secrets = Secrets::open(&format!("file:{}", path.display()), any).expect("a secret");
    std::fs::write(&path, "new\nold\n").expect("writable");
    assert_eq!(lines(&secrets.current()), ["old"], "not looked at more often than once a second");
    secrets.file.reread();
    assert_eq!(lines(&secrets.current()), ["new", "old"]);
    let known = secrets.current();
    for broken in ["", "two words\n", "a\nb\nc\n"] {
        std::fs::write(&path, broken).expect("writable");
        secrets.file.reread();
        assert!(Arc::ptr_eq(&known, &secrets.current()), "{broken:?} leaves the known ones in force");
    }
    std::fs::remove_file(&path).expect("it is there");
    secrets.file.reread();
    assert!(Arc::ptr_eq(&known, &secrets.current()));
    std::fs::write(&path, "new").expect("writable");
    secrets.file.reread();
    assert_eq!(lines(&secrets.current()), ["new"]);
    std::fs::remove_file(&path).expect("it is there");
}

#[test]
fn what_is_no_secret_is_refused_without_showing_it() {
    assert!(Secrets::open("hunter2hunter2hunter2", any).is_err_and(|error| !error.0.contains("hunter2")));
    assert!(Secrets::open("file:/nonexistent/secret", any).is_err());
    let path = file("wrong");
    std::fs::write(&path, "two words").expect("writable");
    let error = Secrets::open(&format!("file:{}", path.display()), any).expect_err("blanks");
    assert_eq!(error.0, "webhook_secret: no blanks");
    std::fs::remove_file(&path).expect("it is there");
}

#[test]
fn every_secret_in_force_opens_and_nothing_else() {
    let secrets = ["0123456789abcdef", "fedcba9876543210"].map(SecretString::from);
    for good in ["0123456789abcdef", "fedcba9876543210"] {
        assert!(is_one_of(good.as_bytes(), &secrets));
        for position in 0..good.len() {
            for bit in 0..8 {
                let mut spoiled = good.as_bytes().to_vec();
                spoiled[position] ^= 1 << bit;
                assert!(!is_one_of(&spoiled, &secrets));
            }
        }
        assert!(!is_one_of(&good.as_bytes()[1..], &secrets) && !is_one_of(format!("{good}0").as_bytes(), &secrets));
    }
    assert!(!is_one_of(b"", &secrets) && !is_one_of(b"", &[]));
}
