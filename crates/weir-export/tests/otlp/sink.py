"""A server that records are posted to, and that writes down what it has read: OTLP as google.protobuf decodes it by the
classes of opentelemetry-proto, else the lines as they came. `sink.py FOLDER` says its port in its first line.

What it has taken is in FOLDER/taken, a line of JSON for each record; when it was asked and what it has answered in
FOLDER/requests. What it answers next stands in FOLDER/mode."""

import gzip
import http.server
import json
import os
import sys
import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

folder = sys.argv[1]


def value(any_value):
    kind = any_value.WhichOneof("value")
    content = getattr(any_value, kind)
    if kind == "array_value":
        return [value(one) for one in content.values]
    return attributes(content.values) if kind == "kvlist_value" else content


def attributes(pairs):
    keys = [pair.key for pair in pairs]
    assert len(set(keys)) == len(keys), keys
    return {pair.key: value(pair.value) for pair in pairs}


def unknown(message):
    """Whether there is a field in it that the .proto files do not have."""
    copy = type(message)()
    copy.CopyFrom(message)
    copy.DiscardUnknownFields()
    return copy != message or copy.ByteSize() != message.ByteSize()


def records(body):
    request = ExportLogsServiceRequest.FromString(body)
    assert not unknown(request)
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            for log in scope_logs.log_records:
                yield {
                    "resource": attributes(resource_logs.resource.attributes),
                    "scope": [scope_logs.scope.name, scope_logs.scope.version],
                    "time": log.time_unix_nano,
                    "observed": log.observed_time_unix_nano,
                    "severity": log.severity_number,
                    "event": log.event_name,
                    "body": log.body.string_value,
                    "attributes": attributes(log.attributes),
                }


def lines(body, content_type):
    if content_type == "application/x-protobuf":
        return [json.dumps(record) for record in records(body)]
    assert content_type == "application/x-ndjson", content_type
    return body.decode().splitlines()


def rejecting(count, why):
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = count
    response.partial_success.error_message = why
    return response.SerializeToString()


# google.rpc.Status: its code is 3 (INVALID_ARGUMENT), its message `no such tenant`.
STATUS = b"\x08\x03\x12\x0eno such tenant"
ANSWERS = {
    "ok": (200, b"", {}),
    "partial": (200, rejecting(3, "too\nold"), {}),
    "remark": (200, rejecting(0, "deprecated"), {}),
    "negative": (200, rejecting(-1, "mad"), {}),
    "endless": (200, rejecting(2**62, "all"), {}),
    "page": (200, b"<html>\xff welcome</html>", {}),
    "refuse": (400, STATUS, {}),
    "busy": (429, b"", {"Retry-After": "2"}),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        wire = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(wire) if self.headers["Content-Encoding"] == "gzip" else wire
        mode, _, limit = open(f"{folder}/mode").read().strip().partition(" ")
        if mode == "most":
            status, page, headers = (413 if len(body) > int(limit) else 200), b"", {}
        elif mode == "garbage":
            status, page, headers = 0, b"", {}
        else:
            status, page, headers = ANSWERS[mode]
        if status == 200:
            taken = lines(body, self.headers["Content-Type"])
            with open(f"{folder}/taken", "a") as file:
                file.writelines(f"{line}\n" for line in taken)
        request = {"at": time.monotonic(), "status": status, "path": self.path, "bytes": len(body)}
        with open(f"{folder}/requests", "a") as file:
            file.write(f"{json.dumps(request)}\n")
        if not status:
            self.wfile.write(b"\x00\xff\x00 nonsense\r\n\r\n" * 100)
            self.close_connection = True
            return
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
