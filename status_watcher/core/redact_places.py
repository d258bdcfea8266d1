"""Secrets that their place gives away: in a URL, a header, an option of a known command, a file of logins."""

import re
from typing import Final

from status_watcher.core.redact_mark import REDACTED, Row, without_rows


def without_placed_secrets(text: str, lowered: str) -> str:
    """`text` without what stands where a secret stands; `lowered` is the same in small letters."""
    text = without_rows(_PLACES, text, lowered)
    if ("-u" in lowered or "/u" in lowered or "/ru" in lowered or " -D" in text) and not _P_IS_ANOTHER.search(
        lowered
    ):
        text = _USER_AND_PASSWORD.sub(_KEPT, text)
    return _PGPASS.sub(_KEPT, text) if text.count(":") >= 4 else text


_KEPT: Final = rf"\1{REDACTED}"

_PGPASS: Final = re.compile(
    r"((?:^|(?<=[\s\"']))(?![0-9a-fA-F]{1,4}:)[\w.*-]{1,128}:(?:\d{4,5}|\*):[^\s:]{1,64}:[^\s:]{1,64}:)"
    r"(?!\$)[^\s('\"]+",
    re.MULTILINE,
)

# What a shell takes for one word and is no reference: a value in quotes, or up to a delimiter.
_REFERENCE: Final = r"""(?!\\*["'`]?(?:\$[\w{(@]|%\w+%["'\s]|\{\{|<|\*{3}|\())"""
_WORD: Final = rf"""{_REFERENCE}(?:\\+["'][^"'\\]*|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'`&;|<>(){{}}]+)"""
_BOUNDED: Final = r"""\\*["']?[^\s"'`\\|;&<>-][^\s"'`\\|;&<>]{0,80}"""
_BETWEEN: Final = r"""(?:\\*["']?,?[ \t]+\\*["']?)"""  # words of a command, be it a list in code
_BEHIND: Final = rf"(?:{_BETWEEN}|[:=])"
_IN_PATHS: Final = r"(?i:passw|secret|token|_pass\b|[.]pass\b|pgpass|[_-]key\b)"
# A command that asks for a password, up to its end.
_ASKING: Final = (
    r"[^\n|;&<]{0,100}?(?:\b(?:(?:ch|smb)?passwd|cryptsetup|kinit|su|keepassxc-cli|wg|veracrypt)\b"
    r"|\bsudo[ \t][^\n|;&<]{0,20}?-S\b|-stdin\b|--with-token\b|-fd[ =]0\b|--data-file=-"
    r"|\bsecrets?[ \t]+(?:create|put|set|add)\b|\benv[ \t]+add\b)[^\n|;&<]{0,100}"
)

# A user and a password as options of one command, whatever the command: `-u bob -p pw`, `/u:bob /p:pw`.
_USER_AND_PASSWORD: Final = re.compile(
    rf"""((?<=[\s"'])(?:-(?:u|U|au|D|user|username)|--user(?:name)?|/r?u(?:ser)?)\b{_BEHIND}?{_BOUNDED}"""
    rf"""(?:{_BETWEEN}-{{1,2}}[A-Za-z][\w-]{{0,40}}(?:(?:{_BETWEEN}|=){_BOUNDED})?){{0,3}}?{_BETWEEN}"""
    rf"""(?:-(?:p|P|w|ap|pw|pass)|/r?p)\b{_BEHIND})(?![-./~]|\\*["']?[\d.:]+(?:\b|$)){_WORD}"""
)
_P_IS_ANOTHER: Final = re.compile("mysql|mariadb|journalctl")  # a priority, or only glued to the password

_PLACES: Final[tuple[Row, ...]] = tuple(
    (marks, re.compile(pattern))
    for marks, pattern in (
        # Credentials in URLs. A user alone, or one whose password says that there is none, is a token.
        (("://",), r"""(://)[^\s/@:"'`(]{1,256}(?=:(?:x-oauth-basic)?@)"""),
        (("://",), r"""(://[^\s/@:"'`]{0,256}:)(?!\$[\w{(])[^\s"'`/(]{1,256}(?=@)"""),
        (("://",), r"""(://)(?=[^\s/@\d]{0,256}\d)[^\s/@:"'`(]{12,256}(?=@)"""),
        # URLs that are credentials.
        (
            ("?", "&"),
            (
                r"((?i:[?&](?:sig|signature|key|auth|code|sas"
                r"|x-(?:amz|goog)-(?:signature|credential|security-token))=))"
                r"""(?!\$[\w{(])[^&#\s"'`(<]+"""
            ),
        ),
        # Mattermost, Slack, Discord, Teams, Zapier, Feishu and others: all behind some short names.
        (
            ("hook", "/key/"),
            (
                r"""(\bhooks?\.[\w.-]{1,64}/[a-z]{1,20}/(?:catch/\d{1,12}/)?"""
                r"""|/(?:\w{0,20}hook(?:s|b2)?|key)/(?:\d{1,30}/)?+)"""
                r"""(?=[\w@-]{0,64}\d|[\w@-]{24})[\w@/-]{20,}"""
            ),
        ),
        (("/bot",), r"(/bot)\d{6,12}:[\w-]{20,}"),  # Telegram
        # Headers. "bearer" alone is a word of English, what follows must look made by a machine.
        (
            ("digest ", "aws4-", "oauth ", "hawk ", "signature "),
            (
                r"((?i:authorization\\*[\"']?[ \t]*[:=][ \t]*"
                r"(?:digest|aws4-[a-z0-9-]{1,20}|oauth|hawk|signature)[ \t]+))(?=\w+=)[^\n'(]+"
            ),
        ),
        (
            ("authorization",),
            (
                r"""((?i:authorization)\\*["'\]]*[ \t]*(?:=>|[:=])[ \t]*\\*["'`]?"""
                r"""(?:(?i:bearer|basic|token|digest|apikey|ssws|negotiate)[ \t]+)?+)"""
                r"""(?!\$[\w{(]|\{\{|<|\(|\{|(?i:bearer|basic|token)\b|[\w.]+[(\[])"""
                r"""(?=[^\s"'`\\,;(]{5})[^\s"'`\\,;(]+"""
            ),
        ),
        (("cookies",), r"((?i:\bcookies)[ \t]*=[ \t]*\{)[^{}\n(]*:[^{}\n(]+(?=\})"),
        (("cookie",), r"""((?i:\bcookie\\*["']?):[ \t]*\\*["']?)(?!\$)[^"'`\r\n(]*=[^"'`\r\n(]+"""),
        (
            ("bearer",),
            r"((?i:\bbearer)(?:[ \t]+|%20))(?=[A-Za-z._~+/=-]{0,64}\d|\S{20})[A-Za-z0-9._~+/=-]{8,}",
        ),
        # Options of commands that people put passwords behind.
        (
            ("-u", "--user", "-user"),
            (
                r"""((?:^|(?<=[\s"']))(?:-u|--user|--proxy-user)[ \t=]*["']?"""
                r"""(?!\d+:\d|\w+://)[^\s:"'`]+:)(?!\$[\w{(])[^\s"'`(]+"""
            ),
        ),
        (("pass:",), rf"(\bpass:){_WORD}"),
        (
            ("-u", "--user"),
            r"""((?:^|(?<=[\s"']))(?:-U[ \t]*|--user[ \t=])["']?[^\s%"']{1,64}%)(?!\$)[^\s"'(]+""",
        ),
        # What is said into a command that asks for a password.
        (
            ("echo ", "printf ", "yes "),
            (
                rf"""(\b(?:echo|printf|yes)(?:[ \t]+-[neE]{{1,3}}|[ \t]+["']?%s(?:\\n)?["']?)?[ \t]+)"""
                rf"""{_WORD}(?=[ \t]*(?:\|[ \t]*{_ASKING}"""
                rf"""|(?:>>?|\|[ \t]*(?:sudo[ \t]+)?tee)[ \t]*[^\s;&|]{{0,128}}{_IN_PATHS}))"""
            ),
        ),
        (
            ("<<",),
            rf"((?:^|[\n;&|(]){_ASKING}(?:<<<[ \t]*|<<-?[ \t]*[\"']?\w{{1,20}}[\"']?[ \t]*\n)){_WORD}",
        ),
        (
            ("send",),
            (
                r"""((?i:assword:?)[ \t]*\\*["']?[)};]?\s*(?:\w{1,20}\.)?send(?:line)?+\(?+(?:[ \t]+--)?+"""
                rf"""[ \t]*){_WORD}"""
            ),
        ),
        # A user and a password before a host; before Oracle's database.
        (
            ("@",),
            (
                r"""((?<![\w:/@])(?!(?i:mailto|sips?|acct|xmpp):)[\w.\\/-]{1,64}:)"""
                r"""[^\s:@/"'`(]{1,128}(?=@(?:\d{1,3}\.\d|localhost\b|(?:tcp|unix)\())"""
            ),
        ),
        (("oracle:",), r"""(\boracle:\w{1,10}:\w{1,64}/)[^\s@"'(]{1,128}(?=@)"""),
        # Files of logins, and what servers are told.
        (
            ("password ", "passwd "),
            (
                r"((?i:\b(?:login|user(?:name)?)[ \t]+(?!(?:and|or|und|oder|[^\w\"'])\s)\S{0,127}[^\s,;:.]\s+"
                rf"(?:password|passwd)[ \t]+(?:\d[ \t]+)?+)){_WORD}"
            ),
        ),
        (("ftp",), rf"(\nuser[ \t]+\S{{1,64}}[ \t]+){_WORD}(?=\n)"),
        (("requirepass", "masterauth"), rf"(\b(?:requirepass|masterauth)[ \t]+){_WORD}"),
        (
            ("identified", "password"),
            (
                r"((?i:\bidentified[ \t]+(?:by|with[ \t]+\S{1,64}[ \t]+(?:by|as))|\bpassword(?=[ \t])"
                r"|\bset[ \t]+password[ \t]+for[ \t]+\S{1,128}[ \t]*=)[ \t]*)'[^'(]+'?"
            ),
        ),
    )
)
