"""Long-running processes of one machine: started in a session of their own, and ended with all they started."""

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
START_S = 180  # a service that is not ready by then has failed
END_S = 20  # time to finish before it is killed


@dataclass
class Service:
    name: str
    process: psutil.Popen
    log: Path


def launch(name: str, command: list[str], environment: Mapping[str, str], cwd: Path, logs: Path) -> Service:
    """Starts a service; a session of its own keeps the terminal's Ctrl-C away from it."""
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
    """Returns when `ready`; raises InputError when a service ends meanwhile or it takes too long."""
    deadline = time.monotonic() + START_S
    while not ready():
        watch(services)
        if time.monotonic() > deadline:
            raise InputError(f"not ready after {START_S} s", where=services[-1].log.parent, hint="read the logs there")
        time.sleep(0.3)


def watch(services: list[Service]) -> None:
    """Raises InputError, with the end of its log, when a service has ended."""
    for service in services:
        if service.process.poll() is not None:
            tail = "\n".join(service.log.read_text(errors="replace").splitlines()[-15:])
            raise InputError(f"{service.name} ended\n{tail}\n", where=service.log, hint="mend what its log says")


def end(services: list[Service]) -> None:
    """Ends services in the order given, each with every process it started, in whichever session that runs.

    What a service runs on behalf of somebody (processes of another session) is asked to end after the service itself
    was, so that it starts nothing new and still notes how its last work ended.
    """
    for service in services:
        family = set(_children(service.process))
        _ask([service.process])
        deadline = time.monotonic() + END_S
        while service.process.poll() is None and time.monotonic() < deadline:
            family |= set(_children(service.process))
            _ask(process for process in family if _session(process) not in (service.process.pid, None))
            time.sleep(0.2)
        _kill([service.process, *family])


def end_leftovers(marks: list[tuple[int, float]]) -> None:
    """Ends what a killed predecessor left: processes known by id and start time, with all they started."""
    for pid, started in marks:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.create_time() == started:
                family = [process, *_children(process)]
                _ask(family)
                _kill(psutil.wait_procs(family, timeout=END_S)[1])


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return list(process.children(recursive=True))
    return []


def _ask(processes: Iterable[psutil.Process]) -> None:
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
    """The first port from `preferred` on that nobody listens on."""
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
    """Lets a kill or a closed terminal unwind the program as Ctrl-C does, so that nothing stays behind."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
