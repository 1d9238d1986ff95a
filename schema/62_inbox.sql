-- The way in: ingest(), ingest_batch(), and what keeps the inbox in order.

CREATE FUNCTION erp_webhook.counters(
  OUT company_id int, OUT source_id int, OUT outcome text, OUT reason text, OUT n bigint, OUT scope text)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'erp_webhook_counters';
COMMENT ON FUNCTION erp_webhook.counters() IS 'requests counted since the server started (scope server) or by this session alone (scope session)';

-- Requests to names we do not know are counted together, under the source "unknown".
CREATE VIEW erp_webhook.stats WITH (security_invoker = true) AS
  SELECT coalesce(s.name, 'unknown') AS source, c.outcome, c.reason, c.n, c.scope, c.company_id
  FROM erp_webhook.counters() c
  LEFT JOIN erp_webhook.source s ON s.company_id = c.company_id AND s.source_id = c.source_id
  WHERE s.name IS NOT NULL OR c.company_id = 0;
COMMENT ON VIEW erp_webhook.stats IS 'how often each source had each outcome, and why; duplicates are counted here and nowhere else';
