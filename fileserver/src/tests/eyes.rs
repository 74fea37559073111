//! Who may have what.

use super::*;

#[tokio::test]
async fn a_file_is_for_those_who_may_see_it_now() {
    let server = Server::start().await;
    let file = server.upload("anna", "secret").await;
    let path = format!("main/{file}");
    let status = async |who: &str| server.get(who, &path).send().await.unwrap().status().as_u16();
    assert_eq!([status("anna").await, status("bob").await, status("eve").await], [200, 404, 404]);
    // Shown in a chat that waits in the queue of anna and bob.
    server
        .run(&format!(
            "INSERT INTO chat (account_id, id, platform_key, queue_id, state) VALUES ({0}, 7, 'c', 1, 0);
             INSERT INTO file_use VALUES ({0}, '{file}', 7, 1)",
            server.account
        ))
        .await;
    assert_eq!([status("anna").await, status("bob").await, status("eve").await], [200, 200, 404]);
    server.run("UPDATE chat SET queue_id = 2, agent_id = 3, state = 1").await;
    assert_eq!([status("anna").await, status("bob").await, status("eve").await], [200, 404, 200], "eve took it over");
    for (who, want) in [
        ("sue:supervisor", 200),
        ("reader:loader", 200),
        ("root:admin", 200),
        ("sue:agent", 403),
        ("nobody:agent", 403),
        ("anna:", 401),
        ("anna:other", 401),
        ("bob:bot", 403),
    ] {
        assert_eq!(status(who).await, want, "{who}");
    }
    server.run("UPDATE agent SET enabled = false WHERE name = 'anna'").await;
    assert_eq!(status("anna").await, 403);
    let bare = server.client.get(server.url(&path)).send().await.unwrap();
    assert_eq!(header(&bare, "www-authenticate"), "Bearer");
    assert_eq!(problem(bare).await, refused(401, "unauthorized"));
    let in_the_url = server.client.get(format!("{}?token={}", server.url(&path), token("bob"))).send().await.unwrap();
    assert_eq!(problem(in_the_url).await, refused(401, "unauthorized"));
    server.stop().await;
}

#[tokio::test]
async fn only_agents_and_their_programs_upload() {
    let server = Server::start().await;
    server.run("UPDATE agent SET scopes = '{bot}' WHERE name = 'bob'").await;
    for (who, want) in [("anna", 201), ("bob:bot", 201), ("bob", 403), ("sue:supervisor", 403), ("root:admin", 403)] {
        let posted = server.post(who, "main").body("x").send().await.unwrap();
        let put = server.put(who, "main/key").body("x").send().await.unwrap();
        assert_eq!([posted.status().as_u16(), put.status().as_u16()], [want, want], "{who}");
    }
    for path in ["other", "main%2f"] {
        let answer = server.post("anna", path).body("x").send().await.unwrap();
        assert_eq!(problem(answer).await, refused(404, "not_found"), "{path}");
    }
    server.has(4, 4).await;
    server.stop().await;
}

/// Absent, foreign, unfinished, of another account, not an id: one answer.
#[tokio::test]
async fn what_is_not_yours_is_not_there() {
    let server = Server::start().await;
    let file = server.upload("eve", "secret").await;
    let unfinished = "0123456789abcdef0123456789abcdef";
    server
        .run(&format!(
            "INSERT INTO file (account_id, id, inbound, kind, agent_id) VALUES ({}, '{unfinished}', false, 'document', 1)",
            server.account
        ))
        .await;
    let mut bodies = Vec::new();
    for path in [
        format!("main/{file}"),
        format!("main/{unfinished}"),
        format!("main/{}", "f".repeat(32)),
        format!("other/{file}"),
        format!("main/{}", file.to_uppercase()),
        "main/..%2f..%2fetc%2fpasswd".to_owned(),
        "main/%ff".to_owned(),
        format!("main/{}", "a".repeat(4000)),
    ] {
        let mut body: Value = server.get("anna", &path).send().await.unwrap().json().await.unwrap();
        assert!(body.as_object_mut().unwrap().remove("request_id").is_some());
        bodies.push(body);
        let link = server.post("anna", &format!("{path}/link")).send().await.unwrap();
        assert_eq!(link.status(), 404, "{path}");
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
    server.stop().await;
}

#[tokio::test]
async fn a_customers_file_may_not_be_there_yet() {
    let server = Server::start().await;
    let id = "0123456789abcdef0123456789abcdef";
    server
        .run(&format!(
            "INSERT INTO file (account_id, id, inbound, kind) VALUES ({0}, '{id}', true, 'photo');
             INSERT INTO chat (account_id, id, platform_key, queue_id, state) VALUES ({0}, 7, 'c', 1, 0);
             INSERT INTO file_use VALUES ({0}, '{id}', 7, 1)",
            server.account
        ))
        .await;
    let ask = async |who: &str| server.get(who, &format!("main/{id}")).send().await.unwrap();
    let answer = ask("anna").await;
    assert_eq!(header(&answer, "retry-after"), "2");
    assert_eq!(problem(answer).await, refused(409, "not_ready"));
    assert_eq!(problem(ask("eve").await).await, refused(404, "not_found"));
    server.run("UPDATE file SET state = 2, reason = 'larger than the platform gives to bots'").await;
    assert_eq!(problem(ask("anna").await).await, refused(410, "failed"));
    assert_eq!(problem(ask("eve").await).await, refused(404, "not_found"));
    server.stop().await;
}

#[tokio::test]
async fn a_link_shows_what_its_maker_may_see() {
    let server = Server::start().await;
    let (file, other) = (server.upload("anna", "secret").await, server.upload("anna", "other").await);
    let link = async |who: &str| server.post(who, &format!("main/{file}/link")).send().await.unwrap();
    assert_eq!(link("bob").await.status(), 404);
    assert_eq!(link("reader:loader").await.status(), 403);
    let said: Value = link("anna").await.json().await.unwrap();
    let url = said["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&format!("/files/main/{file}?expires=")) && said["expires_at"].is_string());
    let open = async |url: &str| server.client.get(format!("http://{}{url}", server.address)).send().await.unwrap();
    let answer = open(&url).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "secret");
    let headed = server.client.head(format!("http://{}{url}", server.address)).send().await.unwrap();
    assert_eq!(headed.status(), 200);
    for wrong in [
        url.replace(&file, &other),
        url.replace("/main/", "/other/"),
        url.replace("expires=1", "expires=2"),
        url.replace("&agent=1", "&agent=2"),
        url.replace("&agent=1", ""),
        url.replace("signature=", "signature=0"),
        format!("{url}&signature=0"),
        format!("/files/main/{file}?signature="),
        format!("/files/main/{file}?expires=9999999999&signature={}", "0".repeat(64)),
    ] {
        assert_eq!(problem(open(&wrong).await).await, refused(404, "not_found"), "{wrong}");
    }
    // A link reads, and nothing else.
    let put = server.client.put(format!("http://{}{url}", server.address)).body("x").send().await.unwrap();
    assert_eq!(problem(put).await, refused(401, "unauthorized"));
    // Whoever made it may no longer see it.
    let said: Value = link("sue:supervisor").await.json().await.unwrap();
    server.run("UPDATE agent SET enabled = false WHERE name = 'anna'").await;
    assert_eq!(problem(open(&url).await).await, refused(404, "not_found"));
    assert_eq!(open(said["url"].as_str().unwrap()).await.status(), 200);
    server.stop().await;
}

#[tokio::test]
async fn links_are_there_when_there_is_a_key() {
    let off = Server::start_with(Wishes { link_secret: None, ..Wishes::default() }).await;
    let path = format!("main/{}", off.upload("anna", "x").await);
    let made = off.post("anna", &format!("{path}/link")).send().await.unwrap();
    let used = off.client.get(off.url(&format!("{path}?expires=1&signature=2"))).send().await.unwrap();
    for answer in [made, used] {
        assert_eq!(answer.status(), 404);
        assert!(answer.text().await.unwrap().contains("files.link_secret_file"));
    }
    off.stop().await;
    let wishes = Wishes { public_url: "https://chat.example", ..Wishes::default() };
    let on = Server::start_with(wishes).await;
    let path = format!("main/{}", on.upload("anna", "x").await);
    let said: Value = on.post("anna", &format!("{path}/link")).send().await.unwrap().json().await.unwrap();
    assert!(said["url"].as_str().unwrap().starts_with(&format!("https://chat.example/files/{path}?expires=")));
    on.stop().await;
}
