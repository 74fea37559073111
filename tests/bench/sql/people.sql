-- 20 agents bench00, bench01 ... of the queue `support`, and 1,000 customers with a chat each, taken by an agent.
INSERT INTO feed (name) SELECT 'bench:' || n FROM generate_series(0, 19) n;
INSERT INTO agent (name, display_name, feed_id)
SELECT 'bench' || lpad(n::text, 2, '0'), 'Agent ' || n, f.id FROM generate_series(0, 19) n JOIN feed f ON f.name = 'bench:' || n;
UPDATE feed SET name = 'agent:' || a.id FROM agent a WHERE a.feed_id = feed.id AND feed.name LIKE 'bench:%';
INSERT INTO agent_queue (agent_id, queue_id) SELECT a.id, q.id FROM agent a, queue q WHERE a.name LIKE 'bench%';
INSERT INTO customer (account_id, platform_id, name)
SELECT a.id, (700100000 + n)::text, 'Customer ' || (700100000 + n) FROM generate_series(0, 999) n, account a;
INSERT INTO chat (account_id, platform_key, customer_id, title, state, agent_id, queue_id)
SELECT c.account_id, c.platform_id, c.id, c.name, 1, g.id, q.id FROM customer c JOIN queue q ON q.name = 'support'
  JOIN agent g ON g.name = 'bench' || lpad((c.platform_id::bigint % 20)::text, 2, '0');
INSERT INTO interaction (account_id, chat_id, queue_id, agent_id, opened_at, taken_at)
SELECT account_id, id, queue_id, agent_id, now(), now() FROM chat;
UPDATE chat SET interaction_id = i.id FROM interaction i WHERE i.chat_id = chat.id;
ANALYZE customer, chat, agent, feed, queue, account;
