"""ClickHouse's HTTP interface before chDB, the same engine as a library: `clickhouse.py PORT DIRECTORY`.

Posts are done as ClickHouse does them: what `query` says, with the body behind it, else the body; other parameters are
settings. A mistake of the engine is answered with 500 and its own words, as ClickHouse does."""

import http.server
import os
import sys
import urllib.parse

from chdb import session

port, directory = sys.argv[1:3]
engine = session.Session(os.path.join(directory, "data"))


def done(path, body):
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
    asked.pop("wait_end_of_query", None)
    sql = asked.pop("query", None)
    if sql is None:
        return engine.query(body.decode()).bytes()
    name = os.path.join(directory, "body")
    with open(name, "wb") as file:
        file.write(body)
    settings = ", ".join(f"{setting} = '{value}'" for setting, value in asked.items())
    into, form = sql.rsplit(" FORMAT ", 1)
    return engine.query(f"{into} FROM INFILE '{name}' SETTINGS {settings} FORMAT {form}").bytes()


class Handler(http.server.BaseHTTPRequestHandler):
    # A connection each: there is one thread.
    protocol_version = "HTTP/1.0"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, said = 200, done(self.path, body) or b""
        except Exception as error:
            status, said = 500, str(error).encode()
        # A server that dies when it has done what it was asked, and has not said so.
        if os.path.exists(os.path.join(directory, "dies")) and "INSERT" in self.path:
            os._exit(1)
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", int(port)), Handler)
print("ready", flush=True)
server.serve_forever()
