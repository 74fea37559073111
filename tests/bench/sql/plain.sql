-- Plain rows of 200 bytes, 100 a commit: what this Postgres on this disk takes at most.
-- inputs
SELECT array_agg(rpad('row ' || n, 200, '.'))::text AS bodies FROM generate_series(1, :batch) n \gset
INSERT INTO floor_plain (body) SELECT * FROM unnest(:bodies::text[]);
