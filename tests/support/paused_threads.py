"""Stops single threads of a daemon, as a disk that hangs would: the rest of it runs on."""

import ctypes
import os
import pathlib

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WAIT_ALL = 0x40000000  # __WALL: threads too

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, thread: int) -> None:
    if _libc.ptrace(request, thread, None, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace({request:#x}, {thread}): {os.strerror(number)}")


class PausedThreads:
    """`with PausedThreads(pid, "cache-reader"):` all threads of that name stand still. One thread of the test's own."""

    def __init__(self, pid: int, name: str) -> None:
        self.threads = [int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                        if (task / "comm").read_text().strip() == name]

    def __enter__(self) -> "PausedThreads":
        for thread in self.threads:
            _ptrace(PTRACE_SEIZE, thread)
            _ptrace(PTRACE_INTERRUPT, thread)
            os.waitpid(thread, WAIT_ALL)
        return self

    def __exit__(self, *_ignored) -> None:
        for thread in self.threads:
            _ptrace(PTRACE_DETACH, thread)
