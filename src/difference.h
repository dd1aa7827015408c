/* difference.h - where an index and its log differ, in words.
 * Level 6: may include levels 0-5.
 * SPDX-License-Identifier: MIT
 */
#ifndef TRAIL_DIFFERENCE_H
#define TRAIL_DIFFERENCE_H

#include "index.h"

enum { TRAIL__DIFFERENCE_TEXT_MAX = 256 };

/* Term by term, at most a window of seqs: the first seq that stands under a term that its entry
 * does not have, or does not stand under one that it has. *seq_out 0: there is none. */
trail_status trail__difference_find(const trail__view *view, uint64_t seq_first,
                                    uint64_t seq_last, uint64_t *seq_out,
                                    char text_out[TRAIL__DIFFERENCE_TEXT_MAX],
                                    trail_error *err);

#endif
