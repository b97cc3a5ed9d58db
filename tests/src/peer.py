"""A program that records are sent to: `http PORT OUT`, `tcp PORT OUT`, `unix PATH OUT` or `udp PORT OUT`.

What it takes it appends to OUT; of streams each connection has a file of its own, OUT.1 and so on. What an HTTP server does
next stands in OUT.mode."""

import http.server
import os
import socket
import ssl
import sys
import threading
import time

kind, place, out = sys.argv[1:4]


def ready():
    print("ready", flush=True)


def append(name, data):
    with open(name, "ab") as file:
        file.write(data)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mode = open(out + ".mode").read().strip()
        append(out + ".headers", f"{mode} {self.path} {self.headers.get('Authorization')} {self.headers['Content-Type']}\n".encode())
        if mode in ("ok", "late"):
            append(out, body)
        if mode == "stall":
            time.sleep(60)
        if mode == "garbage":
            self.wfile.write(b"\x00\xff\x00 nonsense\r\n\r\n" * 100)
        if mode in ("late", "stall", "garbage"):
            self.close_connection = True
            return
        self.send_response({"ok": 204, "busy": 503, "refuse": 400}[mode])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def keep(connection, name):
    while True:
        try:
            data = connection.recv(4096)
        except OSError:
            return
        if not data:
            return
        append(name, data)


def streams(listener):
    listener.listen()
    ready()
    number = 0
    while True:
        connection, _ = listener.accept()
        number += 1
        while os.path.exists(f"{out}.{number}"):
            number += 1
        append(f"{out}.{number}", b"")
        threading.Thread(target=keep, args=(connection, f"{out}.{number}")).start()


if kind == "http":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(place)), Handler)
    if len(sys.argv) > 4:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[4:6])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    ready()
    server.serve_forever()
elif kind == "tcp":
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(place)))
    streams(listener)
elif kind == "unix":
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    streams(listener)
elif kind == "udp":
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    listener.bind(("127.0.0.1", int(place)))
    ready()
    while True:
        append(out, listener.recv(65536) + b"\n")
