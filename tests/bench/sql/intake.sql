-- Updates into inbox and pending, as a connector stores a batch of webhooks: :batch messages of 110 bytes, 600 raw.
\set account 1
-- inputs
SELECT array_agg('m:' || chat || ':' || nr ORDER BY n)::text AS keys, array_agg(chat::text ORDER BY n)::text AS chat_keys,
       array_agg(1 ORDER BY n)::text AS kinds, array_agg(rpad('message ' || nr, 110, '.') ORDER BY n)::text AS bodies,
       array_agg(format('{"author_id":"%s","author_name":"Customer %s"}', chat, chat) ORDER BY n)::text AS items,
       array_agg(convert_to(rpad('update ' || nr, 600, '.'), 'UTF8') ORDER BY n)::text AS raws
  FROM (SELECT n, nextval('floor_update') AS nr, 700100000 + (random() * 999)::int AS chat FROM generate_series(1, :batch) n) u \gset
\startpipeline
BEGIN;
WITH r AS MATERIALIZED (
  SELECT * FROM unnest(:keys::text[], :chat_keys::text[], :kinds::int2[], :bodies::text[], :items::text[], :raws::bytea[])
    WITH ORDINALITY AS r(key, chat_key, kind, body, item, raw, n)),
i AS (INSERT INTO inbox (account_id, dedupe_key, kind, raw)
      SELECT :account, key, kind, raw FROM r ORDER BY key COLLATE "C"
      ON CONFLICT DO NOTHING RETURNING dedupe_key),
p AS (INSERT INTO pending (account_id, chat_key, kind, dedupe_key, body, item)
      SELECT :account, r.chat_key, r.kind, r.key, r.body, r.item::jsonb FROM r JOIN i ON i.dedupe_key = r.key
       WHERE r.kind <> 0 ORDER BY r.n RETURNING 1),
f AS (INSERT INTO file (account_id, id, inbound, kind, name, mime, size_bytes, dedupe_key, chat_key, platform_ref)
      SELECT :account, a.id, true, a.kind, a.name, a.mime, a.size, r.key, r.chat_key, a.ref
        FROM unnest('{}'::text[], '{}'::text[], '{}'::text[], '{}'::text[], '{}'::text[], '{}'::bigint[], '{}'::text[])
             a(id, key, kind, name, mime, size, ref)
        JOIN i ON i.dedupe_key = a.key JOIN r ON r.key = a.key RETURNING 1)
SELECT (SELECT count(*) FROM i) AS new, (SELECT count(*) FROM p) AS pending, (SELECT count(*) FROM f) AS files;
COMMIT;
\endpipeline
