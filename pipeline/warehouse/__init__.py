"""The typed rows: a day's JSON lines to Parquet, and the DuckDB file over it. The only place that imports duckdb."""
