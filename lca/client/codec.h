/* Messages of proto/app.proto as the library reads and writes them: by hand, because a protobuf runtime is not to be
 * had as a static library that fits into a shared one. Pure: bytes in, values out. tests/unit/lca/client holds both
 * sides to the schema. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MAX 8192 /* one Message */
#define PACKET_TEXT 128 /* reason and status text, with the NUL */
#define PACKET_WORDS 32

/* Body numbers of Message. */
enum packet_body {
    PACKET_REGISTER = 1,
    PACKET_STATUS,
    PACKET_BEAT,
    PACKET_ANSWER,
    PACKET_MARK,
    PACKET_REPLY,
    PACKET_REGISTERED = 16,
    PACKET_REFUSED,
    PACKET_ROLE,
    PACKET_SUSPEND,
    PACKET_CONTROL,
    PACKET_COMMAND,
};

/* What the agent says; fields that a body has not are 0. */
struct packet_in {
    enum packet_body body;
    uint64_t id; /* of the order or the command */
    uint32_t role;
    uint64_t term, n;
    uint32_t wait_ms, beat_ms, mark_ms;
    bool controlled;
    char reason[PACKET_TEXT]; /* cut where it is longer */
    unsigned n_words;
    uint16_t words[PACKET_WORDS]; /* where each begins in `text` */
    uint16_t used;
    char text[PACKET_MAX + PACKET_WORDS];
};

/* 0; 1: a body of a later version, nothing is to be done; -EPROTO. */
int packet_read(const uint8_t *bytes, size_t n, struct packet_in *ret_packet);

/* What the application says. */
struct packet_out {
    enum packet_body body;
    const char *application; /* register */
    uint64_t start_id;
    uint32_t version, role, status;
    uint64_t term, n;
    uint64_t position, acknowledged; /* register, mark */
    uint64_t classes;                /* beat */
    uint64_t id;                     /* answer, reply */
    uint32_t code;                   /* outcome of an answer, code of a reply */
    const char *text;                /* NULL: none */
};

/* The length, or -EMSGSIZE. */
int packet_write(const struct packet_out *packet, uint8_t *out, size_t size);
