-- Keys the worker fetched, and whether its company is bound, are part of a source as a backend knows it.
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON erp_webhook.binding
  FOR EACH STATEMENT EXECUTE FUNCTION erp_webhook.configuration_changed();
ALTER TABLE erp_webhook.binding ENABLE ALWAYS TRIGGER configuration_changed;
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON erp_webhook.fetched_key
  FOR EACH STATEMENT EXECUTE FUNCTION erp_webhook.configuration_changed();
ALTER TABLE erp_webhook.fetched_key ENABLE ALWAYS TRIGGER configuration_changed;
-- And so are policies and rules of a company's house (src/inbox/house.c).
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON erp_webhook.policy
  FOR EACH STATEMENT EXECUTE FUNCTION erp_webhook.configuration_changed();
ALTER TABLE erp_webhook.policy ENABLE ALWAYS TRIGGER configuration_changed;
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON erp_webhook.event_rule
  FOR EACH STATEMENT EXECUTE FUNCTION erp_webhook.configuration_changed();
ALTER TABLE erp_webhook.event_rule ENABLE ALWAYS TRIGGER configuration_changed;
