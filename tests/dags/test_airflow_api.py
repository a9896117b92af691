"""How the demo talks to Airflow when Airflow stumbles, over real HTTP."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from conf.refusal import Refusal
from dags.local.airflow_api import AirflowApi


@pytest.fixture
def stumbling():
    """(api, statuses to answer with before all is well, requests seen)"""
    statuses: list[int] = []
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            seen.append(self.command)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
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
    assert seen == ["GET"] * 3


def test_what_must_not_happen_twice_is_not_tried_again(stumbling):
    api, statuses, seen = stumbling
    statuses += [500]
    with pytest.raises(Refusal, match="Airflow answered 500"):
        api.call("POST", "/api/v2/dags/daily/dagRuns", {})
    assert seen == ["POST"]


def test_a_refused_question_is_not_asked_again(stumbling):
    api, statuses, seen = stumbling
    statuses += [403]
    with pytest.raises(Refusal, match=r"GET /api/v2/dags/daily/dagRuns/run: .*403"):
        api.state("daily", "run")
    assert seen == ["GET"]


def test_an_accepted_status_is_no_answer(stumbling):
    api, statuses, _ = stumbling
    statuses += [404]
    assert api.call("PATCH", "/api/v2/dags/daily", {}, accept=404) is None


def test_nobody_there_is_refused_once_patience_ends(monkeypatch):
    monkeypatch.setattr("dags.local.airflow_api.PATIENCE_S", 0)
    with pytest.raises(Refusal, match="Connection refused"):
        AirflowApi("http://127.0.0.1:9", "token").state("daily", "run")
