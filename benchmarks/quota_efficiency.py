"""How many requests of the platform's quota a working group spends: directly, behind a cache of exact calls, and behind Bursar.

Run it with `./dev python -m benchmarks.quota_efficiency`. A seeded mix of crawls, each to its end, is replayed in each
way against a simulator of its own with the same data; requests are those that the simulator has counted, and every
record that Bursar delivers is compared with the direct crawl's.
"""

import argparse
import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from app.calls import Delivered
from app.provider.endpoints import ENDPOINTS
from app.simulator.dataset import Dataset, username
from app.simulator.vocabulary import HASHTAGS
from tests.servers.library import OUTSIDER, Platform, opened_library

PROJECTS = {
    "elections": ["ada", "ben", "cleo"],
    "climate": ["dora", "emil", "fay"],
    "health": ["gil", "hana", "ivo"],
}
NEW = 0.35
"""Share of jobs that ask something new."""
QUESTIONS = {
    "hashtag": 30,
    "keyword": 20,
    "author": 10,
    "profile": 14,
    "comments": 12,
    "ids": 10,
    "followers": 4,
}
AGAIN = (
    "same bytes",
    "other order",
    "other fields",
    "narrower dates",
    "one more condition",
    "other page size",
    "look-up",
)
KEYWORDS = ("election", "vote", "climate", "news", "recipe", "school", "budget", "train", "doctors", "storm")
VIDEO_FIELDS = (
    "id,create_time,username,region_code,video_description,music_id,like_count,comment_count,share_count,view_count",
    "id,username,create_time,region_code",
    "id,view_count,like_count,share_count,comment_count",
    "id,username,hashtag_names,video_description",
    "id,create_time,voice_to_text,video_description",
    "id,username,region_code,music_id,effect_ids,video_duration",
)
PROFILE_FIELDS = (
    "display_name,follower_count",
    "display_name,bio_description,is_verified",
    "follower_count,video_count,likes_count",
)
COMMENT_FIELDS = ("id,text,create_time", "id,text,like_count,reply_count", "id,parent_comment_id,text")
FIRST_DAY, DAYS = date(2026, 1, 1), 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One crawl by one person, to its end."""

    project: str
    who: str
    kind: str
    how: str
    endpoint: str
    body: str
    """The first page's, as its bytes are sent; later pages add `cursor` and `search_id`."""
    fields: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one way has brought: the platform's count of requests, the client's calls, and the records of each job."""

    requests: int
    calls: int
    records: list[list[str]]
    hits: Mapping[str, int] = field(default_factory=dict)


class Mix:
    """Jobs of a working group, the same for the same seed; `sizes` are those asked for, None where none is named.

    What is asked again is one of the questions that were new, each as likely as another, with one thing changed; with
    `is_chained` one of all the jobs before, so that changes add up and what was asked again is asked again the more.
    """

    def __init__(
        self, *, seed: int, sizes: Sequence[int | None], dataset: Dataset, is_chained: bool = False
    ) -> None:
        self._rng = random.Random(seed)
        self._sizes = sizes
        self._data = dataset
        self._is_chained = is_chained
        self._earlier: dict[str, list[Job]] = {name: [] for name in PROJECTS}

    def jobs(self, count: int) -> list[Job]:
        return [self._next() for _ in range(count)]

    def _next(self) -> Job:
        rng = self._rng
        project = rng.choice(list(PROJECTS))
        earlier = self._earlier[project]
        job = None
        if earlier and rng.random() >= NEW:
            # In one of the ways that anything before can be asked again in.
            ways = (self._again(how, earlier) for how in rng.sample(AGAIN, len(AGAIN)))
            job = next((each for each in ways if each is not None), None)
        if job is None:
            job = self._new(project)
        job = replace(job, who=rng.choice(PROJECTS[project]))
        if self._is_chained or job.how == "new":
            earlier.append(job)
        return job

    def _new(self, project: str) -> Job:
        rng, data = self._rng, self._data
        kind = rng.choices(list(QUESTIONS), weights=list(QUESTIONS.values()))[0]
        endpoint, body, fields = "video/query", dict[str, Any](), rng.choice(VIDEO_FIELDS)
        author = username(data.authors[rng.randrange(len(data))])
        match kind:
            case "hashtag":
                values = rng.sample(HASHTAGS[:20], rng.randint(1, 2))
                body = self._search("hashtag_name", values, days=rng.choice((7, 14, 30)))
            case "keyword":
                body = self._search("keyword", [rng.choice(KEYWORDS)], days=rng.choice((7, 14, 30)))
            case "author":
                body = self._search("username", [author], days=30)
            case "ids":
                start = self._day(30)
                ids = [self._id_within(start, 30) for _ in range(rng.randint(1, 3))]
                body = self._search("video_id", ids, days=30, start=start)
            case "comments":
                body, endpoint = {"video_id": data.ids[rng.randrange(2_000)]}, "video/comment/list"
                fields = rng.choice(COMMENT_FIELDS)
            case "profile":
                body, endpoint, fields = {"username": author}, "user/info", rng.choice(PROFILE_FIELDS)
            case _:
                body, endpoint, fields = {"username": author}, "user/followers", ""
        size = rng.choice(self._sizes)
        if size is not None and endpoint != "user/info":
            body["max_count"] = size
        return Job(
            project=project,
            who="",
            kind=kind,
            how="new",
            endpoint=endpoint,
            body=json.dumps(body),
            fields=fields,
        )

    def _again(self, how: str, earlier: Sequence[Job]) -> Job | None:
        """An earlier question asked again in one of the ways; None where none can be."""
        rng = self._rng
        fit = [job for job in earlier if self._fits(how, job)]
        if not fit:
            return None
        job = rng.choice(fit)
        body = json.loads(job.body)
        match how:
            case "other order":
                body = next(
                    turned
                    for turned in iter(lambda: _turned(body, rng), None)
                    if json.dumps(turned) != job.body
                )
            case "other fields":
                sets = {"video/query": VIDEO_FIELDS, "user/info": PROFILE_FIELDS}.get(
                    job.endpoint, COMMENT_FIELDS
                )
                return replace(job, how=how, fields=rng.choice([each for each in sets if each != job.fields]))
            case "narrower dates":
                first, last = (date.fromisoformat(body[name]) for name in ("start_date", "end_date"))
                days = (last - first).days
                begin = rng.randint(0, days - 1)
                end = rng.randint(begin, days if begin else days - 1)
                body["start_date"], body["end_date"] = (
                    f"{first + timedelta(n):%Y%m%d}" for n in (begin, end)
                )
            case "one more condition":
                regions = rng.sample(("US", "DE", "FR", "GB", "ES"), rng.randint(1, 2))
                more = {"field_name": "region_code", "operation": "IN", "field_values": regions}
                body["query"]["and"].append(more)
            case "other page size":
                size = rng.choice([each for each in self._sizes if each != body.get("max_count")] or [100])
                body.pop("max_count", None)
                body |= {} if size is None else {"max_count": size}
            case _:
                return replace(job, how=how)
        return replace(job, how=how, body=json.dumps(body))

    def _fits(self, how: str, job: Job) -> bool:
        body = json.loads(job.body)
        match how:
            case "narrower dates":
                return job.endpoint == "video/query" and body["start_date"] < body["end_date"]
            case "one more condition":
                named = {each["field_name"] for each in body.get("query", {}).get("and", [])}
                return job.endpoint == "video/query" and "region_code" not in named
            case "other fields":
                return bool(job.fields)
            case "other order":
                return len(body) > 1
            case "other page size":
                return job.endpoint != "user/info"
            case "look-up":
                return job.kind in {"profile", "ids"}
            case _:
                return True

    def _search(
        self, name: str, values: Sequence[str], *, days: int, start: date | None = None
    ) -> dict[str, Any]:
        begin = start or self._day(days)
        operation = "IN" if len(values) > 1 else "EQ"
        return {
            "query": {"and": [{"operation": operation, "field_name": name, "field_values": list(values)}]},
            "start_date": f"{begin:%Y%m%d}",
            "end_date": f"{begin + timedelta(days - 1):%Y%m%d}",
        }

    def _day(self, days: int) -> date:
        return FIRST_DAY + timedelta(self._rng.randrange(DAYS - days))

    def _id_within(self, start: date, days: int) -> str:
        day = start + timedelta(self._rng.randrange(days))
        moment = int((day - date(1970, 1, 1)).total_seconds()) + self._rng.randrange(86_400)
        return str(self._data.ids[min(self._data.first_before(moment), len(self._data) - 1)])


def _turned(body: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
    """The same body with its keys, conditions and values in another order."""

    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: turned(each) for name, each in rng.sample(list(value.items()), len(value))}
        if isinstance(value, list):
            return [turned(each) for each in rng.sample(value, len(value))]
        return value

    found: dict[str, Any] = turned(dict(body))
    return found


Ask = Callable[[Job, str], Awaitable[Mapping[str, Any] | str]]


async def crawl(job: Job, ask: Ask) -> tuple[int, list[str]]:
    """How many calls it took, and the records, as JSON; the last of them is the message of a refusal."""
    key, body, records = ENDPOINTS[job.endpoint].list_key, job.body, list[str]()
    for calls in range(1, 10_000):
        data = await ask(job, body)
        if isinstance(data, str):
            return calls, [*records, data]
        records += [json.dumps(each, sort_keys=True) for each in (data[key] if key else [data])]
        if not data.get("has_more"):
            return calls, records
        onward = {name: data[name] for name in ("cursor", "search_id") if name in data}
        body = json.dumps({**json.loads(job.body), **onward})
    raise AssertionError("a crawl has no end")


async def replay(jobs: Sequence[Job], ask: Ask) -> tuple[int, list[list[str]]]:
    calls, records = 0, []
    for job in jobs:
        made, found = await crawl(job, ask)
        calls += made
        records.append(found)
    return calls, records


async def directly(jobs: Sequence[Job], videos: int, *, is_cached: bool) -> Replayed:
    """Without Bursar; with a cache of exact calls in each project, or without one."""
    platform = Platform(videos=videos)
    held: dict[tuple[str, ...], Mapping[str, Any] | str] = {}

    async def ask(job: Job, body: str) -> Mapping[str, Any] | str:
        key = (job.project, job.endpoint, job.fields, body)
        if is_cached and key in held:
            return held[key]
        answer = (
            await platform.ask(job.endpoint, job.fields.split(",") if job.fields else (), json.loads(body))
        ).json()
        error = answer["error"]
        found: Mapping[str, Any] | str = answer["data"] if error["code"] == "ok" else error["message"]
        if error["code"] == "ok":
            held[key] = found
        return found

    calls, records = await replay(jobs, ask)
    return Replayed(platform.requests(OUTSIDER), calls, records)


async def through_bursar(jobs: Sequence[Job], videos: int, *, without: str = "") -> Replayed:
    """With Bursar, less the steps of reuse that are left out."""
    memory = Path("/dev/shm")
    hits: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as home:
        async with opened_library(
            Path(home), projects=PROJECTS, platform=Platform(videos=videos), reuse_without=without
        ) as library:

            async def ask(job: Job, body: str) -> Mapping[str, Any] | str:
                fields = job.fields.split(",") if job.fields else ()
                answer = await library.ask(job.who, job.endpoint, fields, body.encode())
                if not isinstance(answer, Delivered):
                    return answer.error.message
                hits[answer.how if answer.how != "hit" else f"hit {answer.detail}"] += 1
                data: Mapping[str, Any] = json.loads(answer.data)
                return data

            calls, records = await replay(jobs, ask)
            return Replayed(library.platform.requests(), calls, records, dict(hits))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Requests that the platform counted, and what they say."""

    jobs: int
    records: int
    direct: int
    exact_cache: int
    bursar: int
    without: Mapping[str, int]
    hits: Mapping[str, int]
    same_records: bool

    @property
    def ratio(self) -> float:
        """Requests behind a cache of exact calls, for each of Bursar's."""
        return self.exact_cache / self.bursar


async def measure(
    *,
    seed: int,
    count: int,
    videos: int,
    sizes: Sequence[int | None],
    steps: Sequence[str],
    is_chained: bool = False,
) -> Figures:
    """One mix in every way."""
    data = Dataset(seed=1, videos=videos)
    jobs = Mix(seed=seed, sizes=sizes, dataset=data, is_chained=is_chained).jobs(count)
    direct = await directly(jobs, videos, is_cached=False)
    exact = await directly(jobs, videos, is_cached=True)
    bursar = await through_bursar(jobs, videos)
    without = {step: await through_bursar(jobs, videos, without=step) for step in steps}
    return Figures(
        jobs=len(jobs),
        records=sum(map(len, direct.records)),
        direct=direct.requests,
        exact_cache=exact.requests,
        bursar=bursar.requests,
        without={step: each.requests for step, each in without.items()},
        hits=bursar.hits,
        same_records=all(each.records == direct.records for each in (exact, bursar, *without.values())),
    )


def _told(name: str, figures: Figures) -> Iterator[str]:
    yield name
    yield f"  {figures.jobs} crawls, {figures.records} records; the same records in every way: {figures.same_records}"
    yield f"  requests: direct {figures.direct}, cache of exact calls {figures.exact_cache}, Bursar {figures.bursar}"
    yield f"  cache of exact calls / Bursar: {figures.ratio:.2f}; direct / Bursar: {figures.direct / figures.bursar:.2f}"
    for step, requests in figures.without.items():
        yield f"  without {step}: {requests} requests, ratio {figures.exact_cache / requests:.2f}"
    yield f"  Bursar's answers: {', '.join(f'{how} {count}' for how, count in sorted(figures.hits.items()))}"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument(
        "--steps",
        default="full-pages,wide-fields,containment,records",
        help="steps of reuse to leave out in turn",
    )
    parser.add_argument(
        "--chained", action="store_true", help="ask what was asked again again as well, with one more change"
    )
    parser.add_argument("--sizes", choices=("all", "large", "both"), default="both", help="sizes of page")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    steps = [each for each in options.steps.split(",") if each]
    mixes: dict[str, tuple[int | None, ...]] = {
        # Two in five name no size, the others 20, 50 or 100.
        "all sizes of page": (None, None, 20, 50, 100),
        "pages of 50 and 100 alone": (50, 100),
    }
    found = {
        name: asyncio.run(
            measure(
                seed=options.seed,
                count=options.jobs,
                videos=options.videos,
                sizes=sizes,
                steps=steps,
                is_chained=options.chained,
            )
        )
        for name, sizes in mixes.items()
        if options.sizes == "both" or (options.sizes == "large") == (None not in sizes)
    }
    if options.json:
        print(json.dumps({name: {**asdict(each), "ratio": each.ratio} for name, each in found.items()}))
        return
    for name, each in found.items():
        print("\n".join(_told(name, each)))


if __name__ == "__main__":
    main()
