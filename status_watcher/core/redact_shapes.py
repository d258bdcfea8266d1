"""Secrets that show what they are wherever they stand: key material, tokens with a prefix, random strings."""

import re
from collections.abc import Iterable
from typing import Final

from status_watcher.core.redact_mark import REDACTED


def without_shaped_secrets(text: str) -> str:
    """`text` without whatever is a secret by its own shape."""
    if "-----BEGIN" in text:
        text = _KEY_MATERIAL.sub(REDACTED, text)
    if "eyJ" in text:
        text = _JSON_WEB_TOKEN.sub(REDACTED, text)
    if "$" in text:
        text = _PASSWORD_HASH.sub(rf"\1{REDACTED}", text)
    for gate, pattern in _GATED:
        if gate in text:
            text = pattern.sub(REDACTED, text)
    return _RUN.sub(_without_randomness, _WORD.sub(_without_tokens, text))


# Also if its end is missing. PGP's says BLOCK, and certificates and public keys are none.
_KEY_MATERIAL: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----"
    r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----|\Z)",
    re.DOTALL,
)
# Header, body and, unless it was cut, signature.
_JSON_WEB_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?")

# Hashes of passwords, as crypt(3) and its successors write them, and Django: `pbkdf2_sha256$600000$…`.
_PASSWORD_HASH: Final = re.compile(
    r"(\$(?:[1567y]|2[abxy]|gy|sha1|md5|apr1|argon2(?:i|d|id)|scrypt|bcrypt-sha256|pbkdf2(?:-sha\d{1,3})?)\$"
    r"|\b(?:pbkdf2_sha\d{1,3}|scrypt|md5|bcrypt)\$)(?=[^\s:\"']{0,256}[$./=\d])[A-Za-z0-9./$+=,_-]{16,}"
)
# What has its mark in the middle: found from there is too slow, so each is tried only where the mark is seen.
_GATED: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("-us", re.compile(r"[0-9a-f]{32}-us\d{1,2}(?![A-Za-z0-9_])")),  # Mailchimp
    ("Q~", re.compile(r"[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{20,}")),  # Azure AD
    (".atlasv1.", re.compile(r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{20,}")),  # Terraform
    ("RAM-SHA", re.compile(r"(?<=SCRAM-SHA-256\$)\d{1,8}:[A-Za-z0-9+/=$:]{20,}")),  # PostgreSQL
    (":::", re.compile(r"[0-9a-f]{32}:[0-9a-f]{32}(?=:::)")),  # Windows
    ("'*", re.compile(r"(?<='\*)[0-9A-F]{40}(?=')")),  # MySQL
    (":A", re.compile(r"(?<![0-9])\d{6,12}:A[A-Za-z0-9_-]{32,40}")),  # Telegram
    ("Account", re.compile(r"(?<=AccountKey=)[A-Za-z0-9+/=]{20,}")),  # Azure storage
)

_TAIL: Final = "[A-Za-z0-9_-]{10,}"
_DOTTED: Final = "[A-Za-z0-9_.-]{10,}"
_ALNUM: Final = "[A-Za-z0-9]{10,}"
_HEX: Final = "[0-9a-fA-F]{10,}"
_BASE64: Final = "[A-Za-z0-9+/=]{20,}"
_MIXED: Final = r"(?=[A-Za-z]{0,31}\d)(?=\d{0,31}[A-Za-z])[A-Za-z0-9]{24,}"
_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

_SURE: Final[tuple[tuple[str, str], ...]] = (
    # Prefixes that their providers chose to be found by, wherever in a word. What must follow is shorter than
    # what they issue, for tokens that were cut.
    *((f"gh{kind}_", _ALNUM) for kind in "opsur"),
    ("github_pat_", _TAIL),
    *(
        (f"gl{kind}-", _DOTTED)
        for kind in ("pat", "dt", "rt", "ptt", "ft", "soat", "oas", "agent", "imt", "ffct", "cbt")
    ),
    ("GR1348941", _TAIL),  # GitLab runner
    *((f"xox{kind}-", _TAIL) for kind in "abceoprs"),  # Slack
    ("xapp-", _TAIL),
    ("xoxe.", _DOTTED),
    ("AIza", _TAIL),  # Google
    ("ya29.", _TAIL),
    ("GOCSPX-", _TAIL),
    ("whsec_", _TAIL),  # Stripe
    *((f"{kind}k_{mode}_", _ALNUM) for kind in "srp" for mode in ("live", "test", "prod") if kind != "p"),
    ("sk-ant-", _TAIL),
    ("sk-proj-", _TAIL),
    ("sk-or-v1-", _TAIL),
    ("gsk_", "[A-Za-z0-9]{20,}"),  # Groq
    ("pplx-", _ALNUM),
    ("npm_", "[A-Za-z0-9]{20,}"),
    ("pypi-AgE", _TAIL),
    ("rubygems_", _HEX),
    ("dckr_pat_", _TAIL),
    ("dckr_oat_", _TAIL),
    ("SG.", "[A-Za-z0-9_-]{16,}(?:[.][A-Za-z0-9_-]+)?"),  # SendGrid
    ("xkeysib-", _TAIL),  # Brevo
    ("xsmtpsib-", _TAIL),
    *((f"do{kind}_v1_", _HEX) for kind in "opr"),  # DigitalOcean
    *((f"shp{kind}_", _HEX) for kind in ("at", "ca", "pa", "ss")),  # Shopify
    ("sq0atp-", _TAIL),  # Square
    ("sq0csp-", _TAIL),
    ("hvs.", _TAIL),  # Vault
    ("hvb.", _TAIL),
    ("hvr.", _TAIL),
    *((f"dp.{kind}.", _DOTTED) for kind in ("pt", "st", "ct", "sa", "scim", "audit")),  # Doppler
    ("lin_api_", _ALNUM),
    ("lin_oauth_", _ALNUM),
    ("ntn_", "[A-Za-z0-9]{20,}"),  # Notion
    ("PMAK-", _TAIL),  # Postman
    *((f"NR{kind}-", _TAIL) for kind in ("AK", "II", "JS", "AL")),  # New Relic
    ("glsa_", "[A-Za-z0-9_]{10,}"),  # Grafana
    ("glc_", _BASE64),
    ("sntryu_", _HEX),
    ("sntrys_", "[A-Za-z0-9+/=_]{10,}"),
    ("ATATT3", "[A-Za-z0-9_=-]{10,}"),  # Atlassian
    ("ATCTT3", "[A-Za-z0-9_=-]{10,}"),
    ("ATBB", "[A-Za-z0-9]{20,}"),  # Bitbucket
    ("AGE-SECRET-KEY-1", "[A-Z0-9]{10,}"),
    *((f"tskey-{kind}-", _TAIL) for kind in ("auth", "api", "client", "scim", "webhook")),  # Tailscale
    *((f"fm{kind}_", _BASE64) for kind in ("1a", "1r", "2")),  # Fly
    ("pscale_", "(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{10,}"),  # PlanetScale
    ("sbp_", _HEX),  # Supabase
    ("sb_secret_", _TAIL),
    ("figd_", _TAIL),
    ("dt0c01.", _DOTTED),  # Dynatrace
    ("dt0s16.", _DOTTED),
    ("ops_eyJ", "[A-Za-z0-9+/=_-]{10,}"),  # 1Password
    *((f"sq{kind}_", _HEX) for kind in "uap"),  # SonarQube
    ("sha256~", _TAIL),  # OpenShift
    ("CCIPAT_", _TAIL),
    ("CCIPRJ_", _TAIL),
    ("CFPAT-", _TAIL),
    ("HRKU-", _TAIL),
    ("AKCp", "[A-Za-z0-9]{20,}"),  # Artifactory
    ("ABSK", _BASE64),  # Bedrock
    ("bedrock-api-key-", "[A-Za-z0-9+/=]{10,}"),
    ("secret_", "[A-Za-z0-9]{40,}"),  # Notion, as before 2024
    ("duffel_", "(?:test|live)_[A-Za-z0-9_=-]{10,}"),
    ("EZAK", "[A-Za-z0-9]{40,}"),  # EasyPost
    ("EZTK", "[A-Za-z0-9]{40,}"),
    ("FLWSECK", "[A-Za-z0-9_-]{10,}"),  # Flutterwave
    ("tfp_", "[A-Za-z0-9_=.-]{30,}"),  # Typeform
    ("rdme_", "[a-z0-9]{30,}"),
    ("shippo_", "(?:live|test)_[0-9a-fA-F]{10,}"),
    ("lsv2_", "(?:pt|sk)_[A-Za-z0-9_]{10,}"),  # LangSmith
    ("nvapi-", _TAIL),
    ("tvly-", "(?:dev|prod)-[A-Za-z0-9]{20,}"),
    ("jina_", "[A-Za-z0-9]{30,}"),
    ("RGAPI-", _UUID),  # Riot Games
    ("bkua_", _ALNUM),  # Buildkite
    ("CLOJARS_", _ALNUM),
    ("phc_", "[A-Za-z0-9]{30,}"),  # PostHog
    ("phx_", "[A-Za-z0-9]{30,}"),
    ("fio-u-", _TAIL),
    ("cmVmd", "[A-Za-z0-9]{50,}"),  # Artifactory
    ("vercel_", "[A-Za-z0-9_]{20,}"),
    ("nfp_", "[A-Za-z0-9]{30,}"),  # Netlify
)
_AT_A_BOUNDARY: Final[tuple[tuple[str, str], ...]] = (
    # Shorter marks: only where a word begins.
    ("sk-", r"(?=[A-Za-z_-]{0,64}\d)[A-Za-z0-9_-]{20,}"),  # OpenAI and many others
    ("AKIA", "[A-Z0-9]{12,}"),  # AWS
    ("ASIA", "[A-Z0-9]{12,}"),
    ("ABIA", "[A-Z0-9]{12,}"),
    ("ACCA", "[A-Z0-9]{12,}"),
    ("hf_", "[A-Za-z0-9]{16,}"),
    ("r8_", "[A-Za-z0-9]{20,}"),  # Replicate
    ("xai-", "[A-Za-z0-9]{20,}"),
    ("1//0", "[A-Za-z0-9_-]{20,}"),  # Google
    # Whoever has no prefix of their own takes one of these.
    *(
        (f"{kind}{glue}", rf"(?:[a-z0-9]{{1,8}}[-_]){{0,2}}(?:{_MIXED}|{_UUID})")
        for kind in ("sk", "rk", "tk", "ak", "pat", "tok", "token", "fc", "secret", "apikey")
        for glue in "-_"
    ),
    ("nsec1", "[02-9ac-hj-np-z]{20,}"),  # Nostr
    ("SK", "[0-9a-f]{32}"),  # Twilio
    ("key-", "(?<![-_]key-)[0-9a-f]{32}"),  # Mailgun
    ("dapi", "[0-9a-f]{32}"),  # Databricks
    ("s.", r"(?=[A-Za-z]{0,23}(?:\d|[A-Z]{2}))[A-Za-z0-9]{24}(?![A-Za-z0-9])"),  # Vault, as before 1.10
    ("sl.", "[A-Za-z0-9_=-]{60,}"),  # Dropbox
    ("pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{20,}"),  # Airtable
    ("pat.", r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{10,}"),  # Harness
    ("pul-", "[0-9a-f]{30,}"),  # Pulumi
    ("EAA", "[A-Z][A-Za-z0-9]{60,}"),  # Facebook
    ("fo1_", "[A-Za-z0-9_-]{20,}"),  # Fly
    *((first, r"[A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}") for first in "MNO"),  # Discord
    ("ico-", "[A-Za-z0-9]{32}"),  # Infracost
    ("pnu_", "[A-Za-z0-9]{20,}"),  # Prefect
    ("sgp_", "[A-Za-z0-9_]{30,}"),  # Sourcegraph
    ("A3-", "[A-Z0-9]{6}-[A-Z0-9-]{20,}"),  # 1Password
    ("API-", "[A-Z0-9]{26}"),  # Octopus
    ("dnkey-", "[a-z0-9=_-]{20,}"),
    ("PMAT-", "[A-Z0-9]{20,}"),
)


def _any_of(rows: Iterable[tuple[str, str]], behind_first: str = "") -> str:
    """The rows as one pattern, first letters first: one test of a character rules most of them out."""
    by_letter: dict[str, list[str]] = {}
    for prefix, rest in rows:
        by_letter.setdefault(prefix[0], []).append(re.escape(prefix[1:]) + rest)
    return "|".join(
        f"{re.escape(letter)}{behind_first}(?:{'|'.join(rests)})" for letter, rests in by_letter.items()
    )


# Looked for behind the first letter, which is faster. A boundary is also behind an escape, of JSON ("\n") or
# of a URL ("%3D"), and behind the letter of an option ("-S").
_BOUNDARY: Final = r"(?:(?<![A-Za-z0-9].)|(?<=\\[nrt].)|(?<=%[0-9A-F]{2}.)|(?<=^-[A-Za-z].))"
_TOKENS: Final = re.compile(f"{_any_of(_SURE)}|{_any_of(_AT_A_BOUNDARY, _BOUNDARY)}")
_WORD: Final = re.compile(r"[A-Za-z0-9_~+/.=%\\-]{14,}")
_MARKED: Final = re.compile("[0-9A-Z]")


def _without_tokens(word: re.Match[str]) -> str:
    """No token has small letters alone, most long words have."""
    return _TOKENS.sub(REDACTED, word[0]) if _MARKED.search(word[0]) else word[0]


# A random string mixes capitals, small letters and digits, as no name made of words does. Hex, UUIDs, ids of
# Mattermost and Nix have two kinds at most: they cannot be told from a secret, and mostly they are none.
_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_CHANGES: Final = re.compile(r"[a-z](?=[A-Z0-9])|[A-Z](?=[a-z0-9])|[0-9](?=[A-Za-z])")
_PAIRS: Final = re.compile(r"[A-Za-z0-9](?=[A-Za-z0-9])")
_CAPITALS: Final = re.compile("[A-Z]")
_SMALL: Final = re.compile("[a-z]")
_WORDS: Final = re.compile(r"[a-z]{4,}")
_NUMBERS: Final = re.compile(r"[0-9]+")
_WORDLIKE: Final = re.compile(r"[A-Z]?[a-z_-]*|[0-9]*|[a-z]{1,2}\d")
_LEAST_RANDOM_CHARS: Final = 24
_LEAST_CHANGES: Final = 0.34  # a share of all pairs; 0.62 in random letters and digits, a third in camelCase
_LEAST_LETTERS: Final = 0.12  # of each size; 0.42 in random letters and digits, two capitals in a time of day
_MANY_NUMBERS: Final = 4  # a random string of 40 has 5, a name hardly more than 2
_LEAST_LETTERS_ALONE: Final = 31  # without a digit: one random string of 30 in 200
_MOST_WORDS: Final = 0.4  # a share of all letters and digits; 0.08 in random ones, over a half in camelCase


def _without_randomness(found: re.Match[str]) -> str:
    """The run without its random part; segments of a path around it stay."""
    run = found[0]
    if run.islower() or run.isupper() or _is_published(found):
        return run
    if "/" not in run:
        return REDACTED if _is_random(run) else run
    segments = run.split("/")
    first, last = 0, len(segments)
    while first < last and _WORDLIKE.fullmatch(segments[first]):
        first += 1
    while last > first and _WORDLIKE.fullmatch(segments[last - 1]):
        last -= 1
    if _is_random("/".join(segments[first:last])):
        return "/".join((*segments[:first], REDACTED, *segments[last:]))
    return "/".join(REDACTED if _is_random(segment) else segment for segment in segments)


def _is_random(run: str) -> bool:
    if len(run) < _LEAST_RANDOM_CHARS:
        return False
    pairs = len(_PAIRS.findall(run))
    changes = len(_CHANGES.findall(run))
    if pairs < _LEAST_RANDOM_CHARS - 4 or changes < pairs * _LEAST_CHANGES:
        return False
    letters = pairs * _LEAST_LETTERS
    if len(_CAPITALS.findall(run)) < letters or len(_SMALL.findall(run)) < letters:
        return False
    numbers = len(_NUMBERS.findall(run))
    if not numbers:
        return sum(map(len, _WORDS.findall(run))) < pairs * _MOST_WORDS / 2 and pairs >= _LEAST_LETTERS_ALONE
    return numbers >= _MANY_NUMBERS or sum(map(len, _WORDS.findall(run))) < pairs * _MOST_WORDS


# Digests, as npm, browsers, ssh and Go write them; public keys; pictures.
_PUBLISHED: Final = re.compile(r"sha(?:1|256|384|512)[-/]|AAAA[A-Z0-9]{1,3}[A-Za-z]{2}")
_PUBLISHED_AFTER: Final = re.compile(
    r"(?:\bSHA(?:1|256|512)[:=]|\bh1:|data:(?:image|font|audio|video)/[\w.+-]{1,40};base64,)\Z"
)


def _is_published(found: re.Match[str]) -> bool:
    start = found.start()
    return bool(
        _PUBLISHED.match(found[0]) or _PUBLISHED_AFTER.search(found.string[max(0, start - 70) : start])
    )
