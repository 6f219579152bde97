/* Netlink, as far as the network fence needs it.
 *
 * It owns the layout of its messages. It refuses to know what they are for (netfence.c) and to build rules: those are
 * text for nft(8), once. Invariants: a message is written within its buffer or not at all; every request is answered
 * within a second or counts as failed (-ETIMEDOUT). Addresses are in network order, timeouts in milliseconds, big
 * endian, as the kernel has them. */
#include "lca/keeper/netlink.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_MOST 1 /* seconds */
#define ANNOUNCEMENTS 3

int netlink_open(int protocol)
{
    const struct timeval patience = {.tv_sec = ANSWER_MOST};
    const struct sockaddr_nl self = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        bind(fd, (const struct sockaddr *)&self, sizeof self) == 0)
        return fd;
    int r = -errno;
    close(fd);
    return r;
}

/* The answer to request `sequence`; what was left from an earlier one is passed over. */
static int answer(int fd, uint32_t sequence)
{
    _Alignas(struct nlmsghdr) char bytes[4096];
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        int left = n > 0 ? (int)n : 0;
        for (const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)bytes; NLMSG_OK(h, (unsigned)left);
             h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_seq == sequence)
                return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
        }
    }
}

static uint32_t next_sequence(void)
{
    static uint32_t sequence;
    return ++sequence;
}

/* ---- elements of sets ---- */

static void *put(struct nft_batch *b, size_t n)
{
    assert(b->used + NLMSG_ALIGN(n) <= sizeof b->bytes);
    void *at = b->bytes + b->used;
    memset(at, 0, NLMSG_ALIGN(n));
    b->used += NLMSG_ALIGN((uint32_t)n);
    return at;
}

static void put_message(struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family, uint16_t res_id)
{
    b->last = b->used;
    struct nlmsghdr *h = put(b, sizeof *h);
    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | flags;
    struct nfgenmsg *g = put(b, sizeof *g);
    g->nfgen_family = family;
    g->res_id = htons(res_id);
}

static void end_message(struct nft_batch *b)
{
    struct nlmsghdr *h = (struct nlmsghdr *)(void *)(b->bytes + b->last);
    h->nlmsg_len = b->used - b->last;
}

static void put_attribute(struct nft_batch *b, uint16_t type, const void *data, size_t n)
{
    struct nlattr *a = put(b, NLA_HDRLEN + n);
    a->nla_type = type;
    a->nla_len = (uint16_t)(NLA_HDRLEN + n);
    memcpy((uint8_t *)a + NLA_HDRLEN, data, n);
}

static uint32_t nest_begin(struct nft_batch *b, uint16_t type)
{
    uint32_t at = b->used;
    struct nlattr *a = put(b, NLA_HDRLEN);
    a->nla_type = NLA_F_NESTED | type;
    return at;
}

static void nest_end(struct nft_batch *b, uint32_t at)
{
    struct nlattr *a = (struct nlattr *)(void *)(b->bytes + at);
    a->nla_len = (uint16_t)(b->used - at);
}

void nft_batch_begin(struct nft_batch *b, const char *table)
{
    b->table = table;
    b->used = 0;
    put_message(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    end_message(b);
}

void nft_batch_element(struct nft_batch *b, uint8_t family, enum nft_change change, const char *set, const void *key,
                       uint16_t n, span_t timeout)
{
    uint16_t type = change == NFT_ADD ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM;
    put_message(b, NFNL_SUBSYS_NFTABLES << 8 | type, change == NFT_ADD ? NLM_F_CREATE : 0, family, 0);
    put_attribute(b, NFTA_SET_ELEM_LIST_TABLE, b->table, strlen(b->table) + 1);
    put_attribute(b, NFTA_SET_ELEM_LIST_SET, set, strlen(set) + 1);
    uint32_t elements = nest_begin(b, NFTA_SET_ELEM_LIST_ELEMENTS), element = nest_begin(b, NFTA_LIST_ELEM);
    uint32_t at = nest_begin(b, NFTA_SET_ELEM_KEY);
    put_attribute(b, NFTA_DATA_VALUE, key, n);
    nest_end(b, at);
    if (timeout.ns > 0) {
        const uint64_t ms = htobe64((uint64_t)span_to_ms(timeout));
        put_attribute(b, NFTA_SET_ELEM_TIMEOUT, &ms, sizeof ms);
    }
    nest_end(b, element);
    nest_end(b, elements);
    end_message(b);
}

/* The newest change asks for the answer: the others are answered only where they fail, and with the same number. */
int nft_batch_commit(int fd, struct nft_batch *b)
{
    const uint32_t sequence = next_sequence();
    struct nlmsghdr *h = (struct nlmsghdr *)(void *)(b->bytes + b->last);
    h->nlmsg_flags |= NLM_F_ACK;
    put_message(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    end_message(b);
    for (uint32_t at = 0; at < b->used; at += NLMSG_ALIGN(h->nlmsg_len)) {
        h = (struct nlmsghdr *)(void *)(b->bytes + at);
        h->nlmsg_seq = sequence;
    }
    if (send(fd, b->bytes, b->used, 0) < 0)
        return -errno;
    return answer(fd, sequence);
}

/* ---- addresses ---- */

static int address_ask(int fd, uint16_t type, uint16_t flags, unsigned interface, uint32_t address, uint8_t prefix)
{
    struct {
        struct nlmsghdr h;
        struct ifaddrmsg m;
        struct rtattr local;
        uint32_t local_address;
        struct rtattr other;
        uint32_t other_address;
    } ask = {
        .h = {.nlmsg_len = sizeof ask, .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags},
        .m = {.ifa_family = AF_INET, .ifa_prefixlen = prefix, .ifa_index = interface},
        .local = {.rta_len = RTA_LENGTH(4), .rta_type = IFA_LOCAL},
        .local_address = address,
        .other = {.rta_len = RTA_LENGTH(4), .rta_type = IFA_ADDRESS},
        .other_address = address,
    };
    ask.h.nlmsg_seq = next_sequence();
    if (send(fd, &ask, sizeof ask, 0) < 0)
        return -errno;
    return answer(fd, ask.h.nlmsg_seq);
}

int address_add(int fd, unsigned interface, uint32_t address, uint8_t prefix)
{
    return address_ask(fd, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, interface, address, prefix);
}

int address_remove(int fd, unsigned interface, uint32_t address, uint8_t prefix)
{
    int r = address_ask(fd, RTM_DELADDR, 0, interface, address, prefix);
    return r == -EADDRNOTAVAIL ? 0 : r;
}

int address_announce(unsigned interface, uint32_t address)
{
    struct ifreq hardware;
    struct ether_arp arp = {.ea_hdr = {.ar_hrd = htons(ARPHRD_ETHER),
                                       .ar_pro = htons(ETH_P_IP),
                                       .ar_hln = ETH_ALEN,
                                       .ar_pln = 4,
                                       .ar_op = htons(ARPOP_REQUEST)}};
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ARP),
                             .sll_ifindex = (int)interface,
                             .sll_halen = ETH_ALEN,
                             .sll_addr = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    memset(&hardware, 0, sizeof hardware);
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;
    if (fd < 0)
        return -errno;
    if (!if_indextoname(interface, hardware.ifr_name) || ioctl(fd, SIOCGIFHWADDR, &hardware) < 0)
        r = -errno;
    memcpy(arp.arp_sha, hardware.ifr_hwaddr.sa_data, ETH_ALEN);
    memcpy(arp.arp_spa, &address, 4);
    memcpy(arp.arp_tpa, &address, 4);
    for (int i = 0; r == 0 && i < ANNOUNCEMENTS; i++)
        if (sendto(fd, &arp, sizeof arp, 0, (const struct sockaddr *)&to, sizeof to) < 0)
            r = -errno;
    close(fd);
    return r;
}
