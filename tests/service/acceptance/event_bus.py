"""An Event Bus: takes `POST /events`, keeps them in an SQLite file of journal mode WAL, and tells of them.

usage: event_bus.py serve FILE PORT    `GET /wait?action=A&text=T` answers once an event of that action holds that text
       event_bus.py write FILE         keeps writing, always two equal rows in one transaction, until it is killed
       event_bus.py check FILE         whether a copy is sound and of one moment; prints how many rows it has
"""

import json
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

WAIT_MAX_SECONDS = 120
SCHEMA = """
    PRAGMA journal_mode = wal;
    CREATE TABLE IF NOT EXISTS events(id INTEGER PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS load(id INTEGER PRIMARY KEY, pair INTEGER NOT NULL, fill TEXT NOT NULL);
"""


def database(path):
    opened = sqlite3.connect(path, timeout=60, isolation_level=None)
    opened.executescript(SCHEMA)
    return opened


class Bus(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    changed = threading.Condition()
    path_of_file = ""

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if urlsplit(self.path).path != "/events" or not isinstance(json.loads(body), dict):
            return self.answer(404, {})
        with self.changed:
            database(self.path_of_file).execute("INSERT INTO events(body) VALUES (?)", (body.decode(),))
            self.changed.notify_all()
        return self.answer(200, {})

    def do_GET(self):
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        with self.changed:
            found = self.changed.wait_for(lambda: self.found(query), WAIT_MAX_SECONDS)
        return self.answer(200 if found else 404, found)

    def found(self, query):
        rows = database(self.path_of_file).execute("SELECT body FROM events ORDER BY id").fetchall()
        events = [json.loads(body) for (body,) in rows]
        return [e for e in events if e["action"] == query["action"] and query["text"] in json.dumps(e)]


def serve(path, port):
    database(path)
    Bus.path_of_file = path
    ThreadingHTTPServer(("127.0.0.1", int(port)), Bus).serve_forever()


def write(path):
    opened, pair = database(path), 0
    while True:
        opened.execute("BEGIN IMMEDIATE")
        opened.executemany("INSERT INTO load(pair, fill) VALUES (?, hex(randomblob(100)))", [(pair,)] * 2)
        opened.execute("COMMIT")
        pair += 1


def check(path):
    opened = sqlite3.connect(path)
    assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    halves = "SELECT count(*) FROM (SELECT 1 FROM load GROUP BY pair HAVING count(*) % 2)"
    assert opened.execute(halves).fetchone() == (0,), "half of a transaction"
    print(opened.execute("SELECT count(*) FROM load").fetchone()[0])


{"serve": serve, "write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
