-- An agent's message: into the log, the outbox and the feed.
-- inputs
SELECT c.id AS chat, c.agent_id AS agent, 'floor-' || nextval('floor_update') AS client_key, g.feed_id AS feed,
       rpad('answer', 110, '.') AS body, array[rpad('answer', 110, '.')]::text AS part_bodies,
       sha256(rpad('answer', 110, '.')::bytea)::text AS hash
  FROM chat c JOIN agent g ON g.id = c.agent_id WHERE c.platform_key = (SELECT (700100000 + (random() * 999)::int)::text) \gset
BEGIN;
WITH c AS MATERIALIZED (
  SELECT c.account_id, c.id, c.platform_key, c.last_seq, c.last_in_seq, c.state, c.interaction_id, c.agent_id, c.queue_id,
         chat_visible(c, :agent) AS visible
    FROM chat c WHERE c.id = :chat FOR NO KEY UPDATE)
SELECT c.*, a.name AS account_name, a.capabilities->'text_max_utf16' AS text_max,
       a.capabilities->'files' AS files, g.name AS agent_name, g.feed_id AS agent_feed,
       q.feed_id AS queue_feed
  FROM c JOIN account a ON a.id = c.account_id LEFT JOIN agent g ON g.id = c.agent_id LEFT JOIN queue q ON q.id = c.queue_id \gset c_
SELECT o.chat_id, o.chat_seq, o.parts, o.content_hash, a.name AS account_name
  FROM chat c JOIN outbox o ON o.account_id = c.account_id AND o.agent_id = :agent AND o.client_key = :client_key AND o.part = 0
  JOIN account a ON a.id = o.account_id
 WHERE c.id = :chat;
\set seq :c_last_seq + 1
\set account :c_account_id
\set parts 1
\set lane 0
\startpipeline
UPDATE chat SET last_seq = :seq, unread = 0, last_out_at = now() WHERE id = :chat;
INSERT INTO outbox (account_id, chat_id, chat_key, chat_seq, part, parts, agent_id, client_key, content_hash, body, lane, item)
SELECT :account, :chat, :c_platform_key, :seq, u.n - 1, :parts, :agent, :client_key, :hash, u.b, :lane, CASE u.n WHEN 1 THEN NULL::text::jsonb END
  FROM unnest(:part_bodies::text[]) WITH ORDINALITY u(b, n) ORDER BY u.n;
SELECT set_config('switchboard.at', clock_timestamp()::text, true);
INSERT INTO history (account_id, chat_id, seq, at, kind, author_kind, author_id, ref, body, item)
SELECT a, c, s, current_setting('switchboard.at')::timestamptz, k, ak, ai, r, b, i::jsonb
  FROM unnest(ARRAY[:account]::int[], ARRAY[:chat]::bigint[], ARRAY[:seq]::bigint[], '{1}'::int2[], '{2}'::int2[], ARRAY[:agent]::bigint[], '{NULL}'::text[], ARRAY[:body]::text[], ARRAY['{"parts":1}']::text[])
       u(a, c, s, k, ak, ai, r, b, i);
SELECT 1 FROM feed WHERE id = ANY (ARRAY[:feed]::int[]) ORDER BY id FOR NO KEY UPDATE;
WITH r AS MATERIALIZED (SELECT * FROM unnest(ARRAY[:feed]::int[], ARRAY[:account]::int[], ARRAY[:chat]::bigint[], ARRAY[:seq]::bigint[]) WITH ORDINALITY u(f, a, c, s, n)),
uf AS (UPDATE feed SET last_seq = last_seq + k.n FROM (SELECT f, count(*) n FROM r GROUP BY 1) k WHERE feed.id = k.f
       RETURNING feed.id, feed.last_seq - k.n AS base)
INSERT INTO feed_entry (feed_id, seq, account_id, chat_id, chat_seq, at)
SELECT r.f, uf.base + row_number() OVER (PARTITION BY r.f ORDER BY r.n), r.a, r.c, r.s, current_setting('switchboard.at')::timestamptz
  FROM r JOIN uf ON uf.id = r.f ORDER BY r.n;
COMMIT;
\endpipeline
