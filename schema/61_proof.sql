-- Is it genuine? What C offers of the proof wing without a source; verify() and sign() stand in 64.

CREATE FUNCTION erp_webhook.verify_with(
  scheme jsonb, secrets jsonb, settings jsonb, headers jsonb, body bytea, method text DEFAULT 'POST', url text DEFAULT NULL,
  at timestamptz DEFAULT now()) RETURNS erp_webhook.verdict
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'erp_webhook_verify_with';
COMMENT ON FUNCTION erp_webhook.verify_with(jsonb, jsonb, jsonb, jsonb, bytea, text, text, timestamptz) IS
  'try a scheme before a source uses it: secrets is {"secrets": [{"secret", "key_id", "purpose"}]}; nothing is stored';
REVOKE ALL ON FUNCTION erp_webhook.verify_with(jsonb, jsonb, jsonb, jsonb, bytea, text, text, timestamptz) FROM PUBLIC;

CREATE FUNCTION erp_webhook.sign_with(
  scheme jsonb, secrets jsonb, settings jsonb, body bytea, at timestamptz DEFAULT now(), headers jsonb DEFAULT '{}',
  method text DEFAULT 'POST', url text DEFAULT NULL) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'erp_webhook_sign_with';
COMMENT ON FUNCTION erp_webhook.sign_with(jsonb, jsonb, jsonb, bytea, timestamptz, jsonb, text, text) IS
  'the headers that a scheme would send; secrets as in verify_with()';
REVOKE ALL ON FUNCTION erp_webhook.sign_with(jsonb, jsonb, jsonb, bytea, timestamptz, jsonb, text, text) FROM PUBLIC;
