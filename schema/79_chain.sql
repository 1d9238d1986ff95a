-- Sealing and verifying the chain over vouchers (43_chain).

-- One sealer at a time, and nobody who posts waits for it. A long backlog is taken in turns. By index, also where the
-- tables have no statistics yet: an idle turn must not read the chain.
CREATE FUNCTION erp_webhook.seal_vouchers(company_id int) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  company constant int := seal_vouchers.company_id;
  most constant int := 100000;
  state erp_webhook.chain_state;
  head erp_webhook.voucher_link;
  ids bigint[] := '{}';
  hashes bytea[] := '{}';
  certain bigint;
  top bigint;
  v record;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('erp_webhook.seal_vouchers'), company) THEN
    RETURN 0;
  END IF;
  SELECT s.* INTO state FROM erp_webhook.chain_state s WHERE s.company_id = company;
  SELECT l.* INTO head FROM erp_webhook.voucher_link l WHERE l.company_id = company ORDER BY l.sequence DESC LIMIT 1;
  -- Nothing up to here can still become visible to the statement that follows.
  certain := CASE WHEN state.pending_xid <= pg_snapshot_xmin(pg_current_snapshot()) THEN state.pending
                  ELSE coalesce(state.sealed, 0) END;
  FOR v IN
    SELECT u.voucher_id, u.digest FROM erp_webhook.voucher u
    WHERE u.company_id = company AND u.voucher_id > coalesce(state.sealed, 0)
      AND NOT EXISTS (SELECT FROM erp_webhook.voucher_link l WHERE l.company_id = u.company_id AND l.voucher_id = u.voucher_id)
    ORDER BY u.voucher_id LIMIT most
  LOOP
    head.hash := sha256(coalesce(head.hash, '') || int8send(v.voucher_id) || v.digest);
    ids := ids || v.voucher_id;
    hashes := hashes || head.hash;
  END LOOP;
  INSERT INTO erp_webhook.voucher_link (company_id, sequence, voucher_id, hash)
  SELECT company, coalesce(head.sequence, 0) + x.n, x.voucher_id, x.hash
  FROM unnest(ids, hashes) WITH ORDINALITY x (voucher_id, hash, n);

  SELECT max(l.voucher_id) INTO top FROM erp_webhook.voucher_link l WHERE l.company_id = company;
  IF cardinality(ids) = most THEN
    certain := least(certain, ids[most]);
  END IF;
  IF top > certain
     AND (state IS NULL OR certain >= state.pending
          OR state.pending_xid > pg_snapshot_xmax(pg_current_snapshot())) THEN  -- of another cluster, before a restore
    state.pending := top;
    state.pending_xid := pg_snapshot_xmax(pg_current_snapshot());
  ELSIF state IS NULL OR certain = state.sealed THEN
    RETURN cardinality(ids);
  END IF;
  INSERT INTO erp_webhook.chain_state AS s (company_id, sealed, pending, pending_xid)
  VALUES (company, certain, state.pending, state.pending_xid)
  ON CONFLICT ON CONSTRAINT chain_state_pkey DO UPDATE
    SET sealed = EXCLUDED.sealed, pending = EXCLUDED.pending, pending_xid = EXCLUDED.pending_xid;
  RETURN cardinality(ids);
END
$$;
REVOKE ALL ON FUNCTION erp_webhook.seal_vouchers(int) FROM PUBLIC;
COMMENT ON FUNCTION erp_webhook.seal_vouchers(int) IS
  'add to the chain what was posted since; the worker and run_jobs() do it every turn; returns the links added';

-- What each voucher ought to have as digest, from what stands there now.
CREATE VIEW erp_webhook.voucher_now WITH (security_invoker = true) AS
  SELECT v.company_id, v.voucher_id, v.digest,
         erp_webhook.voucher_digest(
           v.company_id, v.source_id, v.object, v.object_ref, v.step, v.event_id, v.booked_on, v.occurred_on,
           coalesce((SELECT string_agg(erp_webhook.entry_text(e.debit, e.credit, e.amount, e.currency), '' ORDER BY e.entry_no)
                     FROM erp_webhook.entry e WHERE e.company_id = v.company_id AND e.voucher_id = v.voucher_id), '')) AS digest_now
  FROM erp_webhook.voucher v;
COMMENT ON VIEW erp_webhook.voucher_now IS
  'the digest a voucher was posted with, and the one of what it and its entries say now; they are the same unless someone tampered';

CREATE FUNCTION erp_webhook.verify_chain(company text DEFAULT NULL)
RETURNS TABLE (company_id int, sequence bigint, voucher_id bigint, broken text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH asked AS (
    SELECT c.company_id FROM erp_webhook.company c
    WHERE verify_chain.company IS NULL OR c.company_id = erp_webhook.find_company(verify_chain.company)
  ), link AS (
    SELECT l.company_id, l.sequence, l.voucher_id, l.hash, n.digest, n.digest_now,
           row_number() OVER chain AS place, lag(l.hash) OVER chain AS before
    FROM asked a
    JOIN erp_webhook.voucher_link l ON l.company_id = a.company_id
    LEFT JOIN erp_webhook.voucher_now n ON n.company_id = l.company_id AND n.voucher_id = l.voucher_id
    WINDOW chain AS (PARTITION BY l.company_id ORDER BY l.sequence)
  ), found AS (
    SELECT l.company_id, l.sequence, l.voucher_id, CASE
      WHEN l.sequence <> l.place THEN 'a link before this one is missing'
      WHEN l.digest IS NULL THEN 'the voucher is gone'
      WHEN l.digest_now <> l.digest THEN 'the voucher or its entries were changed'
      WHEN l.hash <> sha256(coalesce(l.before, '') || int8send(l.voucher_id) || l.digest)
        THEN 'the link does not follow from the one before' END AS broken
    FROM link l
    UNION ALL
    SELECT n.company_id, NULL, n.voucher_id, 'the voucher or its entries were changed before they were sealed'
    FROM asked a JOIN erp_webhook.voucher_now n ON n.company_id = a.company_id
    WHERE n.digest_now <> n.digest
      AND NOT EXISTS (SELECT FROM erp_webhook.voucher_link l WHERE l.company_id = n.company_id AND l.voucher_id = n.voucher_id)
  )
  SELECT DISTINCT ON (f.company_id) f.company_id, f.sequence, f.voucher_id, f.broken
  FROM found f WHERE f.broken IS NOT NULL
  ORDER BY f.company_id, f.sequence NULLS LAST, f.voucher_id
$$;
COMMENT ON FUNCTION erp_webhook.verify_chain(text) IS
  'the first broken link of each company''s chain over vouchers (NULL: of all companies the caller sees), and how; empty where nothing was tampered with';

CREATE FUNCTION erp_webhook.chain_head(company text)
RETURNS TABLE (sequence bigint, voucher_id bigint, hash text, sealed_at timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT l.sequence, l.voucher_id, encode(l.hash, 'hex'), l.sealed_at
  FROM erp_webhook.voucher_link l WHERE l.company_id = erp_webhook.find_company(chain_head.company) ORDER BY l.sequence DESC LIMIT 1
$$;
COMMENT ON FUNCTION erp_webhook.chain_head(text) IS
  'the latest link of a company''s chain: noted outside the database (an auditor''s mail, the signed-off report), it pins all vouchers before it';
