/*
 * keyring.c: sealing by AES-256-GCM.
 *
 * A sealed value is: version (1), nonce, ciphertext, tag. The nonce is random: at 96 bits, 2^32 secrets under one key
 * stay within NIST SP 800-38D section 8.3.
 */
#include "postgres.h"

#include "proof/cipher.h"
#include "proof/keyring.h"
#include "proof/sealing_key.h"
#include "proof/signature.h"
#include "trouble.h"

#define VERSION 1
#define FRONT (1 + EWH_GCM_NONCE)
#define OVERHEAD (FRONT + EWH_GCM_TAG)

/* The label of a secret in a table of ours. */
EwhBytes
ewh_keyring_label(const char *table, int32 company_id, int32 owner_id, int32 secret_id, const char *purpose)
{
	return ewh_bytes(psprintf("%s/%d/%d/%d/%s", table, company_id, owner_id, secret_id, purpose));
}

EwhBytes
ewh_keyring_seal(EwhBytes plain, EwhBytes label, const char **key_name)
{
	const EwhSealingKey *sealing = ewh_sealing_key(true);
	EwhBytes	key = {(const char *) sealing->key, EWH_SEALING_KEY_LEN};
	unsigned char *out = palloc(OVERHEAD + plain.len);
	EwhBytes	nonce = {(char *) out + 1, EWH_GCM_NONCE};
	EwhBytes	sealed = {(char *) out, OVERHEAD + plain.len};

	out[0] = VERSION;
	if (!ewh_random(out + 1, EWH_GCM_NONCE) ||
		!ewh_gcm_seal(key, nonce, label, plain, out + FRONT, out + FRONT + plain.len))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not seal a secret")));
	*key_name = pstrdup(sealing->name);
	return sealed;
}

EwhBytes
ewh_keyring_open(EwhBytes sealed, EwhBytes label, const char *key_name)
{
	const EwhSealingKey *sealing = ewh_sealing_key(false);
	EwhBytes	key = {(const char *) sealing->key, EWH_SEALING_KEY_LEN};
	EwhBytes	nonce = {sealed.data + 1, EWH_GCM_NONCE};
	EwhBytes	ciphertext,
				tag,
				plain;

	if (strcmp(key_name, sealing->name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("a secret was sealed under key %s, but the key in use is %s", key_name, sealing->name),
				 errhint("Put back the sealing key that belongs to these data, or add the secrets again.")));
	if (sealed.len < OVERHEAD || sealed.data[0] != VERSION)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a sealed secret is damaged")));
	ciphertext.data = sealed.data + FRONT;
	ciphertext.len = sealed.len - OVERHEAD;
	tag.data = ciphertext.data + ciphertext.len;
	tag.len = EWH_GCM_TAG;
	if (!ewh_gcm_open(key, nonce, label, ciphertext, tag, &plain))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a sealed secret does not open"),
				 errdetail("It is damaged, or was moved from the row it was sealed for.")));
	return plain;
}

bool
ewh_keyring_try_open(EwhBytes sealed, EwhBytes label, const char *key_name, EwhBytes *plain, char **why)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		*plain = ewh_keyring_open(sealed, label, key_name);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	if (error == NULL)
		return true;
	if (ewh_is_server_trouble(error->sqlerrcode))
		ReThrowError(error);
	*why = error->message;
	return false;
}
