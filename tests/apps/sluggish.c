/* A bridge between two network interfaces that delays, reorders, loses and duplicates packets, each direction by its own measure: what `tc netem` does where
 * the kernel has none.
 *
 *   sluggish IF0 IF1 SEED
 *
 * Lines on standard input set one direction and are answered "ok": FROM DELAY_US JITTER_US LOSS_PERCENT DUPLICATE_PERCENT, FROM being 0 or 1, the interface
 * on which packets come in. A packet waits DELAY_US and a random part of JITTER_US, each for itself, so that jitter reorders. At first nothing is changed.
 * It ends with its standard input.
 *
 * It owns the packets that wait, in one heap by due time, at most PACKETS_MAX; one more is lost. It knows nothing of what is in a packet: checksum and segment
 * offload travel in the kernel's own header (PACKET_VNET_HDR), so that a large segment counts as one packet. The same seed and the same packets give the same
 * losses. Times are CLOCK_MONOTONIC in ns. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PACKET_BYTES_MAX (sizeof(struct virtio_net_hdr) + 65600)
#define PACKETS_MAX 20000
#define BURST 64

struct packet {
    uint64_t due, order;
    int to;
    size_t size;
    uint8_t bytes[];
};

struct measure {
    uint64_t delay_us, jitter_us;
    double loss, duplicate; /* percent */
};

static struct packet *heap[PACKETS_MAX];
static size_t n_heap;
static struct measure measure[2];
static int side[2];
static uint64_t random_state, packets;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* splitmix64 */
static uint64_t draw(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool happens(double percent)
{
    return (double)(draw() % 1000000) < percent * 10000;
}

static bool sooner(const struct packet *a, const struct packet *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

static void swap(size_t i, size_t j)
{
    struct packet *p = heap[i];
    heap[i] = heap[j];
    heap[j] = p;
}

static void keep(struct packet *p)
{
    size_t i = n_heap++;
    heap[i] = p;
    for (; i > 0 && sooner(heap[i], heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(i, (i - 1) / 2);
}

static struct packet *take(void)
{
    struct packet *first = heap[0];
    heap[0] = heap[--n_heap];
    for (size_t i = 0, least;; i = least) {
        least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n_heap; child++)
            least = sooner(heap[child], heap[least]) ? child : least;
        if (least == i)
            return first;
        swap(i, least);
    }
}

static int open_side(const char *name)
{
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
    struct packet_mreq all = {.mr_ifindex = a.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
    int one = 1, size = 8 << 20;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) < 0 || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) < 0) {
        perror(name);
        exit(1);
    }
    return fd;
}

static void receive(int from)
{
    static uint8_t bytes[PACKET_BYTES_MAX];
    const struct measure *m = &measure[from];
    for (int i = 0; i < BURST; i++) {
        ssize_t size = recv(side[from], bytes, sizeof bytes, 0);
        if (size <= 0)
            return;
        int copies = happens(m->loss) ? 0 : happens(m->duplicate) ? 2 : 1;
        while (copies-- > 0 && n_heap < PACKETS_MAX) {
            struct packet *p = malloc(sizeof *p + (size_t)size);
            if (!p)
                return;
            uint64_t wait_us = m->delay_us + (m->jitter_us ? draw() % m->jitter_us : 0);
            *p = (struct packet){.due = now_ns() + wait_us * 1000, .order = packets++, .to = 1 - from, .size = (size_t)size};
            memcpy(p->bytes, bytes, (size_t)size);
            keep(p);
        }
    }
}

/* A packet that the other side cannot take just now is lost, as on a wire. */
static void send_due(void)
{
    uint64_t now = now_ns();
    while (n_heap > 0 && heap[0]->due <= now) {
        struct packet *p = take();
        if (send(side[p->to], p->bytes, p->size, 0) < 0 && errno == EINVAL)
            perror("sluggish: send");
        free(p);
    }
}

/* One line from standard input. False at its end. */
static bool obey(void)
{
    static char line[200];
    static size_t n;
    ssize_t got = read(STDIN_FILENO, line + n, sizeof line - 1 - n);
    if (got <= 0)
        return false;
    n += (size_t)got;
    line[n] = '\0';
    for (char *end; (end = strchr(line, '\n')); memmove(line, end + 1, strlen(end + 1) + 1)) {
        struct measure m;
        int from;
        *end = '\0';
        bool understood = sscanf(line, "%d %lu %lu %lf %lf", &from, &m.delay_us, &m.jitter_us, &m.loss, &m.duplicate) == 5 && (from == 0 || from == 1);
        if (understood)
            measure[from] = m;
        dprintf(STDOUT_FILENO, understood ? "ok\n" : "what?\n");
    }
    n = strlen(line);
    return n < sizeof line - 1;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s IF0 IF1 SEED\n", argv[0]);
        return 2;
    }
    random_state = strtoull(argv[3], NULL, 10);
    side[0] = open_side(argv[1]);
    side[1] = open_side(argv[2]);
    for (;;) {
        struct pollfd p[] = {{side[0], POLLIN, 0}, {side[1], POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        uint64_t now = now_ns(), due = n_heap ? heap[0]->due : 0, left = due > now ? due - now : 0;
        const struct timespec wait = {.tv_sec = (time_t)(left / 1000000000), .tv_nsec = (long)(left % 1000000000)};
        if (ppoll(p, 3, n_heap ? &wait : NULL, NULL) < 0 && errno != EINTR)
            return 1;
        if (p[2].revents && !obey())
            return 0;
        for (int from = 0; from < 2; from++)
            if (p[from].revents)
                receive(from);
        send_due();
    }
}
