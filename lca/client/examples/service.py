#!/usr/bin/python3
"""The same server in Python."""
import sys

import lca

client = lca.open()
if client is None:
    sys.exit("not started by lca")
client.set_status(lca.STARTED, "serving")
while True:
    client.wait(1.0)
    for event in client.events():
        if event.type == lca.EVENT_ROLE:
            print("Primary" if event.role == lca.ROLE_PRIMARY else "Backup", ", epoch ", *event.epoch, sep="", flush=True)
            client.answer(event.id, lca.ACCEPT)
        elif event.type == lca.EVENT_SUSPEND:
            client.set_status(lca.SUSPENDING, "finishing")
            client.set_status(lca.SUSPENDED)
        elif event.type == lca.EVENT_COMMAND:
            client.reply(event.id, 0, event.words[0])
        else:
            print("event", event.type, event.reason, flush=True)
    client.heartbeat()
