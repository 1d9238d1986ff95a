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
-- Whether anybody listens (src/inbox/listening.c): not told of what the worker notes of a subscriber at each delivery.
CREATE TRIGGER configuration_changed AFTER INSERT OR DELETE OR TRUNCATE ON erp_webhook.subscriber
  FOR EACH STATEMENT EXECUTE FUNCTION erp_webhook.configuration_changed();
ALTER TABLE erp_webhook.subscriber ENABLE ALWAYS TRIGGER configuration_changed;
CREATE TRIGGER state_changed AFTER UPDATE ON erp_webhook.subscriber
  FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION erp_webhook.configuration_changed();
ALTER TABLE erp_webhook.subscriber ENABLE ALWAYS TRIGGER state_changed;
