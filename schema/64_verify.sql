-- Proof of a source's requests without keeping them, and the other way round.

CREATE FUNCTION erp_webhook.verify(
  source text, headers jsonb, body bytea, method text DEFAULT 'POST', url text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS erp_webhook.verdict
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'erp_webhook_verify';
COMMENT ON FUNCTION erp_webhook.verify(text, jsonb, bytea, text, text, timestamptz) IS
  'is this request genuine? Stores nothing, and raises for nothing that a request contains';

-- Runs as its caller, who must be able to read the sealed secrets: who can sign can forge.
CREATE FUNCTION erp_webhook.sign(
  source text, body bytea, at timestamptz DEFAULT now(), headers jsonb DEFAULT '{}', method text DEFAULT 'POST',
  url text DEFAULT NULL)
RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'erp_webhook_sign';
COMMENT ON FUNCTION erp_webhook.sign(text, bytea, timestamptz, jsonb, text, text) IS
  'all headers that make this body one of the source''s; those given are kept and signed';
