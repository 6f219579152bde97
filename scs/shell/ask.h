/* An operator's request, read from its bytes. */
#pragma once

#include "proto/admin.pb-c.h"
#include "proto/wire.h"

#define ASK_WORDS_MAX 32
#define ASK_REPLY_MAX 4000 /* bytes of an application's answer */

/* Copied: nothing in it is borrowed. */
struct ask {
    uint64_t id;
    int verb; /* Understudy__Admin__Request__Verb, unchecked: a table says which there are */
    char object[NAME_SIZE];
    bool force, no_wait;
    uint64_t since_s;
    uint32_t limit;
    bool graceful;
    struct words words; /* of a command; none: they do not fit or are no text */
};

/* 0; 1: the object is not a name, all else is set and the object empty; -EPROTO: the bytes are no Request, nothing is set. Unpacks in the arena, which the caller resets. */
int ask_read(const uint8_t *payload, size_t n, struct arena *a, struct ask *ret_ask);
