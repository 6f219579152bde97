/* SHA-256 (FIPS 180-4) of bytes in memory, for what the pure floors have to name by a fingerprint. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t length; /* of what was added, in bytes */
    uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *bytes, size_t n);
/* Ends it: nothing is added any more. */
void sha256_end(struct sha256 *s, uint8_t ret_digest[32]);
/* 64 hex digits and a NUL. */
void sha256_hex(const uint8_t digest[32], char ret_hex[65]);
