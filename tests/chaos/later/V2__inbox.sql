-- As a later release might add to what it stores. One busy table a file: each waits for one lock, and holds no other meanwhile.
ALTER TABLE inbox ADD COLUMN later text;
