"""Reads exports with pandas and DuckDB as a person would, giving no types, and prints what both see as JSON.

Usage: read.py DIRECTORY, which holds predictions.parquet, predictions.csv and predictions.jsonl.
"""

import json
import pathlib
import sys

import duckdb
import pandas


def plain(value):
    """Returns a value as JSON has it: instants in ISO 8601, bytes in hexadecimal, whatever means NULL as null."""
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    if isinstance(value, list | dict) or hasattr(value, "tolist") and getattr(value, "ndim", 0):
        return [plain(item) for item in value] if not isinstance(value, dict) else value
    if pandas.isna(value):
        return None
    if hasattr(value, "tolist"):
        value = value.tolist()
    return value.isoformat() if hasattr(value, "isoformat") else value


def seen(types, rows):
    """Returns the types and the rows of a table by the names of its columns."""
    return {
        "types": {name: str(kind) for name, kind in types},
        "rows": [{name: plain(value) for name, value in row.items()} for row in rows],
    }


def by_pandas(frame):
    return seen(frame.dtypes.items(), frame.to_dict("records"))


def by_duckdb(path):
    table = duckdb.sql(f"SELECT * FROM '{path}'")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
    return seen(zip(table.columns, table.types, strict=True), rows)


directory = pathlib.Path(sys.argv[1])
duckdb.sql("SET TimeZone = 'UTC'")
answer = {
    "pandas": {
        "parquet": by_pandas(pandas.read_parquet(directory / "predictions.parquet")),
        "csv": by_pandas(pandas.read_csv(directory / "predictions.csv")),
        "jsonl": by_pandas(pandas.read_json(directory / "predictions.jsonl", lines=True)),
    },
    "duckdb": {kind: by_duckdb(directory / f"predictions.{kind}") for kind in ("parquet", "csv", "jsonl")},
}
print(json.dumps(answer))
