#ifndef IMPCERT_PRODUCER_GATEWAY_CORS_H
#define IMPCERT_PRODUCER_GATEWAY_CORS_H

/* Which pages may post from a browser: the allow-list of IMPCERT_CORS_ORIGINS (Fetch Standard, section 3.2).
 * Pure. Thread: any. */

/* What Access-Control-Allow-Origin is to be for a request of this origin: "*", the origin itself, or NULL for
 * none. allowed: the setting; NULL: no page of another origin may. */
const char *cors_allow(const char *allowed, const char *origin);

#endif
