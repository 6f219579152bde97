"""Is an application well? Hangs, what is kept of them, and whose fault it is not; notifications over restarts of the agent; probes of servers that say nothing, on the
real nginx, and sd_notify of the real HAProxy."""
import os
import signal
import time

import pytest

from world import alive, wait

PERIOD = 1.0


@pytest.fixture
def one(make_world):
    def make(**options):
        w = make_world(hosts=("a",))
        w.application("x", "a", **options)
        return w.start()
    return make


def numbers(w, app="x"):
    return [r["number"] for r in w.history("--application", app)]


def text_of(w, number, app="x"):
    return [r["text"] for r in w.history("--application", app) if r["number"] == number]


def test_stopped_application_is_looked_at_and_replaced(one):
    w = one(heartbeat_period="500ms")
    pid = w.pid("x")
    os.kill(pid, signal.SIGSTOP)
    wait(lambda: w.pid("x") not in (0, pid) and w.app("x")["status"] == "Started", what="it is replaced")
    wait(lambda: 5160 in numbers(w))
    seen = text_of(w, 30374)
    assert seen and f"pid {pid} thread {pid}" in seen[0] and "stopped" in seen[0], seen


def test_hangup_restart_off_only_tells(one):
    w = one(heartbeat_period="500ms", hangup_restart="no")
    pid = w.pid("x")
    w.tell("x", "watchdog off")
    wait(lambda: 5160 in numbers(w))
    assert w.pid("x") == pid
    w.tell("x", "watchdog on")
    wait(lambda: 5161 in numbers(w))


def test_deadlocked_class_of_threads(one):
    """Its other threads go on beating."""
    w = one(heartbeat_period="2s", heartbeat_period_thread_class_3="1s", hangup_restart="no")
    wait(lambda: any("thread class 3" in t for t in text_of(w, 5160)))
    w.tell("x", "notify X_HEARTBEAT_CLASS=3")
    wait(lambda: 5161 in numbers(w))


def test_trigger(one):
    w = one()
    pid = w.pid("x")
    w.tell("x", "notify WATCHDOG=trigger")
    wait(lambda: w.pid("x") not in (0, pid))
    wait(lambda: any("WATCHDOG=trigger" in t for t in text_of(w, 5160)))


def frozen(pids, seconds):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)  # this long they do not run: that is what is tried
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("who", ["agent", "keeper", "host"])
def test_own_lateness_is_not_the_applications(one, who):
    w = one(heartbeat_period=f"{PERIOD}s")
    pid, agent, keeper = w.pid("x"), w.agent_pid("a"), w.lca("a").pid
    frozen({"agent": [agent], "keeper": [keeper], "host": [keeper, agent, pid]}[who], 4 * PERIOD)
    w.tell("x", "notify STATUS=still here")
    wait(lambda: w.app("x")["status_text"] == "still here")
    assert w.pid("x") == pid and 5160 not in numbers(w)
    os.kill(pid, signal.SIGSTOP)  # and a hang is found all the same
    wait(lambda: w.pid("x") not in (0, pid))


def test_nothing_is_lost_while_the_agent_restarts(one):
    w = one()
    agent = w.agent_pid("a")
    os.kill(agent, signal.SIGSTOP)
    w.tell("x", "notify X_STATUS=ServiceUnavailable")
    w.tell("x", "notify STATUS=said to a frozen agent")
    w.kill_agent("a")
    wait(lambda: w.app("x")["status"] == "ServiceUnavailable" and w.app("x")["status_text"] == "said to a frozen agent")


def test_flood_is_bounded_and_said(one):
    w = one(heartbeat_period="1s")
    pid = w.pid("x")
    for i in range(400):
        w.tell("x", f"notify STATUS={i}")
    w.tell("x", "notify STATUS=last")
    assert w.pid("x") == pid and 5160 not in numbers(w)


@pytest.fixture
def nginx(make_world):
    def make(**options):
        w = make_world(hosts=("a",))
        w.conf = w.path("nginx.conf")
        nginx_conf(w, 200)
        w.lca_conf["a"]["lca"]["allow-commands"] = f"{w.bin}/* /usr/sbin/nginx /usr/bin/test"
        w.application("web", "a", command=f"/usr/sbin/nginx -c {w.conf}", readiness="probe", probe="http http://127.0.0.1:8099/health expect=200",
                      probe_interval="200ms", probe_timeout="1s", probe_fail=2, probe_pass=2, readiness_probe="tcp 127.0.0.1:8099", **options)
        return w.start()
    return make


def nginx_conf(w, status):
    w.conf.write_text(f"daemon off; pid {w.path('nginx.pid')}; error_log {w.path('nginx.log')}; events {{}}\n"
                      f"http {{ access_log off; server {{ listen 127.0.0.1:8099; location /health {{ return {status} ok; }} }} }}\n")


def test_nginx_by_probe(nginx):
    w = nginx()
    pid = w.pid("web")
    assert w.app("web")["status"] == "Started"
    nginx_conf(w, 503)
    os.kill(pid, signal.SIGHUP)
    wait(lambda: w.app("web")["status"] == "ServiceUnavailable")
    assert "status 503" in w.app("web")["reason"]
    nginx_conf(w, 200)
    os.kill(pid, signal.SIGHUP)
    wait(lambda: w.app("web")["status"] == "Started")
    wait(lambda: {30376, 30377} <= set(numbers(w, "web")))
    assert w.pid("web") == pid


def test_probe_by_command(make_world):
    w = make_world(hosts=("a",))
    flag = w.path("serves")
    flag.write_text("")
    w.lca_conf["a"]["lca"]["allow-commands"] = f"{w.bin}/* /usr/bin/test"
    w.application("x", "a", probe=f"exec /usr/bin/test -e {flag}", probe_interval="200ms", probe_fail=1, probe_pass=1)
    w.start()
    flag.unlink()
    wait(lambda: w.app("x")["status"] == "ServiceUnavailable")
    flag.write_text("")
    wait(lambda: w.app("x")["status"] == "Started")


def test_haproxy_by_sd_notify(make_world):
    w = make_world(hosts=("a",))
    conf = w.path("haproxy.cfg")
    conf.write_text("global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nfrontend f\n  bind 127.0.0.1:8098\n")
    w.lca_conf["a"]["lca"]["allow-commands"] = "/usr/sbin/haproxy"
    w.application("lb", "a", command=f"/usr/sbin/haproxy -Ws -f {conf}", readiness="notify")
    w.start()
    pid = w.pid("lb")
    assert w.app("lb")["status"] == "Started" and alive(pid)
    os.kill(pid, signal.SIGUSR2)  # RELOADING=1, then READY=1
    wait(lambda: {30370, 30371} <= set(numbers(w, "lb")))
    assert w.pid("lb") == pid
    assert w.ctl("stop", "lb").code == 0


def test_probe_switches_a_pair_over(make_world):
    """DOMAIN case 4 for programs that say nothing."""
    w = make_world()
    w.pair()
    for host in ("a", "b"):
        w.lca_conf[host]["lca"]["allow-commands"] = f"{w.bin}/* /usr/bin/test"
    for app in ("p1", "p2"):
        w.path(f"{app}-serves").write_text("")
        w.scs_conf[f"application {app}"].update({"probe": f"exec /usr/bin/test -e {w.path(app + '-serves')}", "probe-interval": "200ms", "probe-fail": 2, "probe-pass": 1})
    w.start()
    w.wait_normal("p1")
    pids = w.pid("p1"), w.pid("p2")
    w.path("p1-serves").unlink()
    w.wait_primary("p2")
    wait(lambda: w.app("p1")["status"] == "ServiceUnavailable" and w.app("p1")["role"] == "Backup")
    w.path("p1-serves").write_text("")
    wait(lambda: w.app("p1")["status"] == "Started")
    assert (w.pid("p1"), w.pid("p2")) == pids and w.pair_state()["primary"] == "p2"
