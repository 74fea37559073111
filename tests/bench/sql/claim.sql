-- A sender finds what is new in its outbox and claims it. What a settlement would do to the part is done by the end, uncounted.
-- inputs
SELECT a.id AS account, l.epoch, coalesce((SELECT max(id) - 1 FROM outbox o WHERE o.account_id = a.id AND o.open), 0) AS known,
       20000 AS heads, 3 AS write_by, 10 AS answer_by, (random() * 1e9)::bigint AS token
  FROM account a JOIN account_lease l ON l.account_id = a.id \gset
WITH news AS (SELECT n.newest, l.lane, n.chat_id, f.id, f.chat_key, f.state, f.due_in FROM unnest('{0,1,2}'::int2[]) l(lane)
 CROSS JOIN LATERAL (
   SELECT chat_id, min(id) AS oldest, max(id) AS newest FROM outbox WHERE account_id = :account AND lane = l.lane AND open AND id > :known
    GROUP BY chat_id ORDER BY oldest LIMIT :heads) n
 CROSS JOIN LATERAL (
   SELECT o.id, o.chat_key, o.state, extract(epoch FROM o.retry_at - clock_timestamp())::float8 AS due_in FROM outbox o
    WHERE o.account_id = :account AND o.lane = l.lane AND o.chat_id = n.chat_id AND o.open ORDER BY o.chat_seq, o.part LIMIT 1) f) SELECT coalesce(array_agg(id), '{}')::text AS ids FROM news \gset
WITH me AS MATERIALIZED (
  SELECT account_id FROM account_lease WHERE account_id = :account AND epoch = :epoch AND server = pg_postmaster_start_time() FOR SHARE),
q AS MATERIALIZED (
  SELECT o.id FROM me JOIN outbox o ON o.account_id = me.account_id
   WHERE o.id = ANY (:ids::bigint[]) AND o.open AND o.state = 0
     AND NOT EXISTS (SELECT 1 FROM outbox x WHERE x.account_id = o.account_id AND x.lane = o.lane AND x.chat_id = o.chat_id
                        AND x.open AND (x.chat_seq, x.part) < (o.chat_seq, o.part))
     AND NOT EXISTS (SELECT 1 FROM outbox x WHERE x.account_id = o.account_id AND x.lane IN (0, 1, 2) AND x.chat_id = o.chat_id
                        AND x.open AND x.state = 1)
   ORDER BY o.id FOR NO KEY UPDATE OF o SKIP LOCKED),
u AS (
  UPDATE outbox o SET state = 1, epoch = :epoch, claim = :token, attempt = attempt + 1, retry_at = NULL,
         write_by = clock_timestamp() + make_interval(secs => :write_by),
         answer_by = clock_timestamp() + make_interval(secs => :answer_by)
    FROM q WHERE o.account_id = :account AND o.id = q.id
  RETURNING o.id, o.attempt, o.write_by, o.answer_by, o.chat_id, o.chat_key, o.body, o.item, o.created_at),
a AS (
  INSERT INTO attempt (account_id, outbox_id, n, epoch, chat_key, claimed_at, write_by, answer_by)
  SELECT :account, id, attempt, :epoch, chat_key, clock_timestamp(), write_by, answer_by FROM u)
SELECT u.id, u.attempt, u.chat_id, u.chat_key, u.body, u.item::text AS item, f.name AS file_name,
       coalesce(f.sniffed, f.mime) AS file_mime, f.size_bytes, extract(epoch FROM clock_timestamp() - u.created_at)::float8 AS age,
       (SELECT count(*) FROM attempt t WHERE t.account_id = :account AND t.outbox_id = u.id AND t.outcome = 3) AS failures
  FROM u LEFT JOIN file f ON f.account_id = :account AND f.id = u.item->>'file' ORDER BY u.id;
-- inputs
UPDATE outbox SET open = false, state = 2 WHERE account_id = :account AND id = ANY (:ids::bigint[]);
