-- One role per component, each with what its statements need and nothing else. Nobody needs a superuser at work.
--
-- Run it as a superuser in Switchboard's database, after the first `switchboard migrate` and after every later one: it can be
-- repeated. The tables belong to switchboard_owner, as whom `switchboard migrate` runs. docs/operations.md has the steps.
-- Passwords are set apart: ALTER ROLE switchboard_connector PASSWORD '...'.

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY '{switchboard_owner,switchboard_connector,switchboard_chatserver,switchboard_loader,switchboard_operator}'::text[] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      EXECUTE format('CREATE ROLE %I LOGIN', name);
    END IF;
    -- Names are looked up where the tables are, whatever else somebody makes.
    EXECUTE format('ALTER ROLE %I SET search_path = public, pg_temp', name);
  END LOOP;
END $$;

-- Nothing is anybody's by being there.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO switchboard_owner;
GRANT USAGE ON SCHEMA public TO switchboard_connector, switchboard_chatserver, switchboard_loader, switchboard_operator;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM
  PUBLIC, switchboard_connector, switchboard_chatserver, switchboard_loader, switchboard_operator;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION chat_visible(chat, int), file_visible(file, int)
  TO switchboard_connector, switchboard_chatserver, switchboard_loader, switchboard_operator;

-- Months of history are made by whoever owns the table; chatservers may have them made.
ALTER FUNCTION ensure_history_partition(date) SECURITY DEFINER SET search_path = public, pg_temp;
GRANT EXECUTE ON FUNCTION ensure_history_partition(date) TO switchboard_chatserver;

-- What everybody reads: how far the tables are, who is an agent, what accounts there are.
GRANT SELECT ON refinery_schema_history, fleet, queue, agent, agent_queue, account
  TO switchboard_connector, switchboard_chatserver, switchboard_loader, switchboard_operator;

-- A connector: updates in, parts out, files. It never touches a chat's log, nor what agents read.
GRANT UPDATE (capabilities) ON account TO switchboard_connector;
GRANT SELECT, UPDATE ON account_lease TO switchboard_connector;
GRANT UPDATE (feed_epoch, raised_on) ON fleet TO switchboard_connector;
GRANT SELECT, INSERT, UPDATE ON tenure, account_cursor, attempt, registration TO switchboard_connector;
GRANT SELECT, INSERT ON inbox, pending, quarantine TO switchboard_connector;
GRANT SELECT, UPDATE ON outbox TO switchboard_connector;
GRANT SELECT, INSERT, UPDATE, DELETE ON exchange, file, file_chunk TO switchboard_connector;
GRANT SELECT ON file_use, chat TO switchboard_connector;

-- A chatserver: chats, their logs and feeds, agents' messages. It never claims a part, nor speaks for a connector.
GRANT SELECT, INSERT, UPDATE ON chat, customer, interaction, outbox TO switchboard_chatserver;
-- Of files it holds the row that a message names: the right to lock is that to change a column.
GRANT SELECT, UPDATE (retry_at) ON file TO switchboard_chatserver;
GRANT SELECT, INSERT ON history, chat_day, file_use, quarantine TO switchboard_chatserver;
-- What an operator gave back and still cannot be read is put aside again.
GRANT UPDATE (replayed_at, reason) ON quarantine TO switchboard_chatserver;
GRANT SELECT, UPDATE ON feed TO switchboard_chatserver;
GRANT SELECT, INSERT, DELETE ON feed_entry, whisper TO switchboard_chatserver;
GRANT SELECT, INSERT, UPDATE, DELETE ON agent_session TO switchboard_chatserver;
GRANT SELECT, DELETE ON pending TO switchboard_chatserver;
GRANT SELECT ON attempt, exchange, account_lease, canned_reply TO switchboard_chatserver;

-- The loader only reads; the bytes of files are not its business.
GRANT SELECT ON chat, customer, interaction, history, chat_day, outbox, file, file_use, audit, account_lease
  TO switchboard_loader;

-- Operators: accounts, agents, queues, canned replies, and decisions about parts and updates. They delete nothing but canned
-- replies and who serves what.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO switchboard_operator;
GRANT INSERT ON account, account_lease, agent, agent_queue, queue, feed, audit TO switchboard_operator;
GRANT UPDATE ON account, account_lease, agent, feed, chat, outbox, quarantine TO switchboard_operator;
GRANT UPDATE (raised_on) ON fleet TO switchboard_operator;
GRANT DELETE ON agent_queue TO switchboard_operator;
GRANT INSERT, UPDATE, DELETE ON canned_reply TO switchboard_operator;
-- A doctor's question is counted by the next connector's limits, and ends the tenure of a connector that died.
GRANT INSERT, UPDATE ON exchange TO switchboard_operator;
GRANT INSERT, UPDATE (released_at) ON tenure TO switchboard_operator;
GRANT INSERT ON history, feed_entry, inbox, pending, quarantine, file TO switchboard_operator;
GRANT pg_read_all_stats TO switchboard_operator;
