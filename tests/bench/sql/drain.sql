-- From pending into logs and feeds, as a chatserver drains a batch: what its program decides is computed by the end of the
-- first statement.
BEGIN;
WITH w AS MATERIALIZED (
  SELECT p.id, k.id AS chat_id
    FROM (SELECT id, account_id, chat_key FROM pending ORDER BY id LIMIT 400) p
    LEFT JOIN LATERAL (SELECT x.id FROM chat x WHERE x.account_id = p.account_id AND x.platform_key = p.chat_key LIMIT 1) k ON true),
c AS MATERIALIZED (
  SELECT c.id, c.account_id, c.last_seq, c.state, c.agent_id, c.queue_id, c.interaction_id, c.unread, c.last_in_seq, c.title,
         coalesce(c.last_in_at::date = (now() + interval '1 min')::date, false) AS counted_today
    FROM chat c WHERE c.id = ANY (ARRAY(SELECT chat_id FROM w)) ORDER BY c.id LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED),
d AS MATERIALIZED (
  DELETE FROM pending p USING w, c WHERE p.id = w.id AND w.chat_id = c.id
  RETURNING p.id, p.chat_key, p.kind, p.dedupe_key, p.body, p.item, c.id AS chat_id, c.account_id, c.last_seq, c.state, c.agent_id,
            c.queue_id, c.interaction_id, c.unread, c.last_in_seq, c.title, c.counted_today),
t AS MATERIALIZED (
SELECT s.seen, s.unknown, d.id, d.chat_key, d.kind, d.dedupe_key, d.body, d.item::text AS item, d.chat_id, d.account_id, d.last_seq, d.state,
       d.agent_id, d.queue_id, d.interaction_id, d.unread, d.last_in_seq, d.title, d.counted_today,
       a.queue_id AS home_id, hq.feed_id AS home_feed, hq.name AS home_name,
       q.feed_id AS queue_feed, g.feed_id AS agent_feed, cu.id AS customer_id, cu.name AS customer_name
  FROM (SELECT count(*) AS seen, count(*) FILTER (WHERE chat_id IS NULL) AS unknown FROM w) s
  LEFT JOIN d ON true
  LEFT JOIN account a ON a.id = d.account_id
  LEFT JOIN queue hq ON hq.id = a.queue_id
  LEFT JOIN queue q ON q.id = d.queue_id
  LEFT JOIN agent g ON g.id = d.agent_id
  LEFT JOIN LATERAL (SELECT x.id, x.name FROM customer x
                      WHERE x.account_id = d.account_id AND x.platform_id = d.item->>'author_id' LIMIT 1) cu ON true
 ORDER BY d.id
),
n AS MATERIALIZED (SELECT t.*, t.last_seq + row_number() OVER (PARTITION BY chat_id ORDER BY id) AS seq FROM t WHERE id IS NOT NULL),
k AS MATERIALIZED (
  SELECT chat_id, max(seq) AS seq, min(state) AS state, min(agent_id) AS agent_id, min(queue_id) AS queue_id,
         min(interaction_id) AS interaction_id, min(unread) + count(*) AS unread, min(title) AS title FROM n GROUP BY chat_id)
SELECT n.*, k.*, (SELECT coalesce(array_agg(DISTINCT agent_feed), '{}')::text FROM n) AS feeds
  FROM (SELECT count(*) AS taken, coalesce(array_agg(account_id ORDER BY id), '{}')::text AS accounts,
               coalesce(array_agg(chat_id ORDER BY id), '{}')::text AS chats, coalesce(array_agg(seq ORDER BY id), '{}')::text AS seqs,
               coalesce(array_agg(1 ORDER BY id), '{}')::text AS kinds, coalesce(array_agg(1 ORDER BY id), '{}')::text AS author_kinds,
               coalesce(array_agg(customer_id ORDER BY id), '{}')::text AS author_ids,
               coalesce(array_agg(dedupe_key ORDER BY id), '{}')::text AS refs, coalesce(array_agg(body ORDER BY id), '{}')::text AS bodies,
               coalesce(array_agg(NULL::text ORDER BY id), '{}')::text AS items,
               coalesce(array_agg(agent_feed ORDER BY id), '{}')::text AS entry_feeds FROM n) n,
       (SELECT coalesce(array_agg(chat_id), '{}')::text AS k_chats, coalesce(array_agg(seq), '{}')::text AS k_seqs,
               coalesce(array_agg(state), '{}')::text AS k_states, coalesce(array_agg(agent_id), '{}')::text AS k_agents,
               coalesce(array_agg(queue_id), '{}')::text AS k_queues, coalesce(array_agg(interaction_id), '{}')::text AS k_interactions,
               coalesce(array_agg(unread), '{}')::text AS k_unread, coalesce(array_agg(true), '{}')::text AS k_heard,
               coalesce(array_agg(title), '{}')::text AS k_titles FROM k) k \gset
\startpipeline
UPDATE chat SET last_seq = u.s, state = u.st, agent_id = u.g, queue_id = u.q, interaction_id = u.i, unread = u.un,
       last_in_seq = u.li, last_in_at = CASE WHEN u.heard THEN now() ELSE chat.last_in_at END, title = u.t
  FROM unnest(:k_chats::bigint[], :k_seqs::bigint[], :k_states::int2[], :k_agents::int[], :k_queues::int[], :k_interactions::bigint[], :k_unread::int[], :k_seqs::bigint[], :k_heard::bool[], :k_titles::text[])
       u(c, s, st, g, q, i, un, li, heard, t)
 WHERE chat.id = u.c;
SELECT set_config('switchboard.at', clock_timestamp()::text, true);
INSERT INTO history (account_id, chat_id, seq, at, kind, author_kind, author_id, ref, body, item)
SELECT a, c, s, current_setting('switchboard.at')::timestamptz, k, ak, ai, r, b, i::jsonb
  FROM unnest(:accounts::int[], :chats::bigint[], :seqs::bigint[], :kinds::int2[], :author_kinds::int2[], :author_ids::bigint[], :refs::text[], :bodies::text[], :items::text[])
       u(a, c, s, k, ak, ai, r, b, i);
SELECT 1 FROM feed WHERE id = ANY (:feeds::int[]) ORDER BY id FOR NO KEY UPDATE;
WITH r AS MATERIALIZED (SELECT * FROM unnest(:entry_feeds::int[], :accounts::int[], :chats::bigint[], :seqs::bigint[]) WITH ORDINALITY u(f, a, c, s, n)),
uf AS (UPDATE feed SET last_seq = last_seq + k.n FROM (SELECT f, count(*) n FROM r GROUP BY 1) k WHERE feed.id = k.f
       RETURNING feed.id, feed.last_seq - k.n AS base)
INSERT INTO feed_entry (feed_id, seq, account_id, chat_id, chat_seq, at)
SELECT r.f, uf.base + row_number() OVER (PARTITION BY r.f ORDER BY r.n), r.a, r.c, r.s, current_setting('switchboard.at')::timestamptz
  FROM r JOIN uf ON uf.id = r.f ORDER BY r.n;
COMMIT;
\endpipeline
