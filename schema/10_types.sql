-- Types every other part uses.

CREATE DOMAIN erp_webhook.amount AS numeric
  CHECK (VALUE <> 'NaN'::numeric AND VALUE <> 'Infinity'::numeric AND VALUE <> '-Infinity'::numeric);
COMMENT ON DOMAIN erp_webhook.amount IS 'an exact amount of money in units of its currency; always finite';
