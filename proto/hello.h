/* Hello, refusal and bye: packing them, and judging what the other side said. No state; proto/session.c has that.
 *
 * The payload of each is at most HELLO_MAX bytes. */
#pragma once

#include "proto/session.h"

#define HELLO_MAX 4096

/* What an accepted hello says. */
struct hello {
    struct identity peer;
    char software[NAME_SIZE];
    uint32_t version; /* highest common one */
    uint64_t features;
    span_t addp_timeout; /* which the caller asks this side to use */
    bool addp_trace;
};

struct refusal {
    int reason; /* link.proto Refused.Reason */
    char text[SESSION_REASON];
    uint32_t version_min, version_max;           /* of this side */
    uint32_t peer_version_min, peer_version_max; /* 0: not heard */
};

/* Each packs into `out` of HELLO_MAX bytes and returns the length. */
size_t hello_pack(const struct session_config *config, uint8_t out[HELLO_MAX]);
size_t refused_pack(const struct refusal *refusal, uint8_t out[HELLO_MAX]);
size_t bye_pack(const char *reason, uint8_t out[HELLO_MAX]);

/* Judges the other side's hello. `certified` is NULL without TLS. True: accepted, `ret_hello` is set; false: `ret_refusal` is what to answer. */
bool hello_judge(const struct session_config *config, const struct identity *certified, const uint8_t *payload, size_t n,
                 struct hello *ret_hello, struct refusal *ret_refusal);

/* A refusal by this side that has nothing to do with what was heard. */
void refusal_init(struct refusal *r, const struct session_config *config, int reason, const char *text);

/* Prints a received refusal, or a received bye's reason, for people. -EPROTO when the bytes are no such message. */
int refused_explain(const struct session_config *config, const uint8_t *payload, size_t n, struct strbuf *out);
int bye_explain(const uint8_t *payload, size_t n, struct strbuf *out);
