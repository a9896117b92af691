"""How the demo talks to Airflow when Airflow stumbles, over real HTTP."""

import json
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from conf.errors import InputError
from dags.local.airflow_api import AirflowApi


@pytest.fixture
def stumbling():
    """(api, statuses to answer with before all is well, requests seen)"""
    statuses: list[int] = []
    seen: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            seen.append((self.command, self.rfile.read(int(self.headers.get("Content-Length") or 0))))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()
            self.wfile.write(b'{"state": "success"}')

        do_GET = do_POST = do_PATCH = answer

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield AirflowApi(f"http://127.0.0.1:{server.server_port}", "token"), statuses, seen
    server.shutdown()
    server.server_close()


def test_a_question_is_asked_again_when_the_server_fails(stumbling):
    api, statuses, seen = stumbling
    statuses += [500, 503]
    assert api.state("daily", "run") == "success"
    assert [method for method, _ in seen] == ["GET"] * 3


def test_a_run_is_asked_for_again_under_the_same_id_and_so_started_once(stumbling):
    api, statuses, seen = stumbling
    statuses += [503, 500, 409]
    run_id = api.trigger("daily")
    assert [method for method, _ in seen] == ["POST"] * 3
    assert {json.loads(body)["dag_run_id"] for _, body in seen} == {run_id}


def test_two_runs_are_two(stumbling):
    api, _, _ = stumbling
    assert api.trigger("daily") != api.trigger("daily")


def test_a_backfill_is_asked_for_again_when_the_database_is_locked(stumbling):
    api, statuses, seen = stumbling
    statuses += [503, 409]
    api.backfill("daily", date(2026, 1, 7), date(2026, 1, 9))
    assert [method for method, _ in seen] == ["POST"] * 2


def test_a_refused_question_is_not_asked_again(stumbling):
    api, statuses, seen = stumbling
    statuses += [403]
    with pytest.raises(InputError, match=r"GET /api/v2/dags/daily/dagRuns/run: .*403"):
        api.state("daily", "run")
    assert [method for method, _ in seen] == ["GET"]


def test_an_accepted_status_is_no_answer(stumbling):
    api, statuses, _ = stumbling
    statuses += [404]
    assert api.call("PATCH", "/api/v2/dags/daily", {}, accept=404) is None


def test_nobody_there_is_refused_once_patience_ends(monkeypatch):
    monkeypatch.setattr("dags.local.airflow_api.PATIENCE_S", 0)
    with pytest.raises(InputError, match="Connection refused"):
        AirflowApi("http://127.0.0.1:9", "token").state("daily", "run")
