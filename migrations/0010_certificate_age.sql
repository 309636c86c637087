-- When the server's own certificate was made: it is made anew long before its year is over.
ALTER TABLE certificate ADD COLUMN made_millis INTEGER NOT NULL DEFAULT 0;
