/* What is said to etcd's JSON gateway and what it answers, as text; no connection. Private to scs/shell and its tests. */
#pragma once

#include "scs/core/core.h"

#include <stddef.h>

#define ETCD_KEY_MAX 256

/* PREFIX/SITE/authority. */
void etcd_key(const struct scs_options *options, char ret_key[ETCD_KEY_MAX]);

/* Bodies of POST requests, to be freed; NULL: no memory. */
char *etcd_range_body(const char *key);
char *etcd_txn_body(const char *key, int64_t revision, const struct authority_register *value);
char *etcd_login_body(const char *user, const char *password);

/* 0; -EPROTO: not such an answer, `why` says what is wrong with it. They fill the parts of the event. */
int etcd_range_read(const char *text, size_t n, struct scs_event *ret_event, struct strbuf *why);
int etcd_txn_read(const char *text, size_t n, struct scs_event *ret_event, struct strbuf *why);
int etcd_login_read(const char *text, size_t n, char *ret_token, size_t size, struct strbuf *why);
/* The sentence of an error answer; false: there is none. */
bool etcd_error_read(const char *text, size_t n, struct strbuf *out);
