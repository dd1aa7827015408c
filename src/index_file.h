/* index_file.h - find, open, make and replace index.mdb while other processes use it.
 * Level 5: may include levels 0-4, index.
 * SPDX-License-Identifier: MIT
 *
 * The file may vanish, and another take its place, at any time. LMDB's lock file belongs to one
 * data file: so both get new ones together, by whoever holds the gate, and whoever opens looks
 * whether they were still the same afterwards.
 */
#ifndef TRAIL_INDEX_FILE_H
#define TRAIL_INDEX_FILE_H

#include "index.h"

/* Is what we have open what stands at the path? Under index->lock. */
bool trail__index_file_is_current(const trail__index *index);

/* Open what stands there now; index->kv is NULL if nothing can be used, index->why says why. */
void trail__index_file_reopen(trail__index *index);

/* The gate of whoever builds; TRAIL_BUSY after wait_ms. */
trail_status trail__index_gate_enter(trail__index *index, unsigned wait_ms,
                                     trail_error *err);
void trail__index_gate_leave(trail__index *index);

#endif
