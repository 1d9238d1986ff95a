-- The way in: ingest(), ingest_batch(), and what keeps the inbox in order.

CREATE FUNCTION erp_webhook.ingest(source text, headers jsonb, body bytea, method text DEFAULT 'POST', url text DEFAULT NULL)
RETURNS erp_webhook.receipt
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'erp_webhook_ingest';
COMMENT ON FUNCTION erp_webhook.ingest(text, jsonb, bytea, text, text) IS
  'prove one webhook, keep it, settle it; the receipt says what to answer its sender once the transaction has committed';

CREATE FUNCTION erp_webhook.ingest_batch(
  sources text[], headers jsonb[], bodies bytea[], methods text[] DEFAULT NULL, urls text[] DEFAULT NULL)
RETURNS SETOF erp_webhook.receipt
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'erp_webhook_ingest_batch';
COMMENT ON FUNCTION erp_webhook.ingest_batch(text[], jsonb[], bytea[], text[], text[]) IS
  'ingest() for many at once; receipts in the order of the arrays';

CREATE FUNCTION erp_webhook.counters(
  OUT company_id int, OUT source_id int, OUT outcome text, OUT reason text, OUT n bigint, OUT scope text)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'erp_webhook_counters';
COMMENT ON FUNCTION erp_webhook.counters() IS
  'requests of the companies the caller reads, counted since the server started (scope server) or by this session alone (scope session)';

-- Requests to names we do not know are counted together, under the source "unknown".
CREATE VIEW erp_webhook.stats WITH (security_invoker = true) AS
  SELECT coalesce(s.name, 'unknown') AS source, c.outcome, c.reason, c.n, c.scope, c.company_id
  FROM erp_webhook.counters() c
  LEFT JOIN erp_webhook.source s ON s.company_id = c.company_id AND s.source_id = c.source_id
  WHERE s.name IS NOT NULL OR c.company_id = 0;
COMMENT ON VIEW erp_webhook.stats IS
  'how often each source had each outcome, and why; duplicates are counted here and nowhere else';

-- A month of deliveries: its partition, or NULL.
CREATE FUNCTION erp_webhook.delivery_month(month timestamptz) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
RETURN to_regclass(format('erp_webhook.delivery_%s', to_char(month, 'YYYY_MM')));
COMMENT ON FUNCTION erp_webhook.delivery_month(timestamptz) IS
  'the partition that holds the deliveries of a month (UTC), if it is there';

-- Make the partition of a month. What already sits in the default partition moves: only the owner can switch the guard
-- off. The whole table is locked, for an INSERT that was already sent to the default partition would fail when it finds
-- the month there. The lock is not waited for: behind a wait for somebody's dump to end, ingest would stand still.
CREATE FUNCTION erp_webhook.make_delivery_month(month timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET lock_timeout = '1s'
AS $$
DECLARE
  first timestamptz := date_trunc('month', month);
  next timestamptz := date_trunc('month', month) + interval '1 month';
  part text := format('erp_webhook.delivery_%s', to_char(month, 'YYYY_MM'));
BEGIN
  LOCK TABLE erp_webhook.delivery, erp_webhook.delivery_default IN ACCESS EXCLUSIVE MODE;
  EXECUTE format('CREATE TABLE %s (LIKE erp_webhook.delivery INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMPRESSION,'
                 ' PRIMARY KEY (company_id, delivery_id, received_at))', part);
  EXECUTE format('COMMENT ON TABLE %s IS %L', part, 'deliveries received in ' || to_char(month, 'YYYY-MM') || ' (UTC)');
  IF EXISTS (SELECT FROM erp_webhook.delivery_default d WHERE d.received_at >= first AND d.received_at < next) THEN
    ALTER TABLE erp_webhook.delivery_default DISABLE TRIGGER delivery_is_evidence;
    EXECUTE format(
      'WITH moved AS (DELETE FROM erp_webhook.delivery_default d WHERE d.received_at >= %L AND d.received_at < %L RETURNING *)'
      ' INSERT INTO %s SELECT * FROM moved', first, next, part);
    ALTER TABLE erp_webhook.delivery_default ENABLE ALWAYS TRIGGER delivery_is_evidence;
  END IF;
  EXECUTE format('ALTER TABLE erp_webhook.delivery ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', part, first, next);
  EXECUTE format('CREATE TRIGGER delivery_is_not_truncated BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION '
                 'erp_webhook.forbid(''Only maintain() removes deliveries, whole months at a time.'')', part);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER delivery_is_not_truncated', part);
  PERFORM erp_webhook.guard_company_rows(part::regclass);
END
$$;
COMMENT ON FUNCTION erp_webhook.make_delivery_month(timestamptz) IS
  'make the partition of a month and move there what the default partition holds of it';

-- Months that ended before the setting erp_webhook.keep_deliveries (months; 0: for ever) are dropped. Events stay.
CREATE FUNCTION erp_webhook.drop_delivery_months() RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET lock_timeout = '1s'
AS $$
DECLARE
  keep int := coalesce(nullif(current_setting('erp_webhook.keep_deliveries', true), '')::int, 0);
  oldest text := to_char(date_trunc('month', erp_webhook.clock()) - make_interval(months => keep), 'YYYY_MM');
  part name;
  dropped int := 0;
BEGIN
  IF keep = 0 THEN
    RETURN 0;
  END IF;
  FOR part IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'erp_webhook.delivery'::regclass AND c.relname ~ '^delivery_[0-9]{4}_[0-9]{2}$'
      AND substr(c.relname, 10) < oldest
  LOOP
    EXECUTE format('DROP TABLE erp_webhook.%I', part);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END
$$;
COMMENT ON FUNCTION erp_webhook.drop_delivery_months() IS
  'drop the months of deliveries that erp_webhook.keep_deliveries no longer keeps; events are never dropped';

-- Daily: this month and three more, every month the default partition holds, then what is old enough.
CREATE FUNCTION erp_webhook.maintain() RETURNS TABLE (made int, dropped int)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
  month timestamptz;
BEGIN
  PERFORM erp_webhook.clear_meetings();
  BEGIN
    made := 0;
    dropped := 0;
    -- Into an array first: a cursor that still reads the default partition would keep it from being altered.
    FOREACH month IN ARRAY ARRAY(
      SELECT generate_series(date_trunc('month', erp_webhook.clock()), erp_webhook.clock() + interval '3 months', '1 month')
      UNION SELECT date_trunc('month', d.received_at) FROM erp_webhook.delivery_default d
      ORDER BY 1)
    LOOP
      IF erp_webhook.delivery_month(month) IS NULL THEN
        PERFORM erp_webhook.make_delivery_month(month);
        made := made + 1;
      END IF;
    END LOOP;
    dropped := erp_webhook.drop_delivery_months();
  EXCEPTION WHEN lock_not_available THEN
    RAISE WARNING 'deliveries are being read (by a dump, or a long query): maintain() leaves them for the next time';
    made := 0;
    dropped := 0;
  END;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION erp_webhook.maintain() IS 'run daily: partitions for the months to come, and the end of those kept long enough';
