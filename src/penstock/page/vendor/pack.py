"""Pack the drawing libraries of the page anew, by name and version: ``python pack.py``.

Each is fetched with ``npm pack``, which must be installed, and kept as it is published. The
interpreter ships as an ES module alone: its one import becomes properties of the global ``vega``,
its exports a global ``vegaInterpreter``. Source-map comments are cut, which would make a browser
look for files. What was packed stands in ``vendor.json``: version, licence, and the hashes of the
original and of the result.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = {
    "vega": ("6.4.0", "build/vega.min.js"),
    "vega-lite": ("6.4.3", "build/vega-lite.min.js"),
    "vega-interpreter": ("2.3.2", "build/vega-interpreter.js"),
}


def as_script(module: str) -> str:
    """Turn the interpreter's ES module into a script for pages that have the global ``vega``."""
    module = re.sub(r"import \{([^}]*)\} from 'vega-util';", r"const {\1} = vega;", module)
    names = re.search(r"export \{([^}]*)\};", module)
    if names is None:
        raise SystemExit("vega-interpreter has another form: mend as_script")

    exported = (
        ", ".join(
            f"{new.strip()}: {old.strip()}"
            for old, _, new in (part.partition(" as ") for part in names[1].split(","))
            if new
        )
        or names[1]
    )
    body = module.replace(names[0], f"globalThis.vegaInterpreter = {{{exported}}};")
    return f"(() => {{\n{body}\n}})();\n"


def pack(folder: Path, name: str, version: str, file: str) -> dict[str, str]:
    """Fetch one package, write its file and its licence here, and return what it is."""
    made = subprocess.run(  # noqa: S603 - our own words
        ["npm", "pack", f"{name}@{version}"],  # noqa: S607
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    with tarfile.open(folder / made.stdout.split()[-1]) as archive:
        archive.extractall(folder / name, filter="data")

    package = folder / name / "package"
    original = (package / file).read_text(encoding="utf-8")
    text = re.sub(r"\n//# sourceMappingURL=.*", "", original)
    if file.endswith("vega-interpreter.js"):
        text = as_script(text)

    target = HERE / f"{name}.js"
    target.write_text(text, encoding="utf-8")
    (HERE / f"{name}.LICENSE").write_bytes((package / "LICENSE").read_bytes())
    licence = json.loads((package / "package.json").read_text(encoding="utf-8"))["license"]
    return {
        "version": version,
        "license": licence,
        "file": file,
        "original_sha256": hashlib.sha256(original.encode()).hexdigest(),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def main() -> None:
    """Pack every library, and write down what it is."""
    with tempfile.TemporaryDirectory() as folder:
        packed = {
            name: pack(Path(folder), name, version, file)
            for name, (version, file) in PACKAGES.items()
        }

    (HERE / "vendor.json").write_text(json.dumps(packed, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
