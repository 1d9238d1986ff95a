/*
 * sealing_key.c: where the sealing key comes from.
 *
 * In this order: the output of erp_webhook.key_command, the file erp_webhook.key_file, or a file of our own in the data
 * directory that is made when the first secret is sealed. Its content is 32 bytes as 64 hexadecimal digits, or base64.
 * A backup of the database alone (pg_dump) does not contain it; one of the data directory does, unless a setting says
 * where else it lives.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "proof/sealing_key.h"
#include "proof/signature.h"
#include "settings.h"

#define OWN_FILE "erp_webhook.key"	/* relative to the data directory, where every backend stands */
#define MAX_TEXT 256

/* The key in use, and the settings it came from: when they change it is read again. */
static EwhSealingKey current;
static char *current_origin = NULL;

static bool
is_set(const char *setting)
{
	return setting != NULL && *setting != '\0';
}

static void
refuse_key(const char *origin, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("the sealing key from %s cannot be used", origin),
			 errdetail("%s", detail)));
}

/* Name the key by the first half of a digest of it, so that a name can be stored beside what the key sealed. */
static void
name_key(EwhSealingKey *key)
{
	static const char PURPOSE[] = "erp_webhook sealing key name";
	EwhBytes	parts[] = {{PURPOSE, sizeof(PURPOSE)}, {(char *) key->key, EWH_SEALING_KEY_LEN}};
	EwhMessage	message = {parts, 2, 2};
	unsigned char digest[EWH_MAX_MAC];

	if (!ewh_digest(EWH_SHA256, &message, digest))
		elog(ERROR, "SHA-256 is not available");
	ewh_hex_encode(digest, 8, key->name);
	key->name[16] = '\0';
}

static void
parse_key(EwhBytes text, const char *origin, EwhSealingKey *key)
{
	unsigned char decoded[EWH_BASE64_DECODED_MAX(MAX_TEXT)];
	size_t		len = 0;
	bool		readable;

	text = ewh_bytes_trim(text);
	if (text.len == 2 * EWH_SEALING_KEY_LEN)
	{
		len = EWH_SEALING_KEY_LEN;
		readable = ewh_hex_decode(text, decoded);
	}
	else
		readable = text.len < MAX_TEXT && ewh_base64_decode(text, EWH_BASE64, decoded, &len);
	if (readable && len == EWH_SEALING_KEY_LEN)
		memcpy(key->key, decoded, len);
	ewh_wipe(decoded, sizeof(decoded));
	if (!readable || len != EWH_SEALING_KEY_LEN)
		refuse_key(origin, "It must be 32 bytes, as 64 hexadecimal digits or in base64.");
	name_key(key);
}

/* Nobody but the server's user may read it, or its group if someone else owns the file. */
static void
check_permissions(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not stat file \"%s\": %m", path)));
	if (!S_ISREG(st.st_mode) || (st.st_mode & S_IRWXO) != 0 || (st.st_mode & (S_IWGRP | S_IXGRP)) != 0 ||
		(st.st_uid == geteuid() && (st.st_mode & S_IRGRP) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("key file \"%s\" has group or world access", path),
				 errdetail("It must be a regular file with mode 0600, or 0640 if another user owns it.")));
}

/* Read the file; false where it does not exist. */
static bool
read_file(const char *path, EwhSealingKey *key)
{
	char		text[MAX_TEXT];
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	volatile ssize_t len = 0;

	if (fd < 0 && errno == ENOENT)
		return false;
	if (fd < 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open key file \"%s\": %m", path)));
	/* Closed here also after an error: who catches it, to let the other sources go on, ends no transaction by it. */
	PG_TRY();
	{
		check_permissions(fd, path);
		len = read(fd, text, sizeof(text));
		if (len < 0)
			ereport(ERROR, (errcode_for_file_access(), errmsg("could not read key file \"%s\": %m", path)));
	}
	PG_FINALLY();
	{
		CloseTransientFile(fd);
	}
	PG_END_TRY();
	parse_key((EwhBytes) {text, len}, path, key);
	ewh_wipe(text, sizeof(text));
	return true;
}

/* Write a fresh key to a file of our own and sync it. */
static void
write_fresh(const char *path)
{
	unsigned char key[EWH_SEALING_KEY_LEN];
	char		text[2 * EWH_SEALING_KEY_LEN + 1];
	int			fd;
	bool		written;

	if (!ewh_random(key, sizeof(key)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random bytes for a sealing key")));
	ewh_hex_encode(key, sizeof(key), text);
	text[sizeof(text) - 1] = '\n';
	fd = OpenTransientFilePerm(path, O_WRONLY | O_CREAT | O_EXCL | PG_BINARY, 0600);
	written = fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text) && pg_fsync(fd) == 0;
	ewh_wipe(key, sizeof(key));
	ewh_wipe(text, sizeof(text));
	if (!written)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not write key file \"%s\": %m", path)));
	if (CloseTransientFile(fd) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not close key file \"%s\": %m", path)));
}

/*
 * Make our own key file. It appears under its name complete and synced, by link(), which fails where another backend
 * was first: then that one's key is ours too.
 */
static void
make_own_file(void)
{
	char	   *fresh = psprintf(OWN_FILE ".%d", MyProcPid);

	(void) unlink(fresh);		/* of a process of this number that died here */
	write_fresh(fresh);
	if (link(fresh, OWN_FILE) != 0 && errno != EEXIST)
	{
		int			save = errno;

		(void) unlink(fresh);
		errno = save;
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not link key file \"%s\": %m", OWN_FILE)));
	}
	(void) unlink(fresh);
	fsync_fname(".", true);
}

static void
read_own_file(bool make, EwhSealingKey *key)
{
	if (read_file(OWN_FILE, key))
		return;
	if (!make)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("the sealing key file \"%s\" is not in the data directory", OWN_FILE),
				 errhint("Put back the file that belongs to these data, or set erp_webhook.key_file or "
						 "erp_webhook.key_command.")));
	make_own_file();
	if (!read_file(OWN_FILE, key))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("the sealing key file \"%s\" vanished as it was made", OWN_FILE)));
}

/* Run the command and read its output. Its standard error goes to the server log: it must not print the key there. */
static void
read_command(const char *command, EwhSealingKey *key)
{
	char		text[MAX_TEXT];
	EwhBytes	content = {text, 0};
	FILE	   *pipe = OpenPipeStream(command, "r");
	int			status;

	if (pipe == NULL)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not run erp_webhook.key_command: %m")));
	content.len = fread(text, 1, sizeof(text), pipe);
	status = ClosePipeStream(pipe);
	if (status != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("erp_webhook.key_command failed"),
				 errdetail_internal("%s", wait_result_to_str(status))));
	parse_key(content, "erp_webhook.key_command", key);
	ewh_wipe(text, sizeof(text));
}

/* What tells whether the settings still say the same. */
static char *
origin_of_settings(void)
{
	return psprintf("%s|%s", is_set(ewh_setting_key_command) ? ewh_setting_key_command : "",
					is_set(ewh_setting_key_file) ? ewh_setting_key_file : "");
}

/* The key in use. `make`: our own file may be made where there is none, as who opens a secret must not. */
const EwhSealingKey *
ewh_sealing_key(bool make)
{
	char	   *origin = origin_of_settings();
	EwhSealingKey key;

	if (current_origin && strcmp(origin, current_origin) == 0)
		return &current;
	if (is_set(ewh_setting_key_command))
		read_command(ewh_setting_key_command, &key);
	else if (!is_set(ewh_setting_key_file))
		read_own_file(make, &key);
	else if (!read_file(ewh_setting_key_file, &key))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("key file \"%s\" does not exist", ewh_setting_key_file)));
	if (current_origin)
		pfree(current_origin);
	current_origin = NULL;
	current = key;
	ewh_wipe(&key, sizeof(key));
	current_origin = MemoryContextStrdup(TopMemoryContext, origin);
	return &current;
}
