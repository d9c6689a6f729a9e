"""Synthetic advertisers, ads and commercial content of the ads library, computed from the seed (facts 2.12).

A record is a mapping from dotted field names, such as `ad.id`, to values; a field without a value is absent.
The keys inside `videos`, `reach`, `rejection_info`, `targeting_info`, `creator` are not in the facts: inferred.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from app.simulator.dataset import DAY_S, REFERENCE_S, REGIONS, Dataset, is_minor, is_private, username
from app.simulator.videos import mixed

COUNTRIES = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "CH",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "ES",
        "FI",
        "FR",
        "GB",
        "GR",
        "HR",
        "HU",
        "IE",
        "IS",
        "IT",
        "LI",
        "LT",
        "LU",
        "LV",
        "MT",
        "NL",
        "NO",
        "PL",
        "PT",
        "RO",
        "SE",
        "SI",
        "SK",
    ]
)
"""Where ads are shown: the EEA (facts 2.12), Switzerland and the United Kingdom (inferred)."""

AD_FIELDS = frozenset(
    {
        "ad.id", "ad.first_shown_date", "ad.last_shown_date", "ad.status", "ad.status_statement", "ad.videos",
        "ad.image_urls", "ad.reach", "advertiser.business_id", "advertiser.business_name",
        "advertiser.paid_for_by",
    }
)  # fmt: skip
"""What a query for ads may ask for (facts 2.12)."""

DETAIL_FIELDS = AD_FIELDS | {
    "ad.title", "ad.external_url", "ad.call_to_action", "ad.advertising_objective", "ad.rejection_info",
    "advertiser.country_code", "advertiser.profile_url", "advertiser.follower_count",
    "ad_group.targeting_info",
}  # fmt: skip
"""What the details of one ad may ask for (facts 2.12)."""

ADVERTISER_FIELDS = frozenset({"business_id", "business_name", "country_code"})
"""Facts 2.12."""

CONTENT_FIELDS = frozenset(
    {"id", "create_timestamp", "create_date", "label", "brand_names", "creator", "videos"}
)
"""Facts 2.12; `create_date` and `label` were seen since."""

ADVERTISER_COUNT = 96
AD_COUNT = 1_500
CONTENT_COUNT = 600
_SPAN_DAYS = 400
_SPREAD = (1 << 48) - 1
_ADVERTISER_IDS = 7_060_000_000_000_000_000
_AD_IDS = 1_780_000_000_000_000_000

_HOMES = tuple(sorted(COUNTRIES))
_TRADES = (
    "Bakery",
    "Reisen",
    "Assurances",
    "Moda",
    "Energy",
    "Garten",
    "Bikes",
    "Bücher",
    "Cinéma",
    "Telecom",
)
_FORMS = ("GmbH", "Ltd", "SARL", "S.p.A.", "AB", "Sp. z o.o.")
_SLOGANS = (
    "fresh every morning", "the sale of the year", "découvrez la collection", "jetzt bestellen", "try it at home",
    "made in Europe", "vote with your feet", "last days", "für kleine Wohnungen", "sempre con te",
)  # fmt: skip
_ENDED = ("inactive", "inactive", "inactive", "expired", "deleted_by_advertiser", "removed_by_tiktok")
"""Facts 2.12 has these and `active`; how frequent they are is a guess."""

_CALLS_TO_ACTION = ("Shop now", "Learn more", "Sign up", "Download")
_OBJECTIVES = ("REACH", "TRAFFIC", "VIDEO_VIEWS", "CONVERSIONS")
_REACHES = ("0-1K", "1K-10K", "10K-100K", "100K-1M")
_AGES = ("13-17", "18-24", "25-34", "35-44", "45-54", "55+")
_LABELS = ("Paid partnership", "Promotional content", "No label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ad:
    """One ad: what queries look at. `advertiser` is a number, not an id."""

    id: int
    advertiser: int
    first_shown: int
    last_shown: int
    countries: frozenset[str]
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One piece of commercial content that is no ad: what queries look at."""

    id: int
    created_s: int
    creator: int
    country: str

    @property
    def created(self) -> int:
        """The day of its creation as the number YYYYMMDD."""
        return _day(self.created_s)


class AdLibrary:
    """All ads, advertisers and commercial content, the same for the same seed."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    @cached_property
    def ads(self) -> tuple[Ad, ...]:
        """Every ad, the latest first; ads of one day by falling id."""
        made = (self._ad(number) for number in range(AD_COUNT))
        return tuple(sorted(made, key=lambda ad: (ad.first_shown, ad.id), reverse=True))

    @cached_property
    def contents(self) -> tuple[Content, ...]:
        """All commercial content, the latest first."""
        made = (self._content(number) for number in range(CONTENT_COUNT))
        return tuple(sorted(made, key=lambda content: (content.created_s, content.id), reverse=True))

    def ad(self, ad_id: int) -> Ad | None:
        """The ad with an id."""
        return self._by_id.get(ad_id)

    def business_id(self, advertiser: int) -> int:
        """The id of an advertiser."""
        return _ADVERTISER_IDS + (self._bits("advertiser", advertiser) & _SPREAD)

    def business_name(self, advertiser: int) -> str:
        """The name of an advertiser; the marker shows that it is synthetic."""
        trade, form = _TRADES[advertiser % len(_TRADES)], _FORMS[advertiser // len(_TRADES) % len(_FORMS)]
        return f"Sim {trade} {advertiser + 1} {form}"

    def advertiser(self, number: int) -> dict[str, Any]:
        """What a query for advertisers shows."""
        return {
            "business_id": self.business_id(number),
            "business_name": self.business_name(number),
            "country_code": self._home(number),
        }

    def ad_record(self, ad: Ad) -> dict[str, Any]:
        """All there is to an ad, by dotted field names."""
        bits, status = mixed(ad.id), self._status(ad)
        record: dict[str, Any] = {
            "ad.id": ad.id,
            "ad.first_shown_date": ad.first_shown,
            "ad.last_shown_date": ad.last_shown,
            "ad.status": status,
            "ad.status_statement": "" if status in {"active", "inactive"} else f"This ad is {status}.",
            "ad.reach": _reach(ad, bits),
            "ad.title": ad.title,
            "ad.call_to_action": _CALLS_TO_ACTION[bits >> 8 & 3],
            "ad.advertising_objective": _OBJECTIVES[bits >> 10 & 3],
            "ad_group.targeting_info": _targeting(ad, bits),
            **self._advertiser_record(ad.advertiser),
        }
        if bits >> 12 & 3:
            record["ad.external_url"] = f"https://shop.invalid/sim/{ad.id}"
        if status == "removed_by_tiktok":
            record["ad.rejection_info"] = {"affected_countries": sorted(ad.countries), "reasons": ["[sim]"]}
        elif bits >> 14 & 3:
            record["ad.videos"] = [_video(ad.id)]
        else:
            record["ad.image_urls"] = [f"https://image.invalid/sim/{ad.id}/{n}.jpeg" for n in range(2)]
        return record

    def content_record(self, content: Content) -> dict[str, Any]:
        """All there is to a piece of commercial content; some has no brand."""
        bits = mixed(content.id)
        record: dict[str, Any] = {
            "id": content.id,
            "create_timestamp": content.created_s,
            "create_date": str(content.created),
            "label": _LABELS[bits % len(_LABELS)],
            "creator": {"username": username(content.creator), "country_code": content.country},
            "videos": [_video(content.id)],
        }
        if bits >> 8 & 3:
            record["brand_names"] = [self.business_name(bits >> 10 & 63)]
        return record

    def _advertiser_record(self, number: int) -> dict[str, Any]:
        bits = self._bits("advertiser", number)
        record: dict[str, Any] = {
            f"advertiser.{name}": value for name, value in self.advertiser(number).items()
        }
        record["advertiser.profile_url"] = f"https://profile.invalid/sim/{number + 1}"
        record["advertiser.follower_count"] = bits >> 44 & 0xFFFF
        if bits >> 40 & 3:
            record["advertiser.paid_for_by"] = f"{self.business_name(number)} Holding"
        return record

    def _ad(self, number: int) -> Ad:
        bits = self._bits("ad", number)
        advertiser = (bits >> 8) % ADVERTISER_COUNT
        first = (bits >> 16) % _SPAN_DAYS
        last = min(first + (bits >> 26) % 90, _SPAN_DAYS - 1)
        home = _HOMES.index(self._home(advertiser))
        return Ad(
            id=_AD_IDS + (mixed(bits) & _SPREAD),
            advertiser=advertiser,
            first_shown=_synthetic_day(first),
            last_shown=_synthetic_day(last),
            countries=frozenset(_HOMES[(home + 5 * n) % len(_HOMES)] for n in range(1 + (bits >> 34) % 4)),
            title=f"[sim] {_SLOGANS[(bits >> 38) % len(_SLOGANS)]}",
        )

    def _content(self, number: int) -> Content:
        bits, creators = self._bits("content", number), self._creators
        created_s = REFERENCE_S - 1 - bits % (_SPAN_DAYS * DAY_S)
        creator = creators[(bits >> 40) % len(creators)]
        return Content(
            id=created_s << 32 | bits >> 32,
            created_s=created_s,
            creator=creator,
            country=REGIONS[self._dataset.author_regions[creator]],
        )

    def _status(self, ad: Ad) -> str:
        """What is shown up to the reference date is active, the rest has ended in some way."""
        if ad.last_shown >= _synthetic_day(_SPAN_DAYS - 1):
            return "active"
        return _ENDED[mixed(ad.id ^ 0x53) % len(_ENDED)]

    def _home(self, advertiser: int) -> str:
        return _HOMES[(self._bits("advertiser", advertiser) >> 50) % len(_HOMES)]

    def _bits(self, kind: str, number: int) -> int:
        return mixed(mixed(self._dataset.seed << 16 ^ int.from_bytes(kind.encode())) ^ number)

    @cached_property
    def _creators(self) -> Sequence[int]:
        """Public adult accounts of the countries of the library."""
        of = self._dataset
        everybody = range(1, of.author_count + 1)
        return [
            n
            for n in everybody
            if REGIONS[of.author_regions[n]] in COUNTRIES and not is_private(n) and not is_minor(n)
        ]

    @cached_property
    def _by_id(self) -> Mapping[int, Ad]:
        return {ad.id: ad for ad in self.ads}


def _synthetic_day(number: int) -> int:
    """A day of the span as the number YYYYMMDD; the last lies right before the reference date."""
    return _day(REFERENCE_S + (number - _SPAN_DAYS) * DAY_S)


def _day(moment_s: int) -> int:
    return int(datetime.fromtimestamp(moment_s, UTC).strftime("%Y%m%d"))


def _video(of: int) -> dict[str, str]:
    return {
        "url": f"https://video.invalid/sim/{of}.mp4",
        "cover_image_url": f"https://image.invalid/sim/{of}.jpeg",
    }


def _reach(ad: Ad, bits: int) -> dict[str, Any]:
    seen = _REACHES[bits >> 16 & 3]
    return {
        "unique_users_seen": seen,
        "unique_users_seen_by_country": dict.fromkeys(sorted(ad.countries), seen),
    }


def _targeting(ad: Ad, bits: int) -> dict[str, Any]:
    return {
        "age": {age: bool(bits >> 20 + n & 1) for n, age in enumerate(_AGES)},
        "gender": {"female": True, "male": bool(bits >> 30 & 1), "unknown": True},
        "country": sorted(ad.countries),
        "number_of_users_targeted": _REACHES[bits >> 16 & 3],
    }
