/* append.c - a C program that records what it does.
 * SPDX-License-Identifier: MIT
 *
 *     cc examples/append.c -Isrc -Lbuild -ltrail -Wl,-rpath,build -o build/append
 *     build/append audit.trail
 */
#include <trail.h>

#include <stdio.h>

static int fail(const char *doing, const trail_error *err)
{
    fprintf(stderr, "append: %s: %s (%s)\n", doing, err->text,
            trail_status_name(err->status));
    return 1;
}

int main(int argc, char **argv)
{
    trail *t = NULL;
    trail_event event;
    trail_receipt receipt;
    trail_error err;

    if (argc != 2) {
        fprintf(stderr, "usage: append TRAIL\n");
        return 2;
    }
    if (trail_open(&t, argv[1], NULL, &err) != TRAIL_OK) {
        return fail("open", &err);
    }

    trail_event_init(&event);
    event.event_type = trail_str("auth_attempt");
    event.user_id = trail_str("alice@example.com");
    event.action = trail_str("login");
    event.resource_type = trail_str("user");
    event.resource_id = trail_str("alice@example.com");
    event.result = trail_str("failure");
    event.result_error = trail_str("wrong password");
    event.details = trail_str("{\"attempt\":3}");
    event.ip_address = trail_str("192.0.2.7");
    if (trail_append(t, &event, &receipt, &err) != TRAIL_OK) {
        trail_close(t);
        return fail("append", &err);
    }
    printf("stored as seq %llu, durable\n", (unsigned long long)receipt.seq);

    /* What breaks a rule is refused, with the reason, and nothing is stored. */
    event.ip_address = trail_str("192.0.2.700");
    if (trail_append(t, &event, NULL, &err) == TRAIL_INVALID) {
        printf("refused: %s\n", err.text);
    }
    trail_close(t);
    return 0;
}
