ALTER TABLE outbox ADD COLUMN later jsonb, ADD COLUMN later_too integer NOT NULL DEFAULT 0;
