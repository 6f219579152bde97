/* SHA-256 of a file: how two programs tell that they read the same configuration.
 *
 * Owns nothing. Refuses directories and whatever else cannot be read to its end; the file's meaning is not its
 * business. */
#include "common/io/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

static int file_digest(int fd, EVP_MD_CTX *ctx)
{
    unsigned char block[4096];
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (!EVP_DigestUpdate(ctx, block, (size_t)n))
            return -ENOMEM;
    }
}

static void print_hex(const unsigned char *bytes, unsigned n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < n; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

int config_hash(const char *path, char ret_hex[65])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int r = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) ? file_digest(fd, ctx) : -ENOMEM;
    if (r == 0 && (!EVP_DigestFinal_ex(ctx, sum, &n) || n != 32))
        r = -ENOMEM;
    if (r == 0)
        print_hex(sum, n, ret_hex);
    EVP_MD_CTX_free(ctx);
    close(fd);
    return r;
}
