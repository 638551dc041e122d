"""Sends an image, finds its prediction, and looks for one that is not there, with gql; prints what came as JSON."""

import json
import sys

from gql import Client, FileVar, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport

endpoint, file, predict, find = sys.argv[1:]
transport = RequestsHTTPTransport(url=endpoint, headers={"GraphQL-Require-Preflight": "1"})
client = Client(transport=transport, fetch_schema_from_transport=True)


def ask(document, **variables):
    query = gql(document)
    query.variable_values = variables
    return query


predicted = client.execute(
    ask(predict, image=FileVar(file, filename="seven.png", content_type="image/png")), upload_files=True
)["predict"]
found = client.execute(ask(find, id=predicted["id"]))["prediction"]
try:
    client.execute(ask(find, id="prediction_01h455vb4pex5vsknk084sn02q"))
    missing = "nothing"
except TransportQueryError as error:
    missing = error.errors[0]["extensions"]["code"]
json.dump({"predicted": predicted, "found": found, "missing": missing}, sys.stdout)
