/*
 * The sockets we are reached at.
 */
#ifndef EWH_LISTENER_H
#define EWH_LISTENER_H

#include <event2/event.h>
#include <stdbool.h>

/* Opens both listeners, from systemd where it passed sockets; false and a line in the log if one cannot be had. */
bool ewh_listeners_start(struct event_base *base);

/* Accepts what waits already, then no more. */
void ewh_listeners_stop(void);

#endif
