/*
 * jose.c: JWS, detached JWS and JWE of strangers: nothing they can write holds under our keys. The first byte chooses.
 */
#include "proof.h"

#include "proof/jose.h"
#include "proof/reason.h"

static char *algs[] = {"ES256", "PS256", "EdDSA", "ES512"};
static char *crit[] = {"b64", "http://openbanking.org.uk/iat"};

/* A public key whose private half was never kept. */
static const char PUBLIC[] =
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"n91ftQ717GGky18_lKoDUDwUYq-3XaIdFxNwDKH7j3g\","
	"\"y\":\"P1GuPP8kMv5Pj7dqUXycW8pkMVUTc9wQjAydbXWITZ8\"}";

static void
try_jws(EwhProof proof, EwhBytes compact)
{
	EwhScheme	scheme = {.proof = proof, .jws_algs = {algs, 4}, .crit_known = {crit, 2}};
	EwhMessage	body = {&compact, 1, 1};
	EwhJws		jws;

	if (ewh_jws_read(&scheme, compact, &jws) != NULL)
		return;
	must(is_within(jws.header_text, compact) && is_within(jws.payload_text, compact));
	must(proof == EWH_PROVE_JWS || jws.payload_text.len == 0);
	for (EwhKey *key = ewh_key_public(ewh_bytes(PUBLIC)); key; key = key->next)
		must(!ewh_jws_holds(&jws, key, proof == EWH_PROVE_JWS ? NULL : &body));
}

static void
try_jwe(EwhBytes compact, EwhBase64 alphabet)
{
	EwhScheme	scheme = {.proof = EWH_PROVE_DECRYPT, .decrypt = EWH_DECRYPT_JWE, .alphabet = alphabet, .iv_bytes = 16};
	EwhBytes	plain;

	must(ewh_jwe_open(&scheme, compact, ewh_bytes("0123456789abcdef0123456789abcdef"), NULL, &plain) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	EwhBytes	compact;

	if (size == 0)
		return 0;
	compact = exact(data + 1, size - 1);
	switch (data[0] % 4)
	{
		case 0:
			try_jws(EWH_PROVE_JWS, compact);
			break;
		case 1:
			try_jws(EWH_PROVE_JWS_DETACHED, compact);
			break;
		default:
			try_jwe(compact, data[0] % 4 == 2 ? EWH_BASE64URL : EWH_BASE64_MIXED);
	}
	fuzz_forget();
	return 0;
}
