"""`python -m app.simulator`: the stand-in for the platform, from a shell."""

import argparse

from app.simulator.configuration import SCOPES
from app.simulator.serve import run


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m app.simulator", description="A stand-in for the TikTok Research API."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--seed", type=int, default=1, help="which synthetic data")
    parser.add_argument("--videos", type=int, default=100_000, help="how many synthetic videos")
    parser.add_argument(
        "--client-key",
        action="append",
        dest="client_keys",
        help="sim-client-key by default; several are accounts with quotas of their own",
    )
    parser.add_argument("--client-secret", default="sim-client-secret")
    parser.add_argument("--requests-per-day", type=int, default=1000)
    parser.add_argument("--records-per-day", type=int, default=100_000)
    parser.add_argument("--follower-calls-per-day", type=int, default=20_000, help="followers and following")
    parser.add_argument("--follower-records-per-day", type=int, default=2_000_000)
    parser.add_argument(
        "--scopes", default=",".join(sorted(SCOPES)), help="what the client is approved for; all by default"
    )
    parser.add_argument("--realistic", action="store_true", help="with the quirks of the real platform")
    options = parser.parse_args()
    try:
        run(**{name: value for name, value in vars(options).items() if value is not None})
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
