/* An application that bears witness: while it believes that it is primary it writes (time, epoch, acting) 1,000 times a second into a ring in a shared file.
 *
 *   witness run DIR     the application LCA_APPLICATION, as player.h has it; writes DIR/NAME.ring as well
 *   witness role DIR    its role command: the running witness is told, and has confirmed, before the command ends
 *
 * It owns one thread that samples. What a sample says was true at its time: belief, clock and lease word are read under one lock, and whoever changes the
 * belief holds that lock. So no sample of a role is later than the answer to the command that ended the role, and none is earlier than the command that began
 * it, however the two threads are scheduled or stopped in between. It trusts its caller. Times are CLOCK_BOOTTIME in ns. */
#include "player.h"
#include "ring.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS INT64_C(1000000)

static struct ring *ring;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t promoted = PTHREAD_COND_INITIALIZER;
/* What it believes; under the lock. */
static bool primary;
static uint64_t epoch_term, epoch_n;

static void told(bool now_primary, uint64_t term, uint64_t n)
{
    pthread_mutex_lock(&lock);
    primary = now_primary;
    epoch_term = term;
    epoch_n = n;
    pthread_cond_signal(&promoted);
    pthread_mutex_unlock(&lock);
}

static void ending(void)
{
    told(false, 0, 0);
}

static void sample(void)
{
    uint64_t i = atomic_fetch_add(&ring->next, 1) % ring->slots;
    struct ring_sample *s = &ring->sample[i];
    atomic_store(&s->t, 0);
    s->term = epoch_term;
    s->n = epoch_n;
    s->pid = (uint32_t)getpid();
    s->acting = 1;
    atomic_store(&s->t, (uint64_t)player_boot_ns());
}

static void *sampler(void *unused)
{
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (!primary)
            pthread_cond_wait(&promoted, &lock);
        sample();
        pthread_mutex_unlock(&lock);
        const struct timespec pause = {.tv_nsec = PERIOD_NS};
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* The ring's file, made when it is not there. */
static struct ring *ring_open(const struct player *p)
{
    char path[300];
    size_t size = sizeof(struct ring) + RING_SLOTS * sizeof(struct ring_sample);
    player_path(p, path, sizeof path, "ring");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        perror(path);
        exit(1);
    }
    struct ring *r = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (r == MAP_FAILED) {
        perror(path);
        exit(1);
    }
    r->slots = RING_SLOTS;
    r->period_ns = PERIOD_NS;
    r->magic = RING_MAGIC;
    return r;
}

static int run(struct player *p)
{
    pthread_t thread;
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL); /* it has to wake the thread that waits for it */
    p->told = told;
    p->ending = ending;
    ring = ring_open(p);
    int error = pthread_create(&thread, NULL, sampler, NULL);
    if (error) {
        fprintf(stderr, "%s: no thread: %s\n", p->name, strerror(error));
        return 1;
    }
    return player_run(p);
}

int main(int argc, char **argv)
{
    struct player p;
    if (argc != 3 || !player_init(&p, argv[2])) {
        fprintf(stderr, "usage: LCA_APPLICATION=NAME %s run|role DIR\n", argv[0]);
        return 2;
    }
    return strcmp(argv[1], "role") == 0 ? player_role(&p, true) : run(&p);
}
