"""The contract's own state file, made whole with the files that it points at."""

from pathlib import Path

import yaml

CANARY = "hT4v9skQ-canary-upstream-secret"

STATE = """
credentials:
  - name: main
    base_url: https://open.tiktokapis.com
    client_key: aw000example
    client_secret_file: secrets/tiktok
    limits: {requests/day: 1000, records/day: 100000, follower_calls/day: 20000, follower_records/day: 2000000}
    roster_limit: 10
terms:
  - version: "2024-10"
    title: TikTok Research Tools Terms of Service
    text_file: terms-2024-10.md
    in_force_from: 2024-10-25
people:
  - email: ada@example.edu
    name: Ada Byron
    roles: [researcher]
    accepted: [{version: "2024-10", on: 2026-02-01, evidence_file: ada.pdf}]
  - {email: it@example.edu, name: Service desk, roles: [admin]}
  - {email: dpo@example.edu, name: Data protection, roles: [compliance]}
projects:
  - name: elections
    credential: main
    approval: {reference: R-2026-014, from: 2026-01-01, until: 2027-06-30}
    lead: ada@example.edu
    members: [ada@example.edu]
    cache_scope: project
    allow:
      endpoints: [video/query, user/info, video/comment/list]
      fields: {user/info: [display_name, follower_count]}
      conditions: {region_code: [US, CA]}
    limits: {requests/day: 300, records/day: 30000, calls/minute: 60}
    member_limits: {requests/day: 100}
"""


class Scene:
    """A directory with the state file, which tests edit."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "secrets").mkdir()
        self.write_secret(CANARY)
        (directory / "terms-2024-10.md").write_text("# Terms\n\nBe good.\n")
        (directory / "ada.pdf").write_bytes(b"%PDF-1.7 signed by Ada")
        self.path = directory / "bursar.yaml"
        self.path.write_text(STATE)

    def write_secret(self, secret: str) -> None:
        (self.directory / "secrets" / "tiktok").write_text(secret + "\n")

    def add_project_with_floor(self, name: str, floor: int) -> None:
        """A second project of the same credential and people, with so many requests of each day for itself."""
        head, _, project = self.path.read_text().partition("  - name: elections")
        second = project.replace("R-2026-014", "R-2026-015").replace(
            "member_limits: {requests/day: 100}", f"floors: {{requests/day: {floor}}}"
        )
        self.path.write_text(f"{head}  - name: elections{project}  - name: {name}{second}")

    def edit(self, old: str, new: str) -> None:
        text = self.path.read_text()
        assert old in text, old
        self.path.write_text(text.replace(old, new))

    def add_people(self, count: int) -> None:
        """So many more researchers, all members of the project."""
        content = yaml.safe_load(self.path.read_text().replace("on: 2026", "'on': 2026"))
        for number in range(count):
            email = f"person{number}@example.edu"
            content["people"].append({"email": email, "name": f"Person {number}", "roles": ["researcher"]})
            content["projects"][0]["members"].append(email)
        self.path.write_text(yaml.safe_dump(content))
