/*
 * address.c: which network addresses the worker may talk to.
 *
 * The decision falls on the address a socket is about to be connected to, never on a name: a resolver may answer
 * differently each time it is asked. IPv4 is refused by a list; IPv6 is allowed only inside 2000::/3, the one block
 * that is global unicast (RFC 4291 section 2.4), less what in it is a translation or not routed. So mapped, NAT64,
 * unique-local, link-local and multicast addresses need no entries of their own. What an administrator lists in
 * erp_webhook.allowed_addresses goes before all of that.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "fmgr.h"
#include "outside/address.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inet.h"

#define MAX_LISTED 64

/* One block of addresses, IPv4 as ::ffff:a.b.c.d so that one comparison serves both. */
typedef struct Block
{
	uint8		prefix[16];
	int			bits;
	int			port;			/* 0: the ports of erp_webhook.allowed_ports */
} Block;

typedef struct Blocks
{
	int			n;
	Block		block[MAX_LISTED];
} Blocks;

typedef struct Ports
{
	int			n;
	int			port[MAX_LISTED];
} Ports;

/* IANA special-purpose registries for IPv4 (RFC 6890 and its successors), and for IPv6 inside 2000::/3. */
static const char *const refused_blocks[][2] = {
	{"0.0.0.0/8", "this network"},
	{"10.0.0.0/8", "private"},
	{"100.64.0.0/10", "carrier-grade NAT"},
	{"127.0.0.0/8", "loopback"},
	{"169.254.0.0/16", "link-local"},
	{"172.16.0.0/12", "private"},
	{"192.0.0.0/24", "protocol assignment"},
	{"192.0.2.0/24", "documentation"},
	{"192.88.99.0/24", "6to4 relay"},
	{"192.168.0.0/16", "private"},
	{"198.18.0.0/15", "benchmarking"},
	{"198.51.100.0/24", "documentation"},
	{"203.0.113.0/24", "documentation"},
	{"224.0.0.0/4", "multicast"},
	{"240.0.0.0/4", "reserved"},
	{"2001::/23", "protocol assignment or Teredo"},
	{"2001:db8::/32", "documentation"},
	{"2002::/16", "6to4"},
	{"3fff::/20", "documentation"},
};

static char *allowed_addresses;
static char *allowed_ports;

/* What the settings say: fixed arrays, so that a callback of curl's may read them and nothing is ever freed. */
static Blocks listed;
static Ports ports;

/* Text of an address, with or without /bits and port ("127.0.0.1:8443", "[fd00::/8]:443", "10.0.0.0/8"), to a block. */
static bool
parse_block(const char *text, Block *block)
{
	char		buf[80];
	char	   *addr = buf;
	char	   *slash;
	char	   *port = NULL;
	bool		v4;
	long		bits;
	char	   *end;

	if (strlcpy(buf, text, sizeof(buf)) >= sizeof(buf))
		return false;
	memset(block, 0, sizeof(*block));
	if (buf[0] == '[')
	{
		addr = buf + 1;
		end = strchr(addr, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
		port = end[1] == ':' ? end + 2 : NULL;
		*end = '\0';
	}
	else if ((port = strchr(buf, ':')) != NULL && strchr(port + 1, ':') == NULL)
		*port++ = '\0';
	else
		port = NULL;

	slash = strchr(addr, '/');
	if (slash != NULL)
		*slash++ = '\0';
	if (inet_pton(AF_INET, addr, block->prefix + 12) == 1)
	{
		block->prefix[10] = block->prefix[11] = 0xff;
		v4 = true;
	}
	else if (inet_pton(AF_INET6, addr, block->prefix) == 1)
		v4 = false;
	else
		return false;

	bits = v4 ? 32 : 128;
	if (slash != NULL)
	{
		long		given = strtol(slash, &end, 10);

		if (*slash == '\0' || *end != '\0' || given < 0 || given > bits)
			return false;
		bits = given;
	}
	block->bits = (int) (v4 ? bits + 96 : bits);
	if (port != NULL)
	{
		long		given = strtol(port, &end, 10);

		if (*port == '\0' || *end != '\0' || given < 1 || given > 65535)
			return false;
		block->port = (int) given;
	}
	return true;
}

static bool
in_block(const uint8 *addr, const Block *block)
{
	int			whole = block->bits / 8;
	int			rest = block->bits % 8;

	if (memcmp(addr, block->prefix, whole) != 0)
		return false;
	return rest == 0 || ((addr[whole] ^ block->prefix[whole]) >> (8 - rest)) == 0;
}

/* The address as 16 bytes, IPv4 mapped, and its port. False for any other family. */
static bool
address_bytes(const struct sockaddr *addr, uint8 *bytes, int *port, bool *v4)
{
	if (addr->sa_family == AF_INET)
	{
		const struct sockaddr_in *in = (const struct sockaddr_in *) addr;

		memset(bytes, 0, 10);
		bytes[10] = bytes[11] = 0xff;
		memcpy(bytes + 12, &in->sin_addr, 4);
		*port = ntohs(in->sin_port);
		*v4 = true;
		return true;
	}
	if (addr->sa_family == AF_INET6)
	{
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) addr;

		memcpy(bytes, &in6->sin6_addr, 16);
		*port = ntohs(in6->sin6_port);
		*v4 = false;
		return true;
	}
	return false;
}

static bool
port_in_list(int port)
{
	for (int i = 0; i < ports.n; i++)
		if (ports.port[i] == port)
			return true;
	return false;
}

/* Does the administrator's list name this address, at this port? */
static bool
is_listed(const uint8 *bytes, int port)
{
	for (int i = 0; i < listed.n; i++)
	{
		const Block *block = &listed.block[i];

		if (in_block(bytes, block) && (block->port == port || (block->port == 0 && port_in_list(port))))
			return true;
	}
	return false;
}

/* Why an address is not global, or NULL. */
static const char *
not_global(const uint8 *bytes, bool v4)
{
	/* An IPv6 socket given ::ffff:a.b.c.d would reach IPv4 past the list for it. */
	if (!v4 && (bytes[0] & 0xe0) != 0x20)
		return "not global unicast";
	for (int i = 0; i < lengthof(refused_blocks); i++)
	{
		Block		block;

		if (parse_block(refused_blocks[i][0], &block) && in_block(bytes, &block))
			return refused_blocks[i][1];
	}
	return NULL;
}

static bool
is_loopback(const uint8 *bytes, bool v4)
{
	return v4 ? bytes[12] == 127 : IN6_IS_ADDR_LOOPBACK((const struct in6_addr *) bytes);
}

/* Why this address may not be connected to, or NULL if it may. Neither allocates nor raises: curl calls it. */
const char *
ewh_address_refused(const struct sockaddr *addr, bool plain_http)
{
	uint8		bytes[16];
	int			port;
	bool		v4;

	if (!address_bytes(addr, bytes, &port, &v4))
		return "neither IPv4 nor IPv6";
	if (is_listed(bytes, port))
		return plain_http && !is_loopback(bytes, v4) ? "plain http beyond loopback" : NULL;
	if (plain_http)
		return "plain http";
	if (!port_in_list(port))
		return "port not allowed";
	return not_global(bytes, v4);
}

/* May a URL name this port at all, for any address? */
bool
ewh_address_port_allowed(int port)
{
	if (port_in_list(port))
		return true;
	for (int i = 0; i < listed.n; i++)
		if (listed.block[i].port == port)
			return true;
	return false;
}

/* Does the list hold a loopback address? Only then can a URL of plain http mean anything. */
bool
ewh_address_loopback_listed(void)
{
	for (int i = 0; i < listed.n; i++)
		if (is_loopback(listed.block[i].prefix, listed.block[i].prefix[10] == 0xff))
			return true;
	return false;
}

/* Parse a list of words into a list of whatever `parse` makes of each; names the first word that is none. */
static const char *
parse_list(const char *text, void *list, bool (*parse) (const char *word, void *list))
{
	static char word[80];

	while (*text != '\0')
	{
		size_t		skip = strspn(text, ", ");
		size_t		len = strcspn(text + skip, ", ");

		if (len > 0)
		{
			snprintf(word, sizeof(word), "%.*s", (int) Min(len, sizeof(word) - 1), text + skip);
			if (len >= sizeof(word) || !parse(word, list))
				return word;
		}
		text += skip + len;
	}
	return NULL;
}

static bool
add_block(const char *word, void *list)
{
	Blocks	   *blocks = list;

	return blocks->n < MAX_LISTED && parse_block(word, &blocks->block[blocks->n++]);
}

static bool
add_port(const char *word, void *list)
{
	Ports	   *p = list;
	char	   *end;
	long		port = strtol(word, &end, 10);

	if (*end != '\0' || port < 1 || port > 65535 || p->n == MAX_LISTED)
		return false;
	p->port[p->n++] = (int) port;
	return true;
}

/* address_refused(address inet, port int, plain_http boolean) */
PG_FUNCTION_INFO_V1(erp_webhook_address_refused);
PGDLLEXPORT Datum
erp_webhook_address_refused(PG_FUNCTION_ARGS)
{
	inet	   *address = PG_GETARG_INET_PP(0);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16) PG_GETARG_INT32(1))};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = in.sin_port};
	bool		v4 = ip_family(address) == PGSQL_AF_INET;
	const char *refused;

	memcpy(v4 ? (void *) &in.sin_addr : (void *) &in6.sin6_addr, ip_addr(address), ip_addrsize(address));
	refused = ewh_address_refused(v4 ? (struct sockaddr *) &in : (struct sockaddr *) &in6, PG_GETARG_BOOL(2));
	if (refused == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(refused));
}

static bool
check_allowed_addresses(char **newval, void **extra, GucSource source)
{
	Blocks		blocks = {0};
	const char *bad = parse_list(*newval, &blocks, add_block);

	if (bad != NULL)
		GUC_check_errdetail("\"%s\" is not an address such as 10.0.0.0/8, 127.0.0.1:8443 or [fd00::/8]:443,"
							" or the list is too long.", bad);
	return bad == NULL;
}

static void
assign_allowed_addresses(const char *newval, void *extra)
{
	listed.n = 0;
	parse_list(newval, &listed, add_block);
}

static bool
check_allowed_ports(char **newval, void **extra, GucSource source)
{
	Ports		list = {0};
	const char *bad = parse_list(*newval, &list, add_port);

	if (bad != NULL)
		GUC_check_errdetail("\"%s\" is not a port, or the list is too long.", bad);
	return bad == NULL;
}

static void
assign_allowed_ports(const char *newval, void *extra)
{
	ports.n = 0;
	parse_list(newval, &ports, add_port);
}

/* The two settings above; called once, from _PG_init. */
void
ewh_address_settings(void)
{
	DefineCustomStringVariable("erp_webhook.allowed_addresses",
							   "Addresses the worker may call although they are private, each with an optional port.",
							   "Plain http is allowed only to a loopback address listed here.",
							   &allowed_addresses, "", PGC_SUSET, GUC_LIST_INPUT,
							   check_allowed_addresses, assign_allowed_addresses, NULL);
	DefineCustomStringVariable("erp_webhook.allowed_ports",
							   "Ports the worker may call.", NULL,
							   &allowed_ports, "443", PGC_SUSET, GUC_LIST_INPUT,
							   check_allowed_ports, assign_allowed_ports, NULL);
}
