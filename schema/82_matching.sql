CREATE FUNCTION erp_webhook.bank_changed(company_id int, line_ids bigint[]) RETURNS void LANGUAGE sql AS $$ SELECT $$;
COMMENT ON FUNCTION erp_webhook.bank_changed(int, bigint[]) IS 'stub';
