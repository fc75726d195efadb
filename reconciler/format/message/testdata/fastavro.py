# Writes messages by fastavro, each with its schema and what it holds, for avro_test.go.
import base64, datetime, decimal, io, json, uuid
import fastavro
from fastavro import schemaless_writer, parse_schema
D = decimal.Decimal
utc = datetime.timezone.utc
cases = []
def case(name, schema, value, want):
    out = io.BytesIO()
    schemaless_writer(out, parse_schema(json.loads(json.dumps(schema))), value)
    cases.append({"name": name, "schema": schema, "message": base64.b64encode(out.getvalue()).decode(), "json": json.dumps(want, separators=(",", ":"), ensure_ascii=False)})
for kind, v in [("null", None), ("boolean", True), ("int", -2**31), ("int", 2**31-1), ("long", -2**63), ("long", 2**63-1), ("double", 0.1), ("string", "a\"b\\c\n\u00e9\u2028"), ("string", "")]:
    case(kind, kind, v, v)
case("float", "float", 0.5, 0.5)
case("bytes", "bytes", b"\x00\xff\x10", "AP8Q")
rec = {"type": "record", "name": "Order", "namespace": "acme", "fields": [
  {"name": "id", "type": "long"}, {"name": "who", "type": ["null", "string"], "default": None},
  {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["NEW", "OLD"]}},
  {"name": "again", "type": "Kind"},
  {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}, {"name": "n", "type": "int"}]}}},
  {"name": "tags", "type": {"type": "map", "values": "double"}},
  {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 3}}]}
case("record", rec, {"id": 7, "who": "ada", "kind": "OLD", "again": "NEW", "lines": [{"sku": "x", "n": 1}, {"sku": "y", "n": -2}], "tags": {"a": 1.5}, "hash": b"abc"},
  {"id": 7, "who": "ada", "kind": "OLD", "again": "NEW", "lines": [{"sku": "x", "n": 1}, {"sku": "y", "n": -2}], "tags": {"a": 1.5}, "hash": "YWJj"})
case("record of nothing", rec, {"id": 0, "who": None, "kind": "NEW", "again": "NEW", "lines": [], "tags": {}, "hash": b"\0\0\0"},
  {"id": 0, "who": None, "kind": "NEW", "again": "NEW", "lines": [], "tags": {}, "hash": "AAAA"})
tree = {"type": "record", "name": "Tree", "fields": [{"name": "v", "type": "int"}, {"name": "of", "type": {"type": "array", "items": "Tree"}}]}
case("tree", tree, {"v": 1, "of": [{"v": 2, "of": []}, {"v": 3, "of": [{"v": 4, "of": []}]}]}, {"v": 1, "of": [{"v": 2, "of": []}, {"v": 3, "of": [{"v": 4, "of": []}]}]})
L = lambda t, l, **k: dict({"type": t, "logicalType": l}, **k)
case("date", L("int", "date"), datetime.date(1969, 12, 30), "1969-12-30")
case("time-millis", L("int", "time-millis"), datetime.time(1, 2, 3, 4000), "01:02:03.004")
case("time-micros", L("long", "time-micros"), datetime.time(23, 59, 59, 5), "23:59:59.000005")
at = datetime.datetime(2026, 11, 29, 1, 2, 3, 456000, tzinfo=utc)
case("timestamp-millis", L("long", "timestamp-millis"), at, "2026-11-29T01:02:03.456Z")
case("timestamp-micros", L("long", "timestamp-micros"), at, "2026-11-29T01:02:03.456Z")
case("before 1970", L("long", "timestamp-micros"), datetime.datetime(1961, 4, 12, 6, 7, tzinfo=utc), "1961-04-12T06:07:00Z")
case("local-timestamp-millis", L("long", "local-timestamp-millis"), datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05")
case("decimal", L("bytes", "decimal", precision=9, scale=2), D("-12345.67"), "-12345.67")
case("small decimal", L("bytes", "decimal", precision=9, scale=4), D("0.0012"), "0.0012")
case("whole decimal", L("bytes", "decimal", precision=9), D("-300"), "-300")
case("fixed decimal", L("fixed", "decimal", name="F", size=6, precision=9, scale=1), D("12.5"), "12.5")
case("unknown logical type", L("long", "acme-money"), 12, 12)
open("out.json", "w").write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
