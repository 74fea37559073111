use super::*;

#[tokio::test]
async fn an_agent_has_the_replies_of_their_queues_and_everybody_s() {
    let f = Fixture::new(1).await;
    assert!(f.database.add_queue("billing").await.unwrap());
    assert!(f.database.add_agent("b0", "Billing", &["billing".to_owned(), "support".to_owned()]).await.unwrap());
    let both = f.database.agent("b0").await.unwrap().unwrap().id;
    let one = f.agents[0].id;
    let operator = f.database.clone().by("ida");
    for (queue, key, text) in [
        (None, "bye", "Good bye!"),
        (Some("support"), "hi", "Hello, this is support."),
        (Some("billing"), "hi", "Hello, this is billing."),
    ] {
        assert!(operator.set_reply(queue, key, text).await.unwrap());
        assert!(!operator.set_reply(queue, key, text).await.unwrap(), "it is so already");
    }
    assert!(operator.set_reply(None, "bye", "Bye!").await.unwrap());
    assert!(operator.set_reply(Some("nowhere"), "hi", "x").await.is_err());
    let texts = async |agent, after, limit| {
        let replies = f.database.replies_of(agent, after, limit).await.unwrap();
        replies.into_iter().map(|reply| (reply.id, reply.text)).collect::<Vec<_>>()
    };
    let [bye, support, billing] = [(1, "Bye!"), (2, "Hello, this is support."), (3, "Hello, this is billing.")]
        .map(|(id, text)| (id, text.to_owned()));
    let ids = f.database.replies().await.unwrap();
    assert_eq!(
        ids.iter().map(|reply| (reply.queue.as_deref(), reply.key.as_str())).collect::<Vec<_>>(),
        [(None, "bye"), (Some("billing"), "hi"), (Some("support"), "hi")]
    );
    assert_eq!(texts(one, 0, 10).await, [bye.clone(), support.clone()]);
    assert_eq!(texts(both, 0, 10).await, [bye, support.clone(), billing.clone()]);
    assert_eq!(texts(both, 1, 1).await, [support]);
    assert_eq!(texts(both, 2, 1).await, [billing]);
    assert!(operator.remove_reply(Some("support"), "hi").await.unwrap());
    assert!(!operator.remove_reply(Some("support"), "hi").await.unwrap());
    assert!(texts(one, 1, 10).await.is_empty());
    let told: Vec<_> = f.database.audit(Some("hi"), 1).await.unwrap();
    assert_eq!((told[0].actor.as_str(), told[0].action.as_str()), ("ida", "reply.remove"));
    assert_eq!(told[0].before.as_ref().unwrap()["text"], "Hello, this is support.");
    f.finish().await;
}
