"""The bill of materials of what runs: `./dev sbom` prints CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/).

Made from requirements.lock alone, without a network and without a time, so that the same lock gives the same text.
"""

import json
import sys
import tomllib
from pathlib import Path

from locked import Pin, pins

ROOT = Path(__file__).parents[2]


def bill() -> dict[str, object]:
    """Bursar, and below it every package that its lock pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = pins(ROOT / "requirements.lock")
    itself = f"pkg:pypi/{project['name']}@{project['version']}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": itself,
                "name": project["name"],
                "version": project["version"],
                "purl": itself,
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": [_component(each) for each in locked],
        "dependencies": [{"ref": itself, "dependsOn": sorted(_purl(each) for each in locked)}],
    }


def _component(pin: Pin) -> dict[str, object]:
    found: dict[str, object] = {
        "type": "library",
        "bom-ref": _purl(pin),
        "name": pin.name,
        "version": pin.version,
        "purl": _purl(pin),
    }
    if pin.marker:
        found["properties"] = [{"name": "bursar:marker", "value": pin.marker}]
    return found


def _purl(pin: Pin) -> str:
    return f"pkg:pypi/{pin.name}@{pin.version}"


if __name__ == "__main__":
    json.dump(bill(), sys.stdout, indent=2)
    sys.stdout.write("\n")
