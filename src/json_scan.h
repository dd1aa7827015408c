/* json_scan.h - prove quickly, without memory, that a plain JSON text is good.
 * Level 2: may include levels 0-1.
 * SPDX-License-Identifier: MIT
 *
 * jansson decides what JSON is (json.h), but costs more than all hashing of an event. This
 * scan can only say "surely good" or "do not know", never "bad"; what it does not know goes
 * to jansson. The specs hold it against jansson on mutated texts.
 */
#ifndef TRAIL_JSON_SCAN_H
#define TRAIL_JSON_SCAN_H

#include "trail.h"

/* True: trail__json_check would accept the text. False: unknown. */
bool trail__json_scan(trail_text json, size_t depth_max);

#endif
