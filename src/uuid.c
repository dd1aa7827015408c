/* uuid.c - make and recognise the ids of events.
 * Level 1: may include level 0, error, hash; the only file that includes <uuid/uuid.h>.
 * SPDX-License-Identifier: MIT
 */
#include "uuid.h"

#include "error.h"
#include "hash.h"

#include <string.h>
#include <uuid/uuid.h>

enum { VERSION_BYTE = 6, VARIANT_BYTE = 8 };

static void set_version(uint8_t id[TRAIL_ID_LEN], unsigned version)
{
    id[VERSION_BYTE] = (uint8_t)((id[VERSION_BYTE] & 0x0fu) | version << 4);
    id[VARIANT_BYTE] = (uint8_t)((id[VARIANT_BYTE] & 0x3fu) | 0x80u);
}

void trail__uuid_make(int64_t recorded_at_us, uint64_t seq, const uint8_t random[8],
                      uint8_t id_out[TRAIL_ID_LEN])
{
    uint64_t ms = (uint64_t)recorded_at_us / 1000;

    for (int i = 0; i < 6; i++) {
        id_out[i] = (uint8_t)(ms >> (8 * (5 - i)));
    }
    id_out[6] = (uint8_t)(seq >> 8 & 0x0f);
    id_out[7] = (uint8_t)seq;
    memcpy(id_out + 8, random, 8);
    set_version(id_out, 7);
}

bool trail__uuid_hint(const uint8_t id[TRAIL_ID_LEN], int64_t *ms_out,
                      uint64_t *seq_low_out)
{
    uint64_t ms = 0;

    if (id[VERSION_BYTE] >> 4 != 7 || id[VARIANT_BYTE] >> 6 != 2) {
        return false;
    }
    for (int i = 0; i < 6; i++) {
        ms = ms << 8 | id[i];
    }
    *ms_out = (int64_t)ms;
    *seq_low_out = (uint64_t)(id[6] & 0x0fu) << 8 | id[7];
    return true;
}

bool trail__uuid_made_for(const uint8_t id[TRAIL_ID_LEN], int64_t recorded_at_us,
                          uint64_t seq)
{
    int64_t ms;
    uint64_t seq_low;

    return trail__uuid_hint(id, &ms, &seq_low) && ms == recorded_at_us / 1000 &&
           seq_low == (seq & 0xfff);
}

trail_status trail__uuid_random(uint8_t id_out[TRAIL_ID_LEN], trail_error *err)
{
    trail_status status = trail__random(id_out, TRAIL_ID_LEN, err);

    if (status == TRAIL_OK) {
        set_version(id_out, 4);
    }
    return status;
}

void trail_id_format(const uint8_t id[TRAIL_ID_LEN], char text_out[37])
{
    uuid_unparse_lower(id, text_out);
}

trail_status trail_id_parse(trail_text text, uint8_t id_out[TRAIL_ID_LEN],
                            trail_error *err)
{
    char copy[TRAIL_ID_TEXT_LEN + 1] = "";
    uuid_t id;

    if (text.data != NULL && text.len == TRAIL_ID_TEXT_LEN) {
        memcpy(copy, text.data, TRAIL_ID_TEXT_LEN);
    }
    if (uuid_parse(copy, id) != 0) {
        return trail__error(
            err, TRAIL_INVALID, "'%.*s' is not a UUID (8-4-4-4-12 hex digits)",
            text.len > 64 ? 64 : (int)text.len, text.data ? text.data : "");
    }
    memcpy(id_out, id, TRAIL_ID_LEN);
    return TRAIL_OK;
}

trail_status trail_id_from_name(const uint8_t space[TRAIL_ID_LEN], trail_text name,
                                uint8_t id_out[TRAIL_ID_LEN], trail_error *err)
{
    uint8_t hash[20];

    if (!trail__sha1(space, TRAIL_ID_LEN, name.data, name.len, hash)) {
        return trail__hash_failed(err);
    }
    memcpy(id_out, hash, TRAIL_ID_LEN);
    set_version(id_out, 5);
    return TRAIL_OK;
}
