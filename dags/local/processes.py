"""Long-running processes on one machine, started in sessions of their own and ended with all their children."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from conf.errors import InputError

HOST = "127.0.0.1"
START_S = 180  # seconds after which a service that is not ready has failed
END_S = 20  # seconds that a process has to end before it is killed


@dataclass
class Service:
    name: str
    process: psutil.Popen
    log: Path


def launch(name: str, command: list[str], environment: Mapping[str, str], cwd: Path, logs: Path) -> Service:
    """Starts a service, in a session of its own so that the terminal's Ctrl-C does not reach it."""
    log = logs / f"{name}.log"
    with log.open("wb") as out:
        process = psutil.Popen(
            command,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Service(name, process, log)


def wait_until(ready: Callable[[], bool], services: list[Service]) -> None:
    """Returns once `ready`; raises InputError when a service ends before that, or after START_S seconds."""
    deadline = time.monotonic() + START_S
    while not ready():
        watch(services)
        if time.monotonic() > deadline:
            raise InputError(f"not ready after {START_S} s", where=services[-1].log.parent, hint="see the logs there")
        time.sleep(0.3)


def watch(services: list[Service]) -> None:
    """Raises InputError, with the last line of its log, when a service has ended."""
    for service in services:
        if service.process.poll() is not None:
            raise InputError(f"{service.name} ended: {last_line(service.log)}", where=service.log, hint="see this log")


def last_line(log: Path) -> str:
    """The last line of a log that is not empty."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def end(services: list[Service]) -> None:
    """Ends services in the given order, each with all processes it started, whatever their session.

    The service is asked to end first, then the processes that it runs in other sessions: so it starts nothing new and
    still records how its last tasks ended.
    """
    for service in services:
        children = set(_children(service.process))
        _terminate([service.process])
        deadline = time.monotonic() + END_S
        while service.process.poll() is None and time.monotonic() < deadline:
            children |= set(_children(service.process))
            _terminate(child for child in children if _session(child) not in (service.process.pid, None))
            time.sleep(0.2)
        _kill([service.process, *children])


def end_leftovers(leftovers: list[tuple[int, float]]) -> None:
    """Ends processes that a killed predecessor left, with all they started. leftovers: process id and start time."""
    for pid, started in leftovers:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.create_time() == started:
                processes = [process, *_children(process)]
                _terminate(processes)
                _kill(psutil.wait_procs(processes, timeout=END_S)[1])


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return list(process.children(recursive=True))
    return []


def _terminate(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()


def _kill(processes: Iterable[psutil.Process]) -> None:
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=END_S)


def _session(process: psutil.Process) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(process.pid)
    return None


def free_port(preferred: int) -> int:
    """The first free port, from `preferred` upwards."""
    for port in range(preferred, preferred + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise InputError(f"ports {preferred} to {preferred + 99} are all busy", where=HOST, hint="free one of them")


@contextlib.contextmanager
def signals_as_exit() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP unwind the program as Ctrl-C does, so that nothing is left running."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
