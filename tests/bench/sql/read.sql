-- What one wake of a chatserver reads for its sessions: all feeds of 20 agents, one of which has one new entry.
-- inputs
SELECT array_agg(id)::text AS read_feeds, array_agg(CASE WHEN n = 1 AND last_seq > 0 THEN last_seq - 1 ELSE last_seq END)::text AS cursors
  FROM (SELECT id, last_seq, row_number() OVER (ORDER BY random()) AS n FROM feed WHERE name LIKE 'agent:%') f \gset
SELECT e.feed_id, e.seq AS feed_seq, h.chat_id AS entry_chat, h.seq AS entry_seq, h.at, h.kind, h.author_kind, h.author_id, h.body, h.item::text AS item,
ac.name AS account_name, cu.name AS customer_name, ag.display_name AS agent_name, de.name AS by_name
FROM unnest(:read_feeds::int[], :cursors::bigint[]) u(f, s) JOIN feed ON feed.id = u.f AND feed.last_seq > u.s
CROSS JOIN LATERAL (SELECT * FROM feed_entry x WHERE x.feed_id = u.f AND x.seq > u.s ORDER BY x.seq LIMIT 100) e
JOIN history h ON h.account_id = e.account_id AND h.chat_id = e.chat_id AND h.seq = e.chat_seq AND h.at = e.at
LEFT JOIN account ac ON ac.id = h.account_id
LEFT JOIN customer cu ON h.author_kind = 1 AND cu.account_id = h.account_id AND cu.id = h.author_id
LEFT JOIN agent ag ON h.author_kind = 2 AND ag.id = h.author_id
LEFT JOIN agent de ON h.kind = 9 AND de.id = (h.item->>'by')::int
ORDER BY e.feed_id, e.seq;
