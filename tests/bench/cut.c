/* Cuts a bridge's port off and heals it, and says to the microsecond when.
 *
 *   bench_cut    in the bridge's namespace; commands on standard input, one per line: "cut DEVICE", "heal DEVICE"
 *
 * Answers one line: CLOCK_BOOTTIME in ns before and after the one system call that did it. A cut is the port's state
 * "disabled": one store in the bridge, from which on it forwards nothing from the port and nothing to it, while the
 * link stays up on both ends: nobody on the host can see it but by silence. A rule of nft or a link set down waits for
 * the kernel's grace periods, and the instant of the cut would be unknown by milliseconds. */
#include <inttypes.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct request {
    struct nlmsghdr h;
    struct ifinfomsg i;
    struct rtattr nest, state;
    uint8_t value, pad[3];
};

static int64_t boot_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* 0, or the kernel's negative errno. */
static int answer(int fd)
{
    struct {
        struct nlmsghdr h;
        struct nlmsgerr e;
        char rest[512];
    } in;
    ssize_t n = recv(fd, &in, sizeof in, 0);
    if (n < (ssize_t)(sizeof in.h + sizeof in.e.error) || in.h.nlmsg_type != NLMSG_ERROR)
        return -1;
    return in.e.error;
}

static void port_set(int fd, const char *device, int state)
{
    struct request r = {
        .h = {.nlmsg_len = sizeof r, .nlmsg_type = RTM_SETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .i = {.ifi_family = AF_BRIDGE, .ifi_index = (int)if_nametoindex(device)},
        .nest = {.rta_len = sizeof r.nest + sizeof r.state + sizeof r.value + sizeof r.pad,
                 .rta_type = IFLA_PROTINFO | NLA_F_NESTED},
        .state = {.rta_len = sizeof r.state + sizeof r.value, .rta_type = IFLA_BRPORT_STATE},
        .value = (uint8_t)state,
    };
    int64_t before = boot_ns();
    ssize_t n = send(fd, &r, sizeof r, 0); /* the kernel does it within this call */
    int64_t after = boot_ns();
    int error = n == (ssize_t)sizeof r ? answer(fd) : -1;
    if (error)
        printf("error %s: %s\n", device, strerror(-error));
    else
        printf("%" PRId64 " %" PRId64 "\n", before, after);
    fflush(stdout);
}

int main(void)
{
    char line[64], verb[16], device[IFNAMSIZ];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) {
        perror("netlink");
        return 1;
    }
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%15s %15s", verb, device) != 2) {
            puts("error: cut DEVICE or heal DEVICE");
            fflush(stdout);
            continue;
        }
        port_set(fd, device, strcmp(verb, "cut") == 0 ? BR_STATE_DISABLED : BR_STATE_FORWARDING);
    }
    return 0;
}
