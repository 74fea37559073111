ALTER TABLE chat ADD COLUMN later timestamptz;
ALTER TABLE chat ADD CONSTRAINT later_is_met CHECK (later IS NULL OR customer_id IS NOT NULL) NOT VALID;
