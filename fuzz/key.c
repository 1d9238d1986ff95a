/*
 * key.c: whatever somebody stores as a key: PEM, certificates, JWK and sets of them, bare base64, whpk_ and whsk_.
 */
#include "proof.h"

#include "utils/timestamp.h"

#include "proof/certificate.h"

pg_time_t
timestamptz_to_time_t(TimestampTz t)
{
	return t / USECS_PER_SEC;
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	EwhBytes	text = exact(data, size);
	EwhMessage	message = {&text, 1, 1};
	EwhBytes	signature = {"", 0};

	for (EwhKey *key = ewh_key_public(text); key; key = key->next)
		for (EwhSigner signer = EWH_RSA_PKCS1; signer <= EWH_ED25519; signer++)
			must(!ewh_signature_holds(key, signer, EWH_SHA256, &message, signature));
	ewh_key_private(text);
	if (ewh_chain_readable(text))
		must(ewh_chain_key(text, ewh_bytes(""), ewh_bytes(".example"), 0) == NULL);
	fuzz_forget();
	return 0;
}
