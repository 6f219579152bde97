/* Becoming an ordinary user, and dying with the keeper.
 *
 * It owns the order of the calls that give rights away. It refuses to know what the agent needs them for: files and
 * sockets that need root are open by then. Invariant: nothing here can be undone, and a step that fails ends the agent,
 * so that it never runs with more than it was meant to have. */
#include "lca/agent/agent.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int user_become(const char *user, struct strbuf *why)
{
    errno = 0;
    const struct passwd *p = getpwnam(user);
    if (!p) {
        strbuf_printf(why, "agent-user = %s: there is no such user", user);
        return errno ? -errno : -ENOENT;
    }
    if (p->pw_uid == 0) {
        strbuf_printf(why, "agent-user = %s is root: the half that speaks to the network may not be", user);
        return -EPERM;
    }
    if (setgroups(0, NULL) < 0 || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) < 0 ||
        setresuid(p->pw_uid, p->pw_uid, p->pw_uid) < 0) {
        strbuf_printf(why, "cannot become agent-user = %s: %s", user, strerror(errno));
        return -errno;
    }
    return 0;
}

void privileges_hide(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* fails for no other value than one that is not known */
}

int privileges_drop(const char *user, int parent, struct strbuf *why)
{
    int r = geteuid() == 0 ? user_become(user, why) : 0;
    if (r < 0)
        return r;
    privileges_hide(); /* again: a change of user sets it as the host's fs.suid_dumpable says */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) {
        strbuf_printf(why, "cannot give up privileges: %s", strerror(errno));
        return -errno;
    }
    if (getppid() != parent) { /* it died before its death would have been told */
        strbuf_add(why, "the keeper is gone");
        return -ESRCH;
    }
    return 0;
}
