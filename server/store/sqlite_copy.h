/* sqlite_copy.h - back-ups of the store's file, and their way back. A back-up is a database of its own that says what it holds: how many
 * records, and a digest of their bytes, so that one that was cut or changed is refused by name instead of being restored.
 */
#ifndef SERVER_STORE_SQLITE_COPY_H
#define SERVER_STORE_SQLITE_COPY_H

#include "store.h"

/* As store_backend's copy. */
necpnet_result sqlite_back_up(const char* database, const char* file, store_copied* out_copied, char* what,
                              size_t what_bytes);
necpnet_result sqlite_restore(const char* database, const char* file, store_copied* out_copied, char* what,
                              size_t what_bytes);

#endif
