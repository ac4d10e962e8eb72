"""Shapes of names: what a function of a library most likely does, by what it is called."""

from __future__ import annotations

import re
from typing import Literal

from .table import names

Shape = Literal["writes", "reads", "network", "runs"]

_CONVERTS = re.compile(
    r"to_(dicts?|numpy|list|pylist|datetime|numeric|timedelta|frame|period|timestamp|records|arrow|pandas"
    r"|series|py(datetime|timedelta)|native|dense|array|dummies|xarray|sparse|coo|csr|csc|rgba?|rgba_array|hex"
    r"|bytes|thread|struct|lowercase|uppercase|titlecase|decimal|integer|date|time|boolean|categorical"
    r"|julian_date|flat_index|edgelist|dict_of_(dicts|lists)|(un)?directed|(numpy|scipy_sparse)_array"
    r"|pandas_(edgelist|adjacency)|networkx_graph|physical|table|batches|reader|schema|expr|init_repr|offset"
    r"|polars|torch|jax|tensor|markup|plain|cnf|dnf|nnf|mask|string_list)"
)
_POLYNOMIALS = re.compile(r"eval_(\w*laguerre|\w*legendre|hermite\w*|cheby\w*|jacobi|\w*gegenbauer)")
_HARMLESS = names(
    "export_text fetchone fetchall fetchmany fetchdf fetchval fetchnumpy fetch_df fetch_df_chunk"
    " fetch_arrow_table fetch_arrow_reader fetch_record_batch run_until_complete run_forever"
    " run_coroutine_threadsafe store_true create_task save_state write_through writer reader open_new"
    " compile_time run_time load_iris load_digits load_wine load_breast_cancer load_diabetes load_linnerud"
    " load_sample_image load_sample_images"
)
_SHAPES: tuple[tuple[Shape, re.Pattern[str]], ...] = (
    (
        "runs",
        re.compile(
            r"(exec|run|eval|compile|spawn|popen|install|launch|unpickle|deserialize)(_\w*)?"
            r"|run(string|docs|code|source|ctx|eval|call|script|module|path|file)|measure|load_library"
            r"|import_\w+|open_in_\w+|pager|autowrap|ufuncify|init_session|preview|rc_file|main|full_load_all"
            r"|unsafe_\w+|from_pickle|load_pickle|read_pickle|open_code|exec\w*file"
        ),
    ),
    (
        "network",
        re.compile(
            r"(fetch|download|upload|listen|connect|publish|subscribe)(_\w+)?|load_dataset|get_rdataset"
            r"|open_(unix_)?connection|create_\w*(connection|server|endpoint)|start_\w*server|serve_forever"
            r"|sock_\w+|get(addr|name)info|gethostby\w+|submit_form|(Socket|Datagram|HTTP|SMTP|SysLog)Handler"
            r"|\w*RobotFileParser|open_url|read_url|read_database\w*|from_url|to_gbq|\w*(S3|Gcs|Hadoop|Azure)FileSystem"
        ),
    ),
    (
        "writes",
        re.compile(
            r"(write|sink|save|store|export)(_\w+)?|(dump|output)_\w+|save(mat|txt|z|fig)\w*|serialize"
            r"|to_[a-z]\w*|new_file|json_dump|create_(memory_map|files?|dirs?|directory|folder)"
            r"|(delete|remove|copy|move)_(files?|dirs?|dir_contents|directory|tree|paths?|folders?|root\w*)"
            r"|[A-Z]\w*(Writer|Pages|Store)|\w*FileHandler|open_(output|append)_\w+|pickle_to\w*"
        ),
    ),
    (
        "reads",
        re.compile(
            r"(read|scan|load|open)(_\w+|mat|txt|arff)?|from_(file|csv|json|parquet|path|excel)\w*|memory_map"
            r"|\w*[a-z]File|OSFile|input_stream|imread|parse_file|tzfile|getlines?|[A-Z]\w*Reader|\w+_file"
        ),
    ),
)
_IN_MODES = re.compile(r"[rwaxbt+]{1,4}")
OPENERS = re.compile(r"\w*(File|Store|file|map|Map|Dataset|Archive|open|Writer)")
"""What may be told how to open a path by the second argument."""


def shape_of(name: str) -> Shape | None:
    """Return what a function most likely does, by its name alone; None where it calculates."""
    if name in _HARMLESS or _POLYNOMIALS.fullmatch(name) or _CONVERTS.fullmatch(name):
        return None
    return next((shape for shape, pattern in _SHAPES if pattern.fullmatch(name)), None)


def is_writing_mode(text: str | None) -> bool:
    """Return whether a text says that what is opened is written."""
    return text is not None and bool(_IN_MODES.fullmatch(text)) and bool(set(text) & set("wax+"))
