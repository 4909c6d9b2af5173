"""Writes tests/golden/parquet: the same seven rows in every compression, three to a row group. Needs pyarrow 26."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(__file__).parent / "parquet"
folder.mkdir(exist_ok=True)
rows = [
    {
        "messages": [
            {"role": "user", "content": f"What is {i} + {i}?", "name": None},
            {"role": "assistant", "content": f"{2 * i} – é", "name": None},
        ],
        "level": i,
        "answer": str(2 * i),
    }
    for i in range(7)
]
table = pa.Table.from_pylist(rows)
for compression in ["none", "snappy", "gzip", "brotli", "zstd"]:
    pq.write_table(table, folder / f"{compression}.parquet", compression=compression, row_group_size=3)
