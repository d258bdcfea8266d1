"""Secrets that their place gives away: in a URL, a header, an option of a known command, a file of logins."""

import re
from typing import Final

from status_watcher.core.redact_mark import REDACTED


def without_placed_secrets(text: str, lowered: str) -> str:
    """`text` without what stands where a secret stands; `lowered` is the same in small letters."""
    for marks, pattern in _PLACES:
        for mark in marks:
            if mark in lowered:
                text = pattern.sub(_KEPT, text)
                break
    return _PGPASS.sub(_KEPT, text) if text.count(":") >= 4 else text


_KEPT: Final = rf"\1{REDACTED}"

_PGPASS: Final = re.compile(
    r"^([\w.*-]{1,128}:(?:\d{4,5}|\*):[^\s:]{1,64}:[^\s:]{1,64}:)(?!\$)[^\s(]+$", re.MULTILINE
)

# What a shell takes for one word and is no reference: a value in quotes, or up to a delimiter.
_REFERENCE: Final = r"""(?!\\*["'`]?(?:\$[\w{(@]|%\w+%["'\s]|\{\{|<|\*{3}|\())"""
_WORD: Final = rf"""{_REFERENCE}(?:\\+["'][^"'\\]*|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'`&;|<>(){{}}]+)"""
_WITHIN: Final = r"[^\n|;&]{0,200}?[ \t]"  # up to an option of the same command
_REGISTRIES: Final = r"docker|podman|nerdctl|buildah|skopeo|helm|oras|crane|az|cf|npm|gitea|tea|acr"
_NAMED: Final = r"(?i:password|passwd|passphrase|secret|token|api[_-]?key|secretkey|accesskey)"

_PLACES: Final[tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]] = tuple(
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
        (("/hooks/",), r"(/hooks/)[a-z0-9]{26}"),  # Mattermost
        (("hooks.slack",), r"(hooks\.slack(?:-gov)?\.com/[a-z]{1,20}/)[\w/-]+"),
        (("/webhooks/",), r"(/api/(?:v\d{1,2}/)?webhooks/\d{1,30}/)[\w/-]+"),  # Discord
        (("/webhookb2/", "/hooks/catch/"), r"(/webhookb2/|hooks\.zapier\.com/hooks/catch/)[\w@/-]+"),
        (("/bot",), r"(/bot)\d{6,12}:[\w-]{20,}"),  # Telegram
        # Headers. "bearer" alone is a word of English, what follows must look made by a machine.
        (
            ("authorization",),
            (
                r"""((?i:authorization)\\*["'\]]*[ \t]*(?:=>|[:=])[ \t]*\\*["'`]?"""
                r"""(?:(?i:bearer|basic|token|digest|apikey|ssws|negotiate)[ \t]+)?+)"""
                r"""(?!\$[\w{(]|\{\{|<|\(|\{|(?i:bearer|basic|token)\b|[\w.]+[(\[])"""
                r"""(?=[^\s"'`\\,;(]{5})[^\s"'`\\,;(]+"""
            ),
        ),
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
        (("sshpass",), rf"(\bsshpass[ \t]+-p[ \t]*){_WORD}"),
        (
            ("mysql", "mariadb", "7z"),
            rf"(\b(?:mysql|mysql(?:dump|admin|import)|mariadb(?:-\w+)?|7z[ar]?)\b{_WITHIN}-p){_WORD}",
        ),
        (
            ("login", "twine"),
            rf"(\b(?:(?:{_REGISTRIES})\b[^\n|;&]{{0,60}}\blogin|twine|login)\b{_WITHIN}-p[ \t=]+){_WORD}",
        ),
        (("sqlcmd", "zip", "bcp"), rf"(\b(?:sqlcmd|bcp|unzip|zip|zipcloak)\b{_WITHIN}-P[ \t]*){_WORD}"),
        (("redis-cli", "valkey-cli"), rf"(\b(?:redis|valkey)-cli\b{_WITHIN}-a[ \t]+){_WORD}"),
        (("ldap",), rf"(\bldap[a-z]{{3,10}}\b{_WITHIN}-w[ \t]*){_WORD}"),
        (("openssl",), rf"(\bopenssl\b{_WITHIN}-[kK][ \t]+)(?![\w./-]+\.\w)(?!/){_WORD}"),
        (("pass:",), rf"(\bpass:){_WORD}"),
        (("smb", "rpcclient"), r"""((?:-U|--user=)[ \t]*["']?[^\s%"']{1,64}%)(?!\$)[^\s"'(]+"""),
        (
            ("-stdin", "--with-token", "sudo -s", "passwd"),
            (
                rf"""(\b(?:echo|printf)(?:[ \t]+-n|[ \t]+["']?%s(?:\\n)?["']?)?[ \t]+){_WORD}"""
                r"""(?=[ \t]*\|[ \t]*(?:[^\n|]{0,80}--(?:pass(?:word)?-stdin|with-token)"""
                r"""|sudo[ \t][^\n|]{0,20}-S|(?:sudo[ \t]+)?(?:ch)?passwd))"""
            ),
        ),
        (
            ("<<<",),
            rf"(\b(?:sudo[ \t]+-S\b|[^\n|;&]{{0,80}}-stdin\b)[^\n|;&]{{0,80}}<<<[ \t]*){_WORD}",
        ),
        # Files of logins, and what servers are told.
        (
            ("password ", "passwd "),
            rf"((?i:\b(?:login|user)[ \t]+\S{{1,128}}\s+(?:password|passwd)[ \t]+)){_WORD}",
        ),
        (("requirepass", "masterauth"), rf"(\b(?:requirepass|masterauth)[ \t]+){_WORD}"),
        (
            ("identified", "password"),
            (
                r"((?i:\bidentified[ \t]+(?:by|with[ \t]+\S{1,64}[ \t]+(?:by|as))|\bpassword(?=[ \t])"
                r"|\bset[ \t]+password[ \t]+for[ \t]+\S{1,128}[ \t]*=)[ \t]*)'[^'(]+'?"
            ),
        ),
        (
            ('value="', "value='"),
            (
                rf"""((?i:(?:key|name)=["'][^"'\n]{{0,64}}{_NAMED}["'][ \t]+value=["']))"""
                r"""(?!\$)[^"'(\n]+"""
            ),
        ),
        (("</",), rf"(<[\w:.-]{{0,64}}{_NAMED}>)(?!\$)[^<\s(]{{1,512}}(?=</)"),
    )
)
