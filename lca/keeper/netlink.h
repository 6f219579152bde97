/* The few things that are asked of the kernel's network in its own words: elements of nftables sets that run out, an
 * address on an interface, and its announcement. Blocking; for the network fence's thread. */
#pragma once

#include "common/base/time.h"

#include <stdint.h>

/* A batch of changes to elements: all happen, or none. */
struct nft_batch {
    const char *table;
    uint32_t used, last; /* last: where the newest message begins */
    uint8_t bytes[2048];
};

enum nft_change { NFT_ADD, NFT_REMOVE };

void nft_batch_begin(struct nft_batch *b, const char *table);
/* `family` is NFPROTO_INET or NFPROTO_ARP. A timeout of zero is none. An element that is there already is not changed
 * by NFT_ADD; one that is not there fails the batch with NFT_REMOVE. */
void nft_batch_element(struct nft_batch *b, uint8_t family, enum nft_change change, const char *set, const void *key,
                       uint16_t n, span_t timeout);
/* 0, or negative errno: -ENOENT where table or set is not there. */
int nft_batch_commit(int fd, struct nft_batch *b);

/* A socket of NETLINK_NETFILTER or NETLINK_ROUTE; negative errno. */
int netlink_open(int protocol);

/* `address` in network order. Both say 0 when it is as wanted already. */
int address_add(int fd, unsigned interface, uint32_t address, uint8_t prefix);
int address_remove(int fd, unsigned interface, uint32_t address, uint8_t prefix);
/* Gratuitous ARP: whoever had it elsewhere learns. 0 or negative errno. */
int address_announce(unsigned interface, uint32_t address);
