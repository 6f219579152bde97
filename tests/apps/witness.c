/* An application that bears witness: while it believes that it is primary it writes (time, epoch, acting) 1,000 times a second into a ring in a shared file.
 *
 *   witness run DIR     the application LCA_APPLICATION, as player.h has it; writes DIR/NAME.ring as well
 *   witness role DIR    its role command: the running witness is told, and has confirmed, before the command ends
 *   witness word FILE MS TERM N    writes a lease word that ends in so many ms, as a keeper would: for tests of the witness itself
 *
 * Where LCA_LEASE_WORD names a file, primary is who was told so *and* finds its lease held in the word: the sample then has the word's epoch. A sample that the
 * word forbids is written too, as one of not acting. The mode word `unlinked` makes it an application that knows nothing of lease words.
 *
 * It owns one thread that samples. What a sample says was true at its time: belief, clock and lease word are read under one lock, and whoever changes the
 * belief holds that lock. So no sample of a role is later than the answer to the command that ended the role, and none is earlier than the command that began
 * it, however the two threads are scheduled or stopped in between. It trusts its caller. Times are CLOCK_BOOTTIME in ns. */
#include "common/base/lease_word.h"
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
/* What the lease word is read with; no page: there is none. */
static const void *word_page;
static uint8_t boot_id[16];
static uint64_t time_namespace;

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
    struct lease_word word = {.term = epoch_term, .n = epoch_n};
    int64_t now = player_boot_ns();
    bool held = !word_page || lease_word_read(word_page, boot_id, time_namespace, (mono_t){now}, &word) == LEASE_HELD;
    atomic_store(&s->t, 0);
    s->term = word.term;
    s->n = word.n;
    s->pid = (uint32_t)getpid();
    s->acting = held;
    atomic_store(&s->t, (uint64_t)now);
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

/* The reader's own boot and time namespace. */
static void where_am_i(void)
{
    struct stat st;
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    for (unsigned i = 0; f && i < sizeof boot_id; i++) {
        unsigned byte = 0;
        if (fscanf(f, i == 4 || i == 6 || i == 8 || i == 10 ? "-%2x" : "%2x", &byte) != 1)
            exit(1);
        boot_id[i] = (uint8_t)byte;
    }
    if (!f || stat("/proc/self/ns/time", &st) < 0)
        exit(1);
    fclose(f);
    time_namespace = st.st_ino;
}

static void *word_map(const char *path, int flags, int protection)
{
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0 || ((flags & O_CREAT) && ftruncate(fd, LEASE_WORD_SIZE) < 0)) {
        perror(path);
        exit(1);
    }
    void *page = mmap(NULL, LEASE_WORD_SIZE, protection, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED) {
        perror(path);
        exit(1);
    }
    return page;
}

static int word_write(const char *path, int64_t ms, uint64_t term, uint64_t n)
{
    where_am_i();
    struct lease_word word = {.end_ns = player_boot_ns() + ms * 1000000, .term = term, .n = n, .time_namespace = time_namespace};
    memcpy(word.boot_id, boot_id, sizeof boot_id);
    lease_word_write(word_map(path, O_RDWR | O_CREAT, PROT_READ | PROT_WRITE), &word);
    return 0;
}

static int run(struct player *p)
{
    const char *word = getenv("LCA_LEASE_WORD");
    if (word && *word && !player_mode(p, "unlinked")) {
        where_am_i();
        word_page = word_map(word, O_RDONLY, PROT_READ);
    }
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
    if (argc == 6 && strcmp(argv[1], "word") == 0)
        return word_write(argv[2], strtoll(argv[3], NULL, 10), strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
    if (argc != 3 || !player_init(&p, argv[2])) {
        fprintf(stderr, "usage: LCA_APPLICATION=NAME %s run|role DIR\n", argv[0]);
        return 2;
    }
    return strcmp(argv[1], "role") == 0 ? player_role(&p, true) : run(&p);
}
