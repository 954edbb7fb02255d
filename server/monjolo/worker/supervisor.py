"""Stands over one runner: starts it with limits and a clean environment, and leaves no process behind.

Started by the worker as `python -I -S supervisor.py FD`. FD is a socket to the worker; its end kills all.
Lines, worker to supervisor: first the order `{argv, environment, folder, limits}` as JSON, then `kill SECONDS`
(grace between SIGTERM and SIGKILL) and `count`. Back: `started PID`, `count N` (processes besides the runner)
and, when no descendant is left, `gone STATUS` (as `subprocess` has it: negative for a signal).
"""
# Without pathlib, which would add a third to the start-up of a process that exists once for each runner.
# ruff: noqa: PTH106, PTH108, PTH114, PTH118, PTH123

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from typing import Any

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
# What a step needs of root's capabilities is to read and write files and to change their owners. None of these:
# SYS_MODULE, SYS_RAWIO, SYS_PTRACE (other processes' memory and environment), SYS_ADMIN, SYS_BOOT, SYS_RESOURCE (the
# limits below), SYS_TIME, MKNOD, MAC_OVERRIDE, MAC_ADMIN, SYSLOG, PERFMON, BPF, CHECKPOINT_RESTORE.
CAPABILITIES_LOST = (16, 17, 19, 21, 22, 24, 25, 27, 32, 33, 34, 38, 39, 40)
GIVE_UP_SECONDS = 30.0  # one that the kernel will not let go (uninterruptible I/O) must not hold us for ever
LIMITS = {
    "memory_bytes": resource.RLIMIT_DATA,  # what is used: threads and V8 reserve far more addresses
    "cpu_seconds": resource.RLIMIT_CPU,
    "open_files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "file_bytes": resource.RLIMIT_FSIZE,
}
libc = ctypes.CDLL(None, use_errno=True)


def descendants(root: int) -> list[int]:
    """Every process below `root`. Orphans are among them, because `root` is the subreaper they fall to."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            children.setdefault(_parent(entry.name), []).append(int(entry.name))
    found, at = list(children.get(root, ())), 0
    while at < len(found):
        found.extend(children.get(found[at], ()))
        at += 1
    return found


def _parent(pid: str) -> int:
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return -1
    try:
        stat = os.read(descriptor, 1024)
    except OSError:
        return -1
    finally:
        os.close(descriptor)
    return int(stat[stat.rindex(b")") + 2 :].split(None, 2)[1])


def apply_limits(limits: dict[str, int | None]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, value in limits.items():
        if value is None:
            continue
        if name == "processes":
            value += _threads_of(os.getuid())  # the kernel counts all of the user's, not this tree's
        _, hard = resource.getrlimit(LIMITS[name])
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(LIMITS[name], (value, hard if name == "cpu_seconds" else value))


def _threads_of(uid: int) -> int:
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError), open(f"/proc/{entry.name}/status", "rb") as status:
                # Not by the owner of the folder, which is root for a process that closed itself to others.
                lines = dict(line.split(b":", 1) for line in status if line.startswith((b"Uid:", b"Threads:")))
                count += int(lines[b"Threads"]) if int(lines[b"Uid"].split()[0]) == uid else 0
    return count


def become_runner(order: dict[str, Any], parent: int) -> None:
    """In the child: never returns."""
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        apply_limits(order["limits"])
        for capability in CAPABILITIES_LOST:  # of a supervisor without root there are none to lose
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            score.write("500")  # when memory runs out, the step goes before the platform
        os.chdir(order["folder"])
        os.umask(0o077)
        os.closerange(3, 65536)
        os.execve(  # noqa: S606 no shell is wanted
            order["argv"][0], order["argv"], order["environment"]
        )
    except BaseException as error:
        os.write(2, f"the runner could not be started: {error}\n".encode())
    finally:
        os._exit(127)


def remove_tree(folder: str) -> None:
    for path, folders, files in os.walk(folder, topdown=False):
        for name in files:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(path, name))
        for name in folders:
            inner = os.path.join(path, name)
            with contextlib.suppress(OSError):
                os.unlink(inner) if os.path.islink(inner) else os.rmdir(inner)
    with contextlib.suppress(OSError):
        os.rmdir(folder)


class Supervisor:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.wake, wake_write = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.kill(0.0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self.buffer = b""
        self.runner = 0
        self.status: int | None = None
        self.strike_at: float | None = None  # when SIGKILL begins; None: nobody asked for an end

    def serve(self) -> None:
        order = self.read_order()
        if order is None:
            return
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.start(order)
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        poller.register(self.wake, select.POLLIN)
        while not self.finished():
            for descriptor, _ in poller.poll(self.timeout()):
                if descriptor == self.wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.wake, 4096)
                elif not self.listen():
                    poller.unregister(self.control)
        remove_tree(order["folder"])
        self.say(f"gone {self.status if self.status is not None else -9}")

    def read_order(self) -> dict[str, Any] | None:
        while b"\n" not in self.buffer:
            data = self.control.recv(65536)
            if not data:
                return None
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        order: dict[str, Any] = json.loads(line)
        return order

    def start(self, order: dict[str, Any]) -> None:
        me = os.getpid()
        self.runner = os.fork()
        if self.runner == 0:
            become_runner(order, me)
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # from here on: the child could not set its oom_score_adj else
        with contextlib.suppress(OSError):  # the child does it too; whoever comes first
            os.setpgid(self.runner, self.runner)
        nothing = os.open("/dev/null", os.O_RDWR)
        for descriptor in (0, 1, 2):  # so that the ends of the runner's pipes are its own alone
            os.dup2(nothing, descriptor)
        os.close(nothing)
        self.say(f"started {self.runner}")

    def listen(self) -> bool:
        """Handles what the worker says; False when the worker is gone."""
        try:
            data = self.control.recv(4096)
        except OSError:
            data = b""
        if not data:
            self.kill(0.0)
            return False
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            word, _, argument = line.partition(b" ")
            if word == b"kill":
                self.kill(float(argument))
            elif word == b"count":
                self.say(f"count {len([p for p in descendants(os.getpid()) if p != self.runner])}")
        return True

    def kill(self, grace: float) -> None:
        strike_at = time.monotonic() + grace
        if self.strike_at is None:
            with contextlib.suppress(OSError):
                os.killpg(self.runner, signal.SIGTERM)
        self.strike_at = strike_at if self.strike_at is None else min(self.strike_at, strike_at)

    def timeout(self) -> float | None:
        if self.strike_at is None:
            return None
        return max(10.0, (self.strike_at - time.monotonic()) * 1000)

    def finished(self) -> bool:
        """One look around: reap, strike if it is time, and say whether nothing is left."""
        self.reap()
        if self.status is not None and self.strike_at is None:
            self.strike_at = time.monotonic()  # the runner ended by itself: what it left has no reason to stay
        if self.strike_at is None:
            return False
        left = descendants(os.getpid())
        if left and time.monotonic() >= self.strike_at:
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self.reap()
            left = descendants(os.getpid())
        return not left or time.monotonic() > self.strike_at + GIVE_UP_SECONDS

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.runner:
                self.status = os.waitstatus_to_exitcode(status)

    def say(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self.control.sendall(line.encode() + b"\n")


if __name__ == "__main__":
    Supervisor(socket.socket(fileno=int(sys.argv[1]))).serve()
