"""A collector by gRPC that decodes what it is sent by google.protobuf, and writes it down: netobserv's flows by descriptors of
its own, made here after netobserv's proto/flow.proto, and OpenTelemetry's logs by its classes.
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

FLOW = {
    "Records": "1 entries *Record",
    "DupMapEntry": "1 interface string, 2 direction uint32, 3 udn string",
    "Record": "1 eth_protocol uint32, 2 direction uint32, 3 time_flow_start .google.protobuf.Timestamp,"
    "4 time_flow_end .google.protobuf.Timestamp, 5 data_link DataLink, 6 network Network, 7 transport Transport,"
    "8 bytes uint64, 9 packets uint64, 10 interface string, 11 duplicate bool, 12 agent_ip IP, 13 flags uint32,"
    "14 icmp_type uint32, 15 icmp_code uint32, 16 pkt_drop_bytes uint64, 17 pkt_drop_packets uint64,"
    "18 pkt_drop_latest_flags uint32, 19 pkt_drop_latest_state uint32, 20 pkt_drop_latest_drop_cause uint32,"
    "21 dns_id uint32, 22 dns_flags uint32, 23 dns_latency .google.protobuf.Duration,"
    "24 time_flow_rtt .google.protobuf.Duration, 25 dns_errno uint32, 26 dup_list *DupMapEntry, 28 xlat Xlat",
    "DataLink": "1 src_mac uint64, 2 dst_mac uint64",
    "Network": "1 src_addr IP, 2 dst_addr IP, 3 dscp uint32",
    "IP": "1 ipv4 fixed32, 2 ipv6 bytes",
    "Transport": "1 src_port uint32, 2 dst_port uint32, 3 protocol uint32",
    "Xlat": "1 src_addr IP, 2 dst_addr IP, 3 src_port uint32, 4 dst_port uint32, 5 zone_id uint32, 7 icmp_id uint32",
}
RPC = {
    "Status": "1 code int32, 2 message string, 3 details *.google.protobuf.Any",
    "RetryInfo": "1 retry_delay .google.protobuf.Duration",
}
POOL = descriptor_pool.Default()


def classes(package, messages):
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    file.dependency.extend(known.DESCRIPTOR.name for known in (any_pb2, duration_pb2, timestamp_pb2))
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        if name == "IP":
            message.oneof_decl.add(name="ip_family")
        for number, field, kind in (field.split() for field in fields.split(",")):
            entry = message.field.add(name=field, number=int(number), label=3 if kind[0] == "*" else 1)
            kind = kind.lstrip("*")
            if name == "IP":
                entry.oneof_index = 0
            if kind[0] == "." or kind in messages:
                entry.type, entry.type_name = 11, kind if kind[0] == "." else f".{package}.{kind}"
            else:
                entry.type = getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{kind.upper()}")
    POOL.Add(file) if hasattr(POOL, "Add") else POOL.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


RECORDS = classes("pbflow", FLOW)["Records"]
STATUS = classes("google.rpc", RPC)


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


folder, port, largest, *tls = sys.argv[1:]


def refuse(context, words):
    name, _, message = words.partition(" ")
    if name == "retry":
        info = STATUS["RetryInfo"]()
        info.retry_delay.seconds = int(message)
        status = STATUS["Status"](code=14, message="busy")
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
