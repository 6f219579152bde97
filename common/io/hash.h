/* Fingerprints of files, by OpenSSL. Part of the link library, because the keeper links no OpenSSL. */
#pragma once

/* SHA-256 of the file's bytes as 64 hex digits. Negative errno when it cannot be read. */
int config_hash(const char *path, char ret_hex[65]);
