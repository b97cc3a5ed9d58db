"""A collector by gRPC that decodes what it is sent by google.protobuf, and writes it down: netobserv's flows by
deploy/netobserv/flow.proto, which protoc has read (FOLDER/descriptors), and OpenTelemetry's logs by its classes.
`collector.py FOLDER PORT LARGEST [CERTIFICATE KEY [AUTHORITY]]`.

What it has taken is in FOLDER/taken, a line of JSON for each flow or log; what it was asked in FOLDER/requests. What it answers
next stands in FOLDER/mode: `ok`, `stall`, `partial N`, `retry SECONDS`, or a status and its words. A login that is in
FOLDER/login has to be shown."""

import concurrent.futures
import json
import os
import sys
import time

import grpc
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory, timestamp_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2

folder, port, largest, *tls = sys.argv[1:]

# What is imported above is in it already: Any, Duration and Timestamp.
POOL = descriptor_pool.Default()
for file in descriptor_pb2.FileDescriptorSet.FromString(open(f"{folder}/descriptors", "rb").read()).file:
    POOL.AddSerializedFile(file.SerializeToString())
RECORDS, STATUS, RETRY_INFO = (
    message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))
    for name in ("pbflow.Records", "google.rpc.Status", "google.rpc.RetryInfo")
)


def plain(value):
    """A message as what JSON has: what is there, times in nanoseconds, bytes as digits."""
    if isinstance(value, (timestamp_pb2.Timestamp, duration_pb2.Duration)):
        return value.seconds * 10**9 + value.nanos
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "ListFields"):
        return {field.name: plain(content) for field, content in value.ListFields()}
    return value if isinstance(value, (str, int)) else [plain(one) for one in value]


def parsed(kind, body):
    message = kind.FromString(body)
    copy = kind.FromString(body)
    copy.DiscardUnknownFields()
    assert copy.ByteSize() == message.ByteSize() == len(body), "there is a field that is not in the .proto, or a 0"
    return message


def flows(body):
    return [plain(record) for record in parsed(RECORDS, body).entries]


def logs(body):
    for resource in logs_service_pb2.ExportLogsServiceRequest.FromString(body).resource_logs:
        for log in resource.scope_logs[0].log_records:
            attributes = {pair.key: pair.value for pair in log.attributes}
            yield {name: attributes[f"weir.flow.{name}"].string_value for name in ("id", "start", "end")}


def refuse(context, words):
    name, _, message = words.partition(" ")
    if name == "retry":
        info = RETRY_INFO()
        info.retry_delay.seconds = int(message)
        status = STATUS(code=14, message="busy")
        status.details.add().Pack(info)
        context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
        name, message = "UNAVAILABLE", "busy"
    context.abort(grpc.StatusCode[name], message)


def answer(method, body, context):
    mode = open(f"{folder}/mode").read().strip()
    said = dict(context.invocation_metadata())
    with open(f"{folder}/requests", "a") as file:
        file.write(json.dumps({"at": time.monotonic(), "method": method, "bytes": len(body), "agent": said["user-agent"]}) + "\n")
    if os.path.exists(f"{folder}/login") and said.get("authorization") != open(f"{folder}/login").read():
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
    if mode == "stall":
        time.sleep(3600)
    reply = logs_service_pb2.ExportLogsServiceResponse()
    if mode.startswith("partial "):
        reply.partial_success.rejected_log_records = int(mode.split()[1])
        reply.partial_success.error_message = "too old"
    elif mode != "ok":
        refuse(context, mode)
    taken = flows(body) if method == "/pbflow.Collector/Send" else logs(body)
    lines = "".join(json.dumps(one) + "\n" for one in taken)
    with open(f"{folder}/taken", "a") as file:
        file.write(lines)
    return reply.SerializeToString()


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda body, context: answer(details.method, body, context))


options = [("grpc.max_receive_message_length", int(largest)), ("grpc.so_reuseport", 0)]
if os.path.exists(f"{folder}/rest"):
    options.append(("grpc.max_connection_idle_ms", int(open(f"{folder}/rest").read())))
server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), [Handler()], options=options)
if tls:
    certificate, key, *authority = (open(name, "rb").read() for name in tls)
    credentials = grpc.ssl_server_credentials([(key, certificate)], *(authority or [None]), bool(authority))
    server.add_secure_port(f"127.0.0.1:{port}", credentials)
else:
    server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
server.wait_for_termination()
