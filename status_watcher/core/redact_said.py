"""Secrets that people and agents tell each other: "log in with bob / …", "the PIN is …", seed phrases."""

import re
from typing import Final

from status_watcher.core.redact_mark import Row

_NAME: Final = r"(?i:passwor[dt]|passwd|passphrase|kennwort|secret|token|api[ _-]?key|pin)"
_MADE: Final = r"""(?=[^\s\d"'`]{0,64}\d)[^\s"'`()]{5,127}[^\s"'`().,;:]"""

ROWS: Final[tuple[Row, ...]] = tuple(
    (marks, re.compile(pattern))
    for marks, pattern in (
        (
            (" / ",),
            (
                r"((?i:\b(?:credentials?|logins?|zugangsdaten|anmeldedaten|zugang)[ \t]*[:=])"
                r"[ \t]*[\"'`]?[\w.@-]{1,64}[\"'`]?[ \t]/[ \t])[^\s(]{4,128}"
            ),
        ),
        (
            (" / ",),
            (
                r"((?i:\b(?:log[ -]?in|sign[ -]in|credentials?|anmelde\w{0,6}|user(?:name)?)\b)[^\n/]{0,24}"
                rf"[ \t][\"'`]?[\w.@-]{{1,64}}[\"'`]?[ \t]/[ \t]+[\"'`]?){_MADE}"
            ),
        ),
        # One-time and recovery codes, PINs.
        (
            ("pin", "otp", " code", "tan "),
            (
                r"((?i:\b(?:pin|otp|tan|(?:2fa|mfa|one-time|verification|security|login|sms)[ -]code)\b)"
                r"(?:[ \t]*[:=][ \t]*|[ \t]+(?:is|ist|lautet|was|war)[ \t]+)[\"'`*]{0,3})\d{4,8}\b"
            ),
        ),
        (
            (" code",),
            (
                r"((?i:\b(?:backup|recovery|one-time|scratch|2fa)[ -]codes?)[ \t]*(?::|is|are|=)[ \t]*"
                rf"[\"'`]?){_MADE}"
            ),
        ),
        # Secrets of one-time codes as sites show them to be typed: `jbsw y3dp ehpk 3pxp`.
        (
            ("secret", "2fa", "otp", "mfa"),
            (
                r"((?i:secret|2fa|otp|mfa)\b[^\n]{0,16}?[ \t:=])(?=[a-z -]{0,64}[2-7]|[A-Z -]{0,64}[2-7])"
                r"(?:(?:[a-z2-7]{4}[ -]){3,15}[a-z2-7]{4}|(?:[A-Z2-7]{4}[ -]){3,15}[A-Z2-7]{4})(?!\w)"
            ),
        ),
        # A row of a table with a name and a value.
        (
            ("|",),
            (
                rf"((?:^|\n)[ \t]*\|?[ \t*]*[\w \t-]{{0,24}}{_NAME}[ \t*]*\|[ \t]*[`*]{{0,2}})"
                r"(?![A-Z][a-z]*[ \t]*[|\n]|-{3}|\$|<)[^\s|`(]{4,128}(?=[`*]{0,2}[ \t]*\|?[ \t]*(?:\n|\Z))"
            ),
        ),
        # Seed phrases: twelve words and more of a list whose words have three to eight letters.
        (
            ("mnemonic", "phrase", "seed"),
            (
                r"((?i:mnemonic|seed(?:[ _-]?(?:phrase|words))?|(?:recovery|secret|backup)[ _-]?phrase)"
                r"[^\n]{0,24}?)\b(?:[a-z]{3,8}[ \t,]{1,3}){11,23}[a-z]{3,8}\b"
            ),
        ),
    )
)
