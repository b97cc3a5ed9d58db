"""A server that records are posted to, and that writes down what it has read: OTLP as google.protobuf decodes it by the
classes of opentelemetry-proto, else the lines as they came. `sink.py FOLDER PORT` says its port in its first line.

What it has taken is in FOLDER/taken, a line of JSON for each record; when it was asked and what it has answered in
FOLDER/requests. What it answers next stands in FOLDER/mode."""

import gzip
import http.server
import json
import os
import sys
import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

folder, port = sys.argv[1:]


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


def scopes(request, name):
    """What each scope has, and what stands around it."""
    assert not unknown(request)
    for of_resource in getattr(request, f"resource_{name}"):
        for of_scope in getattr(of_resource, f"scope_{name}"):
            around = {
                "resource": attributes(of_resource.resource.attributes),
                "scope": [of_scope.scope.name, of_scope.scope.version],
            }
            yield of_scope, around


def logs(body):
    for scope_logs, around in scopes(ExportLogsServiceRequest.FromString(body), "logs"):
        for log in scope_logs.log_records:
            yield around | {
                "time": log.time_unix_nano,
                "observed": log.observed_time_unix_nano,
                "severity": log.severity_number,
                "event": log.event_name,
                "body": log.body.string_value,
                "attributes": attributes(log.attributes),
            }


def spans(body):
    for scope_spans, around in scopes(ExportTraceServiceRequest.FromString(body), "spans"):
        for span in scope_spans.spans:
            yield around | {
                "trace": span.trace_id.hex(),
                "span": span.span_id.hex(),
                "parent": span.parent_span_id.hex(),
                "name": span.name,
                "kind": Span.SpanKind.Name(span.kind),
                "start": span.start_time_unix_nano,
                "end": span.end_time_unix_nano,
                "status": [Status.StatusCode.Name(span.status.code), span.status.message],
                "attributes": attributes(span.attributes),
            }


def histogram(point):
    return {
        "count": point.count,
        "sum": point.sum,
        "buckets": list(point.bucket_counts),
        "bounds": list(point.explicit_bounds),
    }


def points(body):
    for scope_metrics, around in scopes(ExportMetricsServiceRequest.FromString(body), "metrics"):
        for metric in scope_metrics.metrics:
            kind = metric.WhichOneof("data")
            data = getattr(metric, kind)
            temporality = data.aggregation_temporality if kind != "gauge" else 0
            for point in data.data_points:
                number = point.WhichOneof("value") if kind != "histogram" else None
                yield around | {
                    "name": metric.name,
                    "description": metric.description,
                    "unit": metric.unit,
                    "kind": kind,
                    "monotonic": kind == "sum" and data.is_monotonic,
                    "temporality": AggregationTemporality.Name(temporality),
                    "attributes": attributes(point.attributes),
                    "start": point.start_time_unix_nano,
                    "time": point.time_unix_nano,
                    "flags": point.flags,
                    "value": histogram(point) if kind == "histogram" else number and getattr(point, number),
                }


READERS = {"/v1/logs": logs, "/v1/traces": spans, "/v1/metrics": points}


def lines(body, content_type, path):
    if content_type == "application/x-protobuf":
        return [json.dumps(record) for record in READERS.get(path, logs)(body)]
    assert content_type == "application/x-ndjson", content_type
    return body.decode().splitlines()


def rejecting(response, what, count, why):
    setattr(response.partial_success, f"rejected_{what}", count)
    response.partial_success.error_message = why
    return response.SerializeToString()


def rejecting_logs(count, why):
    return rejecting(ExportLogsServiceResponse(), "log_records", count, why)


# google.rpc.Status: its code is 3 (INVALID_ARGUMENT), its message `no such tenant`.
STATUS = b"\x08\x03\x12\x0eno such tenant"
ANSWERS = {
    "ok": (200, b"", {}),
    "partial": (200, rejecting_logs(3, "too\nold"), {}),
    "partial-spans": (200, rejecting(ExportTraceServiceResponse(), "spans", 3, "too\nold"), {}),
    "partial-points": (200, rejecting(ExportMetricsServiceResponse(), "data_points", 2, "too\nold"), {}),
    "remark": (200, rejecting_logs(0, "deprecated"), {}),
    "negative": (200, rejecting_logs(-1, "mad"), {}),
    "endless": (200, rejecting_logs(2**62, "all"), {}),
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
            taken = lines(body, self.headers["Content-Type"], self.path)
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


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
print(server.server_port, flush=True)
server.serve_forever()
