"""The words that synthetic records are made of, and the region codes that the platform accepts."""

_ACCEPTED = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT
BV BW BY BZ CA CD CF CG CH CI CK CL CM CN CO CR CU CV CW CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES
ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL
IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA
MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU
NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SK SL SM
SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TP TR TT TV TW TZ UA UG UM US UY UZ VA
VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
"""
REGION_CODES = frozenset(_ACCEPTED.split())
"""Facts 2.2; the platform's own list."""

REGION_WEIGHTS = {
    "US": 30, "DE": 12, "FR": 10, "GB": 10, "ES": 6, "IT": 6, "PL": 5, "NL": 4, "SE": 3, "IE": 3, "BR": 3,
    "MX": 2, "CA": 2, "RO": 2, "GR": 1, "PT": 1,
}  # fmt: skip
"""Where synthetic authors come from, by weight."""

HASHTAGS = (
    "election", "climate", "dance", "football", "news", "health", "music", "comedy", "food", "travel",
    "fashion", "books", "science", "vote", "europe", "school", "cats", "dogs", "fitness", "art",
    "history", "housing", "energy", "budget", "migration", "vaccine", "farming", "trains", "beauty", "gaming",
    "cinema", "garden", "diy", "cycling", "weather", "ocean", "forest", "recipe", "language", "maths",
    "réforme", "wahl", "انتخابات", "בחירות", "música", "família", "żubr", "γεια",
)  # fmt: skip
"""In falling order of use; the n-th is drawn with weight 1/n."""

PHRASES = (
    "[sim]",
    "what nobody says about the election", "climate facts in one minute", "new dance with friends",
    "the vote explained", "my honest opinion", "watch until the end", "part two is coming", "day in my life",
    "breaking news tonight", "how to cook this", "is this true?", "training for the race", "a small story",
    "live from the city hall", "protest this morning", "doctors explain", "prices are rising", "our village",
    "learn with me", "before and after", "old photos found", "answering your questions", "storm warning",
    "first day of school", "budget cuts again", "the train is late", "candidate debate", "count every ballot",
    "planting trees", "so happy 😀", "🔥🔥🔥", "❤️ thank you", "👩‍🔬 in the lab", "🗳️ today", "🇪🇺🇩🇪",
    "مرحبا بالعالم", "اليوم في المدينة", "שלום לכולם", "Größe und Maß", "l'été à la plage", "ça va?",
    "Ελλάδα σήμερα", "źdźbło trawy", "東京の朝", "안녕하세요",
)  # fmt: skip
"""Pieces of a caption; the first is the sandbox marker, which every caption carries."""

COMMENT_TEXTS = (
    "so true", "who else is here in the evening?", "call me 06******12", "😂😂😂", "", "first",
    "write to s***@e******.org", "مبروك", "not convinced", "love this ❤️", "source?", "part 3 please",
    "תודה", "same in our town", "card ************4242 lost", "thanks for explaining",
)  # fmt: skip
"""Texts of comments; personal data is masked with asterisks, as the platform does (facts 2.3)."""
