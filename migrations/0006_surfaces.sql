-- A run of a door whose clients know it by its id: the hash of the token of the
-- state it stands on, and what the door keeps with it, sealed.
ALTER TABLE flow_run ADD COLUMN head TEXT NOT NULL DEFAULT '';
ALTER TABLE flow_run ADD COLUMN surface_data TEXT NOT NULL DEFAULT '';

-- Where the client goes when the run has ended.
ALTER TABLE flow_run ADD COLUMN return_url TEXT NOT NULL DEFAULT '';
