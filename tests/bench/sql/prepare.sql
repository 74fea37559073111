-- What the floors need beside the migrated tables: `bench` runs it in a database of its own, where a queue `support` and an
-- account of that name are. people.sql follows.
CREATE SEQUENCE IF NOT EXISTS floor_update CACHE 1000;
CREATE TABLE IF NOT EXISTS floor_plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL);
INSERT INTO account_lease (account_id, epoch, holder, released, renewed_at, server) SELECT id, 1, 'floor', false, now(), pg_postmaster_start_time() FROM account
    ON CONFLICT (account_id) DO UPDATE SET server = excluded.server;
