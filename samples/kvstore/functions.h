/* What guests see of the store: the functions of module "kv".
 *   put(key, n, value, n) -> i32                    0
 *   get(key, n, into, room) -> i32                  the value's size; as much as there is room for
 *                                                   is copied
 *   delete(key, n) -> i32                           0
 *   scan(prefix, n, after, n, into, room) -> i32    the size of the first key that begins with the
 *                                                   prefix and is behind `after`; copied likewise
 *   put_later(key, n, value, n) -> i32              does not wait: a ticket, above 0
 *   wait(ticket) -> i32                             what that gave; the ticket is gone
 *   say(text, n) -> i32                             a line for the host's report; 0
 * All but put_later and say park the guest until the disk has answered. Numbers below 0 are errors,
 * see store.h. */
#ifndef KVSTORE_FUNCTIONS_H
#define KVSTORE_FUNCTIONS_H

#include <atoll.h>

#include "store.h"

enum { most_said = 60 }; /* bytes */

typedef struct guest guest;

/* A guest with its name space of that name. NULL: no memory. */
guest* guest_new(store* s, const char* name);
const char* guest_name(const guest* of);
/* Its lines, each ended by a newline. */
const char* guest_said(const guest* of);
/* When its process is freed and the store waits for nothing. */
void guest_free(guest* of);

/* The functions, for this guest alone. NULL: no memory. */
atoll_imports* guest_imports(guest* of);

#endif
