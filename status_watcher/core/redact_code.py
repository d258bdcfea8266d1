"""Secrets in code, configuration and queries, by what they are given to: `login("bob", "…")`, `value: …`."""

import re
from typing import Final

from status_watcher.core.redact_mark import REDACTED, Row

_NAME: Final = (
    r"(?i:passwor[dt]|passwd|passphrase|secret|token|(?:api|access|private|secret|subscription)[_-]?key"
    r"|pass|pwd|psk)"
)
_QUOTED: Final = r"""(?:\\+["'][^"'\\\n(]{1,256}(?:\\+["'])?|"(?:[^"\\\n]|\\.){1,256}"|'[^'\n]{1,256}')"""
_LITERAL: Final = r"""[bBrRuUN]?(?!\\*["'](?:\$[\w{(]|\{\{|<|%\w+%|\*{3}))"""
_ARGUMENT: Final = rf"(?:{_QUOTED}|[\w.&$-]{{1,64}})"
_PLAIN: Final = r"""\\*["']?(?!\$[\w{(]|\{\{|<|\()[^\s"'`,;(){}<>\\]{1,256}"""

# What a call is given last that has a user and a password.
CALLS: Final[tuple[Row, ...]] = (
    (
        ("auth", "login", "credential", "getconnection", "ftp"),
        re.compile(
            rf"([AaLlCcGgFf](?i:(?<=a)uth(?!or)|(?<=l)ogin|(?<=c)redentials?|(?<=g)etconnection|(?<=\bf)tp)"
            rf"\w{{0,16}}[ \t]*=?[ \t]*\("
            rf"\s*(?:{_ARGUMENT}\s*,\s*){{1,3}}(?:\w{{1,16}}\()?{_LITERAL}){_QUOTED}"
            r"(?=(?:\.\w{1,16}\(\))?\s*(?:\)|\Z))"
        ),
    ),
    # What signs and encrypts: `jwt.encode(claims, "…")`, `hmac.new(b"…")`, `createHmac("sha256", "…")`.
    (
        ("jwt.", "hmac", "createcipher", "fernet("),
        re.compile(
            r"((?i:\bjwt\.\w{4,6}|\bhmac\.new|\bcreate(?:hmac|cipheriv)|\bfernet)\(\s*"
            rf"(?:[^\s\"',()]{{1,64}}\s*,\s*|[\"'][\w-]{{1,16}}[\"']\s*,\s*){{0,2}}{_LITERAL})"
            rf"(?![\"'](?i:sha|md|aes|[hrep]s)[\w-]{{0,16}}[\"']){_QUOTED}"
        ),
    ),
    # `auth="bob:…"`
    (
        ("auth", "cred", "userpwd"),
        re.compile(
            r"([AaCcUu](?i:(?<=a)uth|(?<=c)red(?:ential)?s?|(?<=u)serpwd)"
            r"\\*[\"']?[ \t]*[=:][ \t]*\\*[\"'][\w.@-]{1,64}:)"
            r"(?!\$|//)[^\s\"'(]+(?=\\*[\"'])"
        ),
    ),
)
ROWS: Final[tuple[Row, ...]] = tuple(
    (marks, re.compile(pattern))
    for marks, pattern in (
        # What a function is given that is named for it.
        (
            ("password(", "passwd(", "md5(", "sha1(", "sha256(", "crypt("),
            (
                rf"((?i:password|passwd|{_NAME}[ \t]*=[ \t]*(?:md5|sha\d{{0,3}}|crypt))\([ \t]*"
                rf"(?:[\w.]{{1,64}}[ \t]*,[ \t]*){{0,2}}{_LITERAL})"
                rf"(?![\"'][^\"'\n]*[:?][ \t]*[\"']){_QUOTED}(?=\s*(?:,\s*\w{{1,32}}\s*)?(?:\)|\Z))"
            ),
        ),
        # `setenv("X_TOKEN", "…")`, `#define X_TOKEN "…"`, `variable "x_token" { default = "…" }`.
        (
            ('("', "('", "(\\"),
            (
                r"((?i:set|put|define|env|get|add|append|header|property|fill|type)\w{0,24}\("
                r"\s*\\*[\"'][^\"'\n]{0,64}?"
                rf"{_NAME}[^\"'\n]{{0,8}}\\*[\"']\s*,\s*{_LITERAL}){_QUOTED}(?=\s*(?:[,)]|\Z))"
            ),
        ),
        (
            ("fill(", "type(", "keys(", "value("),
            (
                rf"({_NAME}[^\"'\n]{{0,8}}\\*[\"'][ \t]*\)+\s*\.\s*"
                rf"(?i:fill|type|send_?keys|set_?value)\([ \t]*{_LITERAL}){_QUOTED}"
            ),
        ),
        # `secret "…";`
        (
            (' "', " '", '\t"'),
            rf"((?:^|[\n;{{])[ \t:]*[\w-]{{0,24}}?{_NAME}[ \t]+{_LITERAL}){_QUOTED}(?=[ \t]*(?:[;}}\n]|\Z))",
        ),
        # A key as a list of bytes.
        (("[",), r"((?i:key|secret|seed)\\*[\"']?[ \t]*[:=][ \t]*\[)(?:\s*\d{1,3},){15,}\s*\d{1,3}"),
        (("#define",), rf"(#define[ \t]+\w{{0,64}}?{_NAME}[ \t]+{_LITERAL}){_QUOTED}"),
        (
            ("default",),
            rf"({_NAME}[\"']?[^\n\"']{{0,40}}\bdefault[\"']?[ \t]*[:=][ \t]*{_LITERAL}){_QUOTED}",
        ),
        # A name and its value as two fields, in YAML, JSON and XML.
        (
            ("value",),
            (
                rf"""(\b(?i:name|key|type|id)\\*["']?[ \t]*[:=][ \t]*\\*["']?[\w.:-]{{0,64}}?{_NAME}"""
                r"""\\*["']?(?:[ \t]+[\w-]{1,24}=["'][^"'\n]{0,64}["']){0,4}[ \t]*[,;>]?\s*"""
                rf"""(?:-[ \t]|<)?\\*["']?(?i:value)\\*["']?(?:[ \t]*[:=][ \t]*|>)){_PLAIN}"""
            ),
        ),
        (("</",), rf"(<[\w:.-]{{0,64}}{_NAME}>)(?!\$)[^<\s(]{{1,512}}(?=</)"),
    )
)

_INSERTED: Final = re.compile(
    rf"(?i:\binsert\b[^()\n]{{0,128}}\([^()]{{0,512}}?{_NAME}[^()]{{0,512}}\)\s*values\s*)"
    r"(\([^()]{0,2048}\))"
)
_STRING: Final = re.compile(r"'[^']*'")


def without_inserted(text: str, lowered: str) -> str:
    """`text` without the strings that are put into a table with a column for secrets."""
    if "insert" not in lowered:
        return text
    return _INSERTED.sub(
        lambda row: row[0][: row.start(1) - row.start()] + _STRING.sub(REDACTED, row[1]), text
    )
