# What DuckDB reads in a folder, a line of JSON for each row; before that others bring what is in a store.
import json
import pathlib
import sys

import duckdb

asked = json.loads(sys.argv[1])
folder = pathlib.Path(asked["folder"])
endpoint = asked.get("endpoint")


def amazon():
    import boto3

    store = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", verify=False,
                         aws_access_key_id="weir", aws_secret_access_key="secret")
    for page in store.get_paginator("list_objects_v2").paginate(Bucket="flows"):
        for found in page.get("Contents", []):
            yield found["Key"], store.get_object(Bucket="flows", Key=found["Key"])["Body"].read()


def google():
    from urllib.parse import quote
    from urllib.request import urlopen

    for found in json.load(urlopen(f"{endpoint}/storage/v1/b/flows/o"))["items"]:
        yield found["name"], urlopen(f"{endpoint}/flows/{quote(found['name'])}").read()


def azure():
    from azure.storage.blob import ContainerClient

    store = ContainerClient(endpoint, "flows", credential=asked["key"])
    if not store.exists():
        store.create_container()
    for name in store.list_blob_names():
        yield name, store.download_blob(name).readall()


if endpoint:
    for name, content in {"amazon": amazon, "google": google, "azure": azure}[asked["provider"]]():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

duckdb.execute("SET TimeZone = 'UTC'")
if any(folder.glob("**/*.parquet")):
    source = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true, filename = true)"
    columns = duckdb.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    shown = {name: f'"{name}"' for name, *_ in columns}
    for name, kind, *_ in columns:
        if kind.startswith("TIMESTAMP"):
            shown[name] = f'epoch_ns("{name}"::TIMESTAMP_NS) // 1000'
    # Older versions know of times with a zone in microseconds only.
    rows = duckdb.execute(f"SELECT {', '.join(shown.values())} FROM {source}").fetchall()
    for row in rows:
        print(json.dumps(dict(zip(shown, row)), default=str))
