-- Types every other part uses, and what a trigger asks before it derives anything.

-- Bodies, headers and names are read as UTF-8; another encoding would refuse some of them long after installation.
DO $$
BEGIN
  IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
    RAISE EXCEPTION 'erp_webhook needs a database whose encoding is UTF8, not %', pg_catalog.getdatabaseencoding()
      USING ERRCODE = 'feature_not_supported';
  END IF;
END
$$;

CREATE DOMAIN erp_webhook.amount AS numeric
  CHECK (VALUE <> 'NaN'::numeric AND VALUE <> 'Infinity'::numeric AND VALUE <> '-Infinity'::numeric);
COMMENT ON DOMAIN erp_webhook.amount IS 'an exact amount of money in units of its currency; always finite';

CREATE TYPE erp_webhook.verdict AS (ok boolean, reason text, secret_id int, signed_at timestamptz);
COMMENT ON TYPE erp_webhook.verdict IS 'what verify() says of a request: genuine or not, why not, by which secret, signed when';

CREATE TYPE erp_webhook.receipt AS (
  outcome text, http_status int, content_type text, response bytea, event_id bigint, events int, detail text);
COMMENT ON TYPE erp_webhook.receipt IS 'what ingest() made of a request, and what to answer its sender; detail is for our log only';

-- CREATE EXTENSION runs before the data of a dump arrives, so our triggers see every restored row. pg_dump opens its
-- script (and pg_restore its session) with these two settings; no ordinary session has both.
CREATE FUNCTION erp_webhook.restoring() RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'erp_webhook_restoring';
COMMENT ON FUNCTION erp_webhook.restoring() IS 'true while a dump is being restored: triggers that derive then return at once';

-- One guard for every table that only grows; the trigger that calls it says which commands it forbids.
CREATE FUNCTION erp_webhook.forbid() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION '% of erp_webhook.% is not allowed', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'object_not_in_prerequisite_state',
          HINT = COALESCE(TG_ARGV[0], 'Kept as evidence: a correction is a new row.');
END
$$;
COMMENT ON FUNCTION erp_webhook.forbid() IS 'trigger: raises; for tables whose rows are evidence';
