import json
import os

places = ("/tmp", os.environ["HOME"], os.environ["TMPDIR"], "/dev/shm", "/run", ".")
breaches = [place for place in places if os.path.exists(f"{place}/residue")]
breaches += ["environment"] * ("RESIDUE" in os.environ) + ["module"] * (not hasattr(json, "dumps"))
breaches += ["builtins"] * (max(1, 2) != 2)
print(f"breaches: {breaches}")
