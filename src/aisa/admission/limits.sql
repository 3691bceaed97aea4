-- The decisions on limits in PostgreSQL, each whole or not at all: what limits.lua decides, in the same words to and from us. Its
-- comments say what each question is asked with; VERSION is put in by whoever loads this, so that two versions of us can be there at once.
--
-- A record is a key, an account or an address with the length of its windows, a kind is calls or tokens; all times are microseconds.
-- Nothing here outlives a crash of the server (UNLOGGED), so that no commit waits for a disk: after one the store is taken for emptied.

CREATE SCHEMA IF NOT EXISTS aisa_limits;

-- What was used of a window, by buckets. It counts until a window after the last use in its bucket; gone_by, the latest that this can be,
-- is what the index is on, as it does not change: PostgreSQL then writes a bucket that is used again into the same page.
CREATE UNLOGGED TABLE IF NOT EXISTS aisa_limits.used (
  record text, kind text, bucket bigint, amount bigint NOT NULL, counts_until bigint NOT NULL, gone_by bigint NOT NULL,
  PRIMARY KEY (record, kind, bucket)
) WITH (fillfactor = 60);
CREATE INDEX IF NOT EXISTS used_gone ON aisa_limits.used (gone_by);

-- Who waits in line: the bucket in which room was promised, and for how much.
CREATE UNLOGGED TABLE IF NOT EXISTS aisa_limits.line (
  record text, kind text, place bigint, amount bigint NOT NULL, gone_by bigint NOT NULL,
  PRIMARY KEY (record, kind, place)
) WITH (fillfactor = 60);
CREATE INDEX IF NOT EXISTS line_gone ON aisa_limits.line (gone_by);

-- Calls in flight, with the tokens that each has taken.
CREATE UNLOGGED TABLE IF NOT EXISTS aisa_limits.leases (
  record text, lease text, ends_at bigint NOT NULL, tokens bigint,
  PRIMARY KEY (record, lease)
) WITH (fillfactor = 60);

ALTER TABLE aisa_limits.leases ADD COLUMN IF NOT EXISTS began bigint;

-- How long calls last, and whose turn for a place in flight was told last.
CREATE UNLOGGED TABLE IF NOT EXISTS aisa_limits.turns (
  record text PRIMARY KEY, lasting bigint NOT NULL, turn bigint NOT NULL, gone_by bigint NOT NULL
) WITH (fillfactor = 60);
CREATE INDEX IF NOT EXISTS turns_gone ON aisa_limits.turns (gone_by);

CREATE UNLOGGED TABLE IF NOT EXISTS aisa_limits.processes (process text PRIMARY KEY, gone_by bigint NOT NULL);

CREATE OR REPLACE FUNCTION aisa_limits.width_VERSION(span bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT (span + 239) / 240
$$;

-- Of a minute the same; a line may be longer than a shorter window.
CREATE OR REPLACE FUNCTION aisa_limits.line_width_VERSION(span bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT greatest(aisa_limits.width_VERSION(span), 60000000 / 240)
$$;

CREATE OR REPLACE FUNCTION aisa_limits.add_VERSION(of_record text, of_kind text, much bigint, span bigint, now bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  width bigint := aisa_limits.width_VERSION(span);
  this bigint := now / width;
BEGIN
  DELETE FROM aisa_limits.used
    WHERE record = of_record AND kind = of_kind AND bucket <= (now - span) / width AND counts_until <= now;
  INSERT INTO aisa_limits.used VALUES (of_record, of_kind, this, much, now + span, (this + 1) * width + span)
    ON CONFLICT (record, kind, bucket) DO UPDATE SET amount = used.amount + much, counts_until = now + span;
  -- it was one of those who waited, or has taken what they waited for
  UPDATE aisa_limits.line SET amount = amount - least(amount, much) WHERE record = of_record AND kind = of_kind AND place = (
    SELECT place FROM aisa_limits.line WHERE record = of_record AND kind = of_kind AND amount > 0 ORDER BY place LIMIT 1
  ) AND place <= now / aisa_limits.line_width_VERSION(span);
END
$$;

CREATE OR REPLACE FUNCTION aisa_limits.give_back_VERSION(of_record text, at bigint, much bigint, span bigint)
RETURNS void LANGUAGE sql AS $$
  UPDATE aisa_limits.used SET amount = amount - least(amount, much)
    WHERE record = of_record AND kind = 'tokens' AND bucket = at / aisa_limits.width_VERSION(span) AND much > 0
$$;

-- Returns when there is room for so much behind all who were told before, and takes that place in line.
CREATE OR REPLACE FUNCTION aisa_limits.take_place_VERSION(of_record text, of_kind text, much bigint, most bigint, span bigint, now bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  width bigint := aisa_limits.line_width_VERSION(span);
  this bigint := now / width;
  kept bigint := least((1500000 + width - 1) / width, 120);
  first_place bigint;
  last_place bigint;
  room bigint := 0;
  given bigint;
BEGIN
  DELETE FROM aisa_limits.line WHERE record = of_record AND kind = of_kind AND (place < this - kept OR amount <= 0);
  SELECT min(place), max(place) INTO first_place, last_place FROM aisa_limits.line WHERE record = of_record AND kind = of_kind;
  SELECT at INTO room FROM (
    SELECT at, sum(amount) OVER (ORDER BY part, number) AS freed, sum(amount) OVER () AS whole, part, number FROM (
      SELECT 1 AS part, bucket AS number, amount, counts_until AS at FROM aisa_limits.used
        WHERE record = of_record AND kind = of_kind AND amount > 0 AND counts_until > now
      UNION ALL
      SELECT 2, place, amount, (place + 1) * width + span FROM aisa_limits.line WHERE record = of_record AND kind = of_kind
    ) AS all_of_it
  ) AS freeing WHERE freed >= whole + much - most ORDER BY part, number LIMIT 1;
  room := greatest(coalesce(room, 0), coalesce(last_place, 0) * width);
  given := greatest(this, least(room / width, coalesce(first_place, this) + 255));
  INSERT INTO aisa_limits.line VALUES (of_record, of_kind, given, much, (given + 1 + kept) * width)
    ON CONFLICT (record, kind, place) DO UPDATE SET amount = line.amount + much;
  RETURN room;
END
$$;

-- This server's clock may be set, or another server take over. What counts for longer than two windows from now was used at a time that is
-- yet to come: it is taken for used just now, as it would count until the clock is there again.
CREATE OR REPLACE FUNCTION aisa_limits.catch_up_VERSION(of_record text, span bigint, now bigint) RETURNS void LANGUAGE sql AS $$
  UPDATE aisa_limits.used SET counts_until = now + span, gone_by = now + 2 * span WHERE record = of_record AND counts_until > now + span;
  DELETE FROM aisa_limits.line WHERE record = of_record;
$$;

CREATE OR REPLACE FUNCTION aisa_limits.begin_VERSION(records text[], asked text[], span bigint, now bigint)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  lease_id text := asked[4];
  lasting bigint := asked[5];
  needed bigint := asked[7];
  granted boolean := true;
  again boolean := false;
  told text[] := '{}';
  calls_max bigint;
  tokens_max bigint;
  places_max bigint;
  calls bigint[] := '{}';
  tokens bigint[] := '{}';
  calls_free bigint[] := '{}';
  tokens_free bigint[] := '{}';
  flying bigint[] := '{}';
  ages bigint[] := '{}';
  each record;
  when_told bigint[];
  my_turn bigint;
BEGIN
  FOR n IN 1 .. cardinality(records) LOOP
    calls_max := nullif(asked[5 + 3 * n], '');
    tokens_max := nullif(asked[6 + 3 * n], '');
    places_max := nullif(asked[7 + 3 * n], '');
    DELETE FROM aisa_limits.leases WHERE record = records[n] AND ends_at <= now;
    SELECT count(*) AS places, coalesce(bool_or(lease = lease_id), false) AS mine, max(ends_at) AS latest, max(began) AS youngest INTO each
      FROM aisa_limits.leases WHERE record = records[n];
    IF each.latest > now + lasting THEN  -- as none is set, but where the clock was set back
      UPDATE aisa_limits.leases SET ends_at = now + lasting WHERE record = records[n] AND ends_at > now + lasting;
    END IF;
    again := again OR each.mine;
    flying[n] := each.places;
    ages[n] := greatest(0, now - coalesce(each.youngest, now));
    SELECT coalesce(sum(amount) FILTER (WHERE kind = 'calls'), 0) AS calls, coalesce(sum(amount) FILTER (WHERE kind = 'tokens'), 0) AS tokens,
           max(counts_until) FILTER (WHERE kind = 'calls') AS calls_free, max(counts_until) FILTER (WHERE kind = 'tokens') AS tokens_free
      INTO each FROM aisa_limits.used WHERE record = records[n] AND counts_until > now;
    IF greatest(each.calls_free, each.tokens_free) > now + 2 * span THEN
      PERFORM aisa_limits.catch_up_VERSION(records[n], span, now);
      each.calls_free := least(each.calls_free, now + span);
      each.tokens_free := least(each.tokens_free, now + span);
    END IF;
    calls[n] := calls_max - each.calls;
    tokens[n] := tokens_max - each.tokens;
    calls_free[n] := CASE WHEN each.calls > 0 THEN each.calls_free ELSE now END;
    tokens_free[n] := CASE WHEN each.tokens > 0 THEN each.tokens_free ELSE now END;
    granted := granted AND coalesce(flying[n] < places_max, true) AND coalesce(calls[n] >= 1, true) AND coalesce(tokens[n] >= needed, true);
  END LOOP;
  granted := again OR asked[6] = '1' OR granted;
  FOR n IN 1 .. cardinality(records) LOOP
    when_told := '{NULL,NULL,NULL}';
    IF granted AND NOT again THEN
      INSERT INTO aisa_limits.leases VALUES (records[n], lease_id, now + lasting, CASE WHEN tokens[n] IS NOT NULL THEN needed END, now);
      IF calls[n] IS NOT NULL THEN
        PERFORM aisa_limits.add_VERSION(records[n], 'calls', 1, span, now);
        calls[n] := calls[n] - 1;
        calls_free[n] := now + span;
      END IF;
      IF tokens[n] IS NOT NULL THEN
        PERFORM aisa_limits.add_VERSION(records[n], 'tokens', needed, span, now);
        tokens[n] := tokens[n] - needed;
        tokens_free[n] := now + span;
      END IF;
    ELSIF NOT granted THEN
      places_max := nullif(asked[7 + 3 * n], '');
      IF calls[n] < 1 THEN
        when_told[1] := aisa_limits.take_place_VERSION(records[n], 'calls', 1, nullif(asked[5 + 3 * n], '')::bigint, span, now);
      END IF;
      IF tokens[n] < needed THEN
        when_told[2] := aisa_limits.take_place_VERSION(records[n], 'tokens', needed, nullif(asked[6 + 3 * n], '')::bigint, span, now);
      END IF;
      IF flying[n] >= places_max THEN
        INSERT INTO aisa_limits.turns AS it VALUES (records[n], 2000000, now + 2000000 / places_max, aisa_limits.kept_VERSION(span, now))
          ON CONFLICT (record) DO UPDATE SET turn = least(greatest(now, it.turn) + it.lasting / places_max, now + 60000000),
            gone_by = excluded.gone_by
          RETURNING turn INTO my_turn;
        when_told[3] := least(my_turn + ages[n], now + 60000000);
      END IF;
    END IF;
    told := told || ARRAY[
      coalesce(calls[n]::text, ''), CASE WHEN calls[n] IS NULL THEN '' ELSE calls_free[n]::text END,
      coalesce(tokens[n]::text, ''), CASE WHEN tokens[n] IS NULL THEN '' ELSE tokens_free[n]::text END,
      flying[n]::text, coalesce(when_told[1]::text, ''), coalesce(when_told[2]::text, ''), coalesce(when_told[3]::text, '')
    ];
  END LOOP;
  RETURN ARRAY[CASE WHEN granted THEN '1' ELSE '0' END, now::text] || told;
END
$$;

-- When a record that nobody asks for any more is forgotten, to the minute, so that its index seldom changes.
CREATE OR REPLACE FUNCTION aisa_limits.kept_VERSION(span bigint, now bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT ((now + span) / 60000000 + 3) * 60000000
$$;

-- Returns what is left of a limit, and when all of it is free; of no limit two empty words.
CREATE OR REPLACE FUNCTION aisa_limits.seen_VERSION(of_record text, of_kind text, most bigint, now bigint) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  each record;
BEGIN
  IF most IS NULL THEN
    RETURN '{"",""}';
  END IF;
  SELECT coalesce(sum(amount), 0) AS amount, max(counts_until) AS free INTO each
    FROM aisa_limits.used WHERE record = of_record AND kind = of_kind AND counts_until > now;
  RETURN ARRAY[(most - each.amount)::text, CASE WHEN each.amount > 0 THEN each.free ELSE now END::text];
END
$$;

CREATE OR REPLACE FUNCTION aisa_limits.cover_VERSION(records text[], asked text[], span bigint, now bigint)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  lease_id text := asked[4];
  taken bigint := asked[5];
  needed bigint := asked[6];
  step bigint := asked[7];
  forced boolean := asked[8] = '1';
  began_with bigint := asked[9];
  more bigint := (needed + step - 1) / step * step;
  room boolean := true;
  had bigint;
  again boolean;
  granted boolean;
  left_over bigint[] := '{}';
  most bigint;
  each record;
  when_told bigint;
  told text[] := '{}';
BEGIN
  FOR n IN 1 .. cardinality(records) LOOP
    most := asked[9 + n];
    SELECT coalesce(sum(amount), 0) AS tokens, max(counts_until) AS latest INTO each FROM aisa_limits.used
      WHERE record = records[n] AND kind = 'tokens' AND counts_until > now;
    IF each.latest > now + 2 * span THEN
      PERFORM aisa_limits.catch_up_VERSION(records[n], span, now);
    END IF;
    left_over[n] := most - each.tokens;
    had := coalesce(had, (SELECT l.tokens FROM aisa_limits.leases AS l WHERE l.record = records[n] AND l.lease = lease_id));
    room := room AND needed <= left_over[n];
    more := CASE WHEN forced THEN more ELSE least(more, left_over[n]) END;
  END LOOP;
  again := coalesce(had > taken, false);
  IF again THEN
    more := had - taken;
  END IF;
  granted := again OR forced OR room;
  FOR n IN 1 .. cardinality(records) LOOP
    most := asked[9 + n];
    when_told := NULL;
    IF granted AND NOT again THEN
      PERFORM aisa_limits.add_VERSION(records[n], 'tokens', more, span, now);
      UPDATE aisa_limits.leases SET tokens = taken + more WHERE record = records[n] AND lease = lease_id;
    ELSIF NOT granted AND needed > left_over[n] THEN
      when_told := aisa_limits.take_place_VERSION(records[n], 'tokens', least(greatest(needed, began_with), most), most, span, now);
    END IF;
    told := told || aisa_limits.seen_VERSION(records[n], 'tokens', most, now) || coalesce(when_told::text, '');
  END LOOP;
  RETURN ARRAY[CASE WHEN granted THEN more::text ELSE '0' END, now::text] || told;
END
$$;

CREATE OR REPLACE FUNCTION aisa_limits.end_VERSION(records text[], asked text[], span bigint, now bigint)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  lease_id text := asked[4];
  lasted bigint := asked[5];
  spent bigint := asked[6];
  taken bigint := asked[7];
  step_at bigint := asked[8];
  step_tokens bigint := asked[9];
  began bigint := asked[10];
  first_tokens bigint := asked[11];
  calls_max bigint;
  tokens_max bigint;
  more bigint;
  of_step bigint;
  known boolean;
  told text[] := '{}';
BEGIN
  FOR n IN 1 .. cardinality(records) LOOP
    calls_max := nullif(asked[10 + 2 * n], '');
    tokens_max := nullif(asked[11 + 2 * n], '');
    DELETE FROM aisa_limits.leases AS l WHERE l.record = records[n] AND l.lease = lease_id RETURNING spent - coalesce(l.tokens, taken) INTO more;
    known := FOUND;
    IF known THEN
      INSERT INTO aisa_limits.turns AS it VALUES (records[n], greatest(1, 2000000 + (lasted - 2000000) / 8), 0, aisa_limits.kept_VERSION(span, now))
        ON CONFLICT (record) DO UPDATE SET lasting = greatest(1, it.lasting + (lasted - it.lasting) / 8), gone_by = excluded.gone_by;
      IF tokens_max IS NOT NULL AND more > 0 THEN
        PERFORM aisa_limits.add_VERSION(records[n], 'tokens', more, span, now);
      ELSIF tokens_max IS NOT NULL AND more < 0 THEN
        of_step := least(-more, step_tokens);
        PERFORM aisa_limits.give_back_VERSION(records[n], step_at, of_step, span);
        PERFORM aisa_limits.give_back_VERSION(records[n], began, least(-more - of_step, first_tokens), span);
      END IF;
    END IF;
    told := told || aisa_limits.seen_VERSION(records[n], 'calls', calls_max, now) || aisa_limits.seen_VERSION(records[n], 'tokens', tokens_max, now);
  END LOOP;
  RETURN ARRAY['', now::text] || told;
END
$$;

-- Besides what limits.lua does, what is long gone is removed, a bounded number at a time, and without a wait for whoever has it.
CREATE OR REPLACE FUNCTION aisa_limits.renew_VERSION(records text[], asked text[], span bigint, now bigint)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  gone CONSTANT bigint := now - 5000000;
BEGIN
  DELETE FROM aisa_limits.processes WHERE gone_by <= now;
  UPDATE aisa_limits.processes SET gone_by = now + asked[5]::bigint WHERE gone_by > now + asked[5]::bigint;
  INSERT INTO aisa_limits.processes VALUES (asked[4], now + asked[5]::bigint) ON CONFLICT (process) DO UPDATE SET gone_by = excluded.gone_by;
  INSERT INTO aisa_limits.leases AS l SELECT record, lease, now + asked[6]::bigint, NULL, now FROM unnest(records, asked[7:]) AS renewed (record, lease)
    ON CONFLICT (record, lease) DO UPDATE SET ends_at = excluded.ends_at;
  DELETE FROM aisa_limits.used WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM aisa_limits.used WHERE gone_by < gone ORDER BY gone_by LIMIT 2000 FOR UPDATE SKIP LOCKED));
  DELETE FROM aisa_limits.line WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM aisa_limits.line WHERE gone_by < gone ORDER BY gone_by LIMIT 2000 FOR UPDATE SKIP LOCKED));
  DELETE FROM aisa_limits.turns WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM aisa_limits.turns WHERE gone_by < gone ORDER BY gone_by LIMIT 2000 FOR UPDATE SKIP LOCKED));
  DELETE FROM aisa_limits.leases WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM aisa_limits.leases WHERE ends_at < gone LIMIT 2000 FOR UPDATE SKIP LOCKED));
  RETURN (SELECT ARRAY[count(*)::text, now::text, count(DISTINCT split_part(process, '.', 1))::text] FROM aisa_limits.processes);
END
$$;

-- Answers questions, in their order: each the records that it is about, and what it is asked with. All records are locked first, and in one
-- order, so that no two who ask wait for each other; the time is read when they are. Plans are made for large tables, however small these
-- are today, and never compiled: what must be read through then counts as so dear that PostgreSQL would compile it, in a second.
CREATE OR REPLACE FUNCTION aisa_limits.decide_VERSION(questions jsonb) RETURNS SETOF text[] LANGUAGE plpgsql
SET enable_seqscan TO off SET jit TO off AS $$
DECLARE
  question jsonb;
  records text[];
  asked text[];
  span bigint;
  now bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(1634300769, number) FROM (
    SELECT DISTINCT hashtext(record) AS number FROM jsonb_array_elements(questions) AS one, jsonb_array_elements_text(one -> 0) AS record
      ORDER BY 1
  ) AS locks;
  FOR question IN SELECT value FROM jsonb_array_elements(questions) LOOP
    records := ARRAY(SELECT jsonb_array_elements_text(question -> 0));
    asked := ARRAY(SELECT jsonb_array_elements_text(question -> 1));
    span := asked[3];
    now := coalesce(nullif(asked[2], '')::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    CASE asked[1]
      WHEN 'begin' THEN RETURN NEXT aisa_limits.begin_VERSION(records, asked, span, now);
      WHEN 'cover' THEN RETURN NEXT aisa_limits.cover_VERSION(records, asked, span, now);
      WHEN 'end' THEN RETURN NEXT aisa_limits.end_VERSION(records, asked, span, now);
      WHEN 'renew' THEN RETURN NEXT aisa_limits.renew_VERSION(records, asked, span, now);
    END CASE;
  END LOOP;
END
$$;
