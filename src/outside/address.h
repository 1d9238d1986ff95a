/*
 * address.h: which network addresses the worker may talk to.
 */
#ifndef EWH_ADDRESS_H
#define EWH_ADDRESS_H

#include "postgres.h"

#include <sys/socket.h>

extern const char *ewh_address_refused(const struct sockaddr *addr, bool plain_http);
extern bool ewh_address_port_allowed(int port);
extern bool ewh_address_loopback_listed(void);
extern void ewh_address_settings(void);

#endif							/* EWH_ADDRESS_H */
