# One word each for the scripts; `just` itself is optional.

# Sample file into SQLite, from a bare clone
first-run *arguments:
    scripts/first-run {{arguments}}

# The whole suite, or single stages: just test lint docs
test *stages:
    scripts/test {{stages}}

# What needs neither a database nor a network
check:
    scripts/test format lint docs

install:
    scripts/install test

# start, stop, status, env
databases command="status":
    scripts/databases {{command}}

fuzz target seconds="20":
    scripts/fuzz {{target}} {{seconds}}

tpch scale="0.1":
    scripts/databases start
    tests/tpch/run --scale {{scale}}

bench *arguments:
    cargo bench --locked {{arguments}}
