/*
 * deferred.h: what constraints put off to COMMIT, done now.
 */
#ifndef EWH_DEFERRED_H
#define EWH_DEFERRED_H

extern void ewh_fire_deferred(void);

#endif							/* EWH_DEFERRED_H */
