"""liblca for Python, by ctypes: the functions of lca_client(3) as methods of one object.

    import lca
    client = lca.open()                     # None: this process was not started by lca
    client.set_status(lca.STARTED, "serving")
    while True:
        client.wait(1.0)
        for event in client.events():
            if event.type == lca.EVENT_ROLE:
                client.answer(event.id, lca.ACCEPT)
        if client.is_primary():
            ...

One thread at a time; is_primary(), epoch(), heartbeat() and set_mark() from any. Errors of the library are OSError."""
import ctypes
import os
import select
from collections import namedtuple

UNKNOWN, STOPPED, STOP_TRANSITION, STOP_PENDING, START_TRANSITION, START_PENDING, STARTED, INITIALIZING, SERVICE_UNAVAILABLE, SUSPENDING, SUSPENDED = range(11)
ROLE_NONE, ROLE_BACKUP, ROLE_PRIMARY, ROLE_EXITING = range(4)
EVENT_REGISTERED, EVENT_REFUSED, EVENT_DISCONNECTED, EVENT_ROLE, EVENT_SUSPEND, EVENT_CONTROL, EVENT_COMMAND = range(1, 8)
ACCEPT, DECLINE, LATER = range(1, 4)

Event = namedtuple("Event", "type role epoch id wait_ms controlled reason words")


class _Epoch(ctypes.Structure):
    _fields_ = [("term", ctypes.c_uint64), ("n", ctypes.c_uint64)]


class _Event(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("role", ctypes.c_int), ("epoch", _Epoch), ("id", ctypes.c_uint64), ("wait_ms", ctypes.c_uint32),
                ("controlled", ctypes.c_uint32), ("reason", ctypes.c_char_p), ("n_words", ctypes.c_uint32), ("words", ctypes.POINTER(ctypes.c_char_p)),
                ("reserved", ctypes.c_uint64 * 4)]


def _load():
    library = ctypes.CDLL(os.environ.get("LIBLCA", "liblca.so.0"))
    handle, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64
    for name, result, arguments in (
            ("open", ctypes.c_int, [ctypes.POINTER(handle)]), ("close", None, [handle]), ("fd", ctypes.c_int, [handle]),
            ("timeout", ctypes.c_int, [handle]), ("process", ctypes.c_int, [handle]), ("next", ctypes.c_int, [handle, ctypes.POINTER(_Event)]),
            ("set_status", ctypes.c_int, [handle, ctypes.c_int, text]), ("answer", ctypes.c_int, [handle, number, ctypes.c_int, text]),
            ("reply", ctypes.c_int, [handle, number, ctypes.c_uint32, text]), ("role", ctypes.c_int, [handle]),
            ("is_primary", ctypes.c_bool, [handle, ctypes.POINTER(_Epoch)]), ("epoch", _Epoch, [handle]),
            ("heartbeat", None, [handle, ctypes.c_uint]), ("set_mark", None, [handle, number, number]), ("is_connected", ctypes.c_bool, [handle])):
        function = getattr(library, "lca_" + name)
        function.restype, function.argtypes = result, arguments
    return library


def _checked(result):
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


class Client:
    def __init__(self, library, handle):
        self._library, self._handle = library, handle

    def close(self):
        self._library.lca_close(self._handle)

    def fileno(self):
        """For select, selectors and asyncio: always to be watched for reading."""
        return _checked(self._library.lca_fd(self._handle))

    def timeout(self):
        """Seconds until process() is due; None: not."""
        ms = self._library.lca_timeout(self._handle)
        return None if ms < 0 else ms / 1000

    def wait(self, seconds=None):
        """Sleeps until there is something to process, or so long."""
        due = [t for t in (seconds, self.timeout()) if t is not None]
        select.select([self], [], [], min(due) if due else None)

    def events(self):
        """Processes what is due and gives the events that have come."""
        _checked(self._library.lca_process(self._handle))
        event, taken = _Event(), []
        while _checked(self._library.lca_next(self._handle, event)) == 1:
            words = [event.words[i].decode() for i in range(event.n_words)]
            taken.append(Event(event.type, event.role, (event.epoch.term, event.epoch.n), event.id, event.wait_ms, bool(event.controlled),
                               event.reason.decode(errors="replace"), words))
        return taken

    def set_status(self, status, text=""):
        _checked(self._library.lca_set_status(self._handle, status, text.encode()))

    def answer(self, id, answer, text=""):
        _checked(self._library.lca_answer(self._handle, id, answer, text.encode()))

    def reply(self, id, code=0, text=""):
        _checked(self._library.lca_reply(self._handle, id, code, text.encode()))

    def role(self):
        return self._library.lca_role(self._handle)

    def is_primary(self):
        """The epoch (term, n) while this application may act as primary, else None."""
        epoch = _Epoch()
        return (epoch.term, epoch.n) if self._library.lca_is_primary(self._handle, epoch) else None

    def epoch(self):
        epoch = self._library.lca_epoch(self._handle)
        return (epoch.term, epoch.n)

    def heartbeat(self, thread_class=0):
        self._library.lca_heartbeat(self._handle, thread_class)

    def set_mark(self, position, acknowledged):
        self._library.lca_set_mark(self._handle, position, acknowledged)

    def is_connected(self):
        return self._library.lca_is_connected(self._handle)


def open():
    library, handle = _load(), ctypes.c_void_p()
    return Client(library, handle) if _checked(library.lca_open(handle)) == 0 else None
