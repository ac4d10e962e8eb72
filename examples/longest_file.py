"""Ask for a fact about a folder, then have a file made, look at the diff, and write it.

python examples/longest_file.py FOLDER
"""

import sys

from llmasos import Client


def main(folder: str) -> None:
    with Client() as client:
        session = client.session(folder)

        result = session.run("How many lines does each Python file have, and which one is the longest?")
        print(result.answer)
        for action in result.actions:
            print(f"  {action.id} {action.tool}: {action.status} in {action.backend}")

        result = session.run("Create hello.txt with the line: hello from LLMasOS")
        print(result.diff)
        if result.changes:
            print("wrote", *session.commit().paths)

        report = client.verify()
        print(report.message)
        sys.exit(0 if report.ok else 1)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
