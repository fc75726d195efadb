"""Writes Parquet files by pyarrow in all the ways it has, each beside what a reader must tell of it.

NAME.parquet is read by NAME.jsonl: a row a line, its cells as text or null. TestParquetReadsAsPyarrowDoes
holds our reader against them. What is told is made from what pyarrow itself reads of the file.
"""

import datetime as dt
import decimal
import json
import pathlib
import random
import sys
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(sys.argv[1])
ROWS = 300
ZERO = dt.datetime(1970, 1, 1)
SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
decimal.getcontext().prec = 80


def clock(parts, unit, zone, day=True):
    whole, rest = divmod(parts, SECOND[unit])
    at = (ZERO + dt.timedelta(seconds=whole)).strftime("%H:%M:%S")
    if day:
        d = ZERO + dt.timedelta(seconds=whole)
        at = f"{d.year:04d}-{d.month:02d}-{d.day:02d}T{at}"
    digits = str(rest * (10**9 // SECOND[unit])).zfill(9).rstrip("0")
    return at + ("." + digits if digits else "") + (zone and "Z" or "")


def told(array, typ):
    if isinstance(typ, pa.BaseExtensionType):
        return [None if v is None else str(v) for v in array.to_pylist()]
    if pa.types.is_dictionary(typ):
        return told(array.cast(typ.value_type), typ.value_type)
    if pa.types.is_timestamp(typ):
        return [None if v is None else clock(v, typ.unit, typ.tz) for v in array.cast(pa.int64()).to_pylist()]
    if pa.types.is_time(typ):
        wide = pa.int32() if pa.types.is_time32(typ) else pa.int64()
        return [None if v is None else clock(v, typ.unit, "", False) for v in array.cast(wide).to_pylist()]
    if pa.types.is_duration(typ):
        return told(array.cast(pa.int64()), pa.int64())
    if pa.types.is_floating(typ):
        return [None if v is None or v != v else {"float": repr(float(v)), "double": typ == pa.float64()} for v in array.to_pylist()]
    if pa.types.is_decimal(typ):
        return [None if v is None else format(v, "f") for v in array.to_pylist()]
    if pa.types.is_boolean(typ):
        return [None if v is None else str(v).lower() for v in array.to_pylist()]
    return [None if v is None else v.decode() if isinstance(v, bytes) else str(v) for v in array.to_pylist()]


def flat(table):
    while any(pa.types.is_struct(f.type) for f in table.schema):
        table = table.flatten()
    return table.combine_chunks()


def write(name, table, groups=(), **how):
    path = OUT / f"{name}.parquet"
    how.setdefault("use_dictionary", False)
    with pq.ParquetWriter(path, table.schema, data_page_size=512, write_batch_size=37, **how) as w:
        at = 0
        for n in groups or (table.num_rows // 3, 0, table.num_rows - table.num_rows // 3):
            w.write_table(table.slice(at, n))
            at += n
    back = pq.ParquetFile(path).read()
    if not how.get("use_deprecated_int96_timestamps") and how.get("version") != "1.0":
        assert back.schema.names == table.schema.names and back.num_rows == table.num_rows
    shown = flat(back)
    columns = [told(shown.column(i), shown.schema.field(i).type) for i in range(shown.num_columns)]
    with open(OUT / f"{name}.jsonl", "w") as out:
        for row in zip(*columns):
            out.write(json.dumps(row) + "\n")


def ints(r, bits, signed):
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    near = [r.randint(max(least, -3), 3) for _ in range(ROWS // 2)]
    return ([least, most, 0, most, least] + near + [r.randint(least, most) for _ in range(ROWS)])[:ROWS]


def words(r, shape="w%d"):
    some = ["", "x", "2024-01-01", "12", "äöü ẞ 表", "long " * 40, "long " * 39 + "end"]
    return (some + [shape % r.randint(0, 60) for _ in range(ROWS // 2)] + [shape % i for i in range(ROWS)])[:ROWS]


def columns(r):
    yield "bool", pa.bool_(), [r.random() < (i / ROWS) for i in range(ROWS)]
    for bits in (8, 16, 32, 64):
        yield f"int{bits}", getattr(pa, f"int{bits}")(), ints(r, bits, True)
        yield f"uint{bits}", getattr(pa, f"uint{bits}")(), ints(r, bits, False)
    floats = [0.0, -0.0, 1.5, -2.25, float("nan"), 65504.0, 6e-8, 1 / 3] + [r.normalvariate(0, 100) for _ in range(ROWS)]
    yield "float16", pa.float16(), floats[:ROWS]
    yield "float32", pa.float32(), (floats + [3.4e38, 1e-45])[:ROWS]
    yield "float64", pa.float64(), ([1e308, 5e-324, 2.0**53, 1e15, 1e21] + floats)[:ROWS]
    yield "string", pa.string(), words(r)
    yield "large_string", pa.large_string(), words(r, "large %d")
    yield "string_view", pa.string_view(), words(r, "view %d")
    yield "binary", pa.binary(), [w.encode() for w in words(r, "bytes %d")]
    yield "fixed", pa.binary(7), [b"%07d" % (i * i) for i in range(ROWS)]
    yield "category", pa.dictionary(pa.int8(), pa.string()), [f"c{i % 9}" for i in range(ROWS)]
    for digits, places in ((5, 2), (18, 3), (38, 10), (38, 38), (7, 0)):
        most = 10**digits - 1
        some = [most, -most, 0, 1, -1] + [r.randint(-most, most) for _ in range(ROWS)]
        yield f"decimal{digits}_{places}", pa.decimal128(digits, places), [decimal.Decimal(v).scaleb(-places) for v in some[:ROWS]]
    some = [10**60 - 1, 1 - 10**60] + [r.randint(-(10**60), 10**60) for _ in range(ROWS)]
    yield "decimal256", pa.decimal256(62, 20), [decimal.Decimal(v).scaleb(-20) for v in some[:ROWS]]
    days = [0, -1, -719162, 2932896] + [r.randint(-40000, 40000) for _ in range(ROWS)]
    yield "date32", pa.date32(), days[:ROWS]
    yield "date64", pa.date64(), [d * 86400000 for d in days[:ROWS]]
    for unit, typ in (("s", pa.time32), ("ms", pa.time32), ("us", pa.time64), ("ns", pa.time64)):
        yield f"time_{unit}", typ(unit), [r.randrange(86400 * SECOND[unit]) for _ in range(ROWS)]
    for unit, parts in SECOND.items():
        for zone in (None, "UTC", "Asia/Kolkata", "-03:30"):
            some = [0, -1, 1, 86400 * parts] + [r.randint(-9 * 10**9, 9 * 10**9) * parts + r.randrange(parts) for _ in range(ROWS)]
            yield f"at_{unit}_{zone}", pa.timestamp(unit, zone), some[:ROWS]
    yield "duration", pa.duration("us"), ints(r, 60, True)
    yield "uuid", pa.uuid(), [uuid.UUID(int=r.getrandbits(128)).bytes for _ in range(ROWS)]


def table(r, nullable):
    fields, arrays = [], []
    for name, typ, values in columns(r):
        if nullable:
            values = [None if r.random() < 0.3 or 100 <= i < 160 else v for i, v in enumerate(values)]
        storage = typ.storage_type if isinstance(typ, pa.BaseExtensionType) else typ
        array = pa.array(values, storage)
        arrays.append(pa.ExtensionArray.from_storage(typ, array) if storage is not typ else array)
        fields.append(pa.field(name, typ, nullable=nullable))
    inner = pa.struct([pa.field("c", pa.string(), nullable), pa.field("n", pa.int64(), False)])
    outer = pa.struct([pa.field("in", inner, nullable), pa.field("x", pa.float64(), nullable)])
    values = [{"in": {"c": f"c{i % 5}", "n": i}, "x": i / 4} for i in range(ROWS)]
    if nullable:
        for i in range(0, ROWS, 3):
            values[i] = [None, {"in": None, "x": 1.5}, {"in": {"c": None, "n": 7}, "x": None}][i // 3 % 3]
        arrays.append(pa.nulls(ROWS))
        fields.append(pa.field("nothing", pa.null()))
        arrays.append(pa.array([None] * ROWS, pa.int32()))
        fields.append(pa.field("no int", pa.int32()))
    arrays.append(pa.array(values, outer))
    fields.append(pa.field("nested", outer, nullable))
    return pa.table(arrays, schema=pa.schema(fields))


def encodings(t, texts, numbers):
    """The encoding of each column that has a choice."""
    out = {}
    for f in flat(t).schema:
        typ = f.type.storage_type if isinstance(f.type, pa.BaseExtensionType) else f.type
        if pa.types.is_dictionary(typ) or pa.types.is_null(typ):
            continue
        if pa.types.is_boolean(typ):
            out[f.name] = "RLE"
        elif pa.types.is_fixed_size_binary(typ) or pa.types.is_decimal(typ):
            out[f.name] = "BYTE_STREAM_SPLIT" if numbers == "BYTE_STREAM_SPLIT" else "DELTA_BYTE_ARRAY"
        elif typ == pa.float16() or pa.types.is_floating(typ):
            out[f.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_string(typ) or pa.types.is_large_string(typ) or pa.types.is_binary(typ) or typ == pa.string_view():
            out[f.name] = texts
        else:
            out[f.name] = numbers
    return out


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for nullable in (False, True):
        t = table(random.Random(7), nullable)
        ways = {
            "plain": {},
            "dictionary": {"use_dictionary": True},
            "overflow": {"use_dictionary": True, "dictionary_pagesize_limit": 256},
            "delta": {"column_encoding": encodings(t, "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BINARY_PACKED")},
            "split": {"column_encoding": encodings(t, "DELTA_BYTE_ARRAY", "BYTE_STREAM_SPLIT")},
        }
        for codec in ("none", "snappy", "gzip", "brotli", "lz4", "zstd"):
            for version in ("1.0", "2.0"):
                for way, how in ways.items():
                    name = f"{codec}-v{version[0]}-{way}-{'null' if nullable else 'full'}"
                    write(name, t, compression=codec, data_page_version=version, **how)
        more = {
            "int96": {"use_deprecated_int96_timestamps": True},
            "old": {"version": "1.0"},
            "v24": {"version": "2.4"},
            "checksum": {"write_page_checksum": True, "compression": "zstd"},
            "integers": {"store_decimal_as_integer": True},
            "index": {"write_page_index": True},
        }
        keep = [f.name for f in t.schema if f.name != "nested" and not f.name.startswith("at_")]
        for name, how in more.items():
            part = t
            if name == "int96":  # which counts from the year 1677 to 2262
                part = t.drop_columns([n for n in t.schema.names if n.startswith("at_") and "_ns_" not in n])
            if name in ("old", "v24"):  # which have no nanoseconds
                part = t.select([n for n in t.schema.names if "_ns" not in n])
            write(f"{name}-{'null' if nullable else 'full'}", part, **how)
        write(f"norows-{'null' if nullable else 'full'}", t.slice(0, 0), groups=(0,))
        write(f"onerow-{'null' if nullable else 'full'}", t.slice(0, 1), groups=(1,))
    big = pa.table({"big": pa.array(["x" * (3 << 20), None, "y" * (1 << 20), ""], pa.large_string())})
    for codec in ("none", "snappy", "lz4", "zstd"):
        write(f"big-{codec}", big, compression=codec, use_dictionary=codec == "zstd")


main()
