-- What the floors need beside the migrated tables: `bench` runs it in a database of its own. A queue `support`, an account of
-- that name and 20 agents bench00, bench01 ... are there; 1,000 customers have a chat each, taken by an agent.
CREATE SEQUENCE IF NOT EXISTS floor_update CACHE 1000;
CREATE TABLE IF NOT EXISTS floor_plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL);
CREATE TABLE IF NOT EXISTS floor_chunk (file_id text NOT NULL, seq int NOT NULL, data bytea NOT NULL, PRIMARY KEY (file_id, seq));
ALTER TABLE floor_chunk ALTER COLUMN data SET STORAGE EXTERNAL;
INSERT INTO account_lease (account_id, epoch, holder, released, renewed_at, server) SELECT id, 1, 'floor', false, now(), pg_postmaster_start_time() FROM account
    ON CONFLICT (account_id) DO UPDATE SET server = excluded.server;
