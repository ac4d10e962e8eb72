"""Words that several commands show."""

MODEL_STATES = {
    "remote": "an endpoint",
    "resident": "loaded",
    "cached": "on disk",
    "absent": "not fetched yet",
}
