-- Keys the worker fetched are part of a source as a backend knows it.
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON erp_webhook.fetched_key
  FOR EACH STATEMENT EXECUTE FUNCTION erp_webhook.configuration_changed();
ALTER TABLE erp_webhook.fetched_key ENABLE ALWAYS TRIGGER configuration_changed;
