/* In place of etcd.c where scs is built without libcurl or jansson (see register.h).
 *
 * It owns one sentence: that arbiter = etcd cannot be had from this program. No register is ever made, so that nothing else here is ever called with one. */
#include "scs/shell/register.h"

#include <errno.h>

int register_open(struct loop *loop, const struct scs_options *options, span_t patience, struct strbuf *why, struct etcd_register **ret_register)
{
    strbuf_add(why, "arbiter = etcd: this scs was built without libcurl and jansson");
    return -ENOTSUP;
}

void register_close(struct etcd_register *r)
{
}

void register_set_patience(struct etcd_register *r, span_t patience)
{
}

void register_read(struct etcd_register *r, mono_t now)
{
}

void register_swap(struct etcd_register *r, int64_t revision, const struct authority_register *value, mono_t now)
{
}

mono_t register_turn(struct etcd_register *r, mono_t now)
{
    return MONO_NEVER;
}

bool register_next(struct etcd_register *r, struct scs_event *ret_event)
{
    return false;
}

const char *register_trouble(const struct etcd_register *r)
{
    return "";
}

const char *register_endpoint(const struct etcd_register *r)
{
    return "";
}
