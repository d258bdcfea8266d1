"""Writes positives.json and held_out.json: made-up secrets in the places where agents leave them.

    python tests/data/secrets/make.py

Every secret is random (fixed seeds) in the format its provider describes; none was ever valid. Each case is
stored in pieces, so that no scanner of repositories takes it for real:
`{"kind", "before", "prefix", "secret", "after"}`, each a list of strings to be joined; `secret` is the random part.

The held-out file has other seeds, other places and some kinds of its own. It was generated before the rules were
written and not read until they were done: change a rule for a case in it, and it is held out no longer.
Its first reading found 75 of 76 (a random string with much that looks like words), and the rules were mended for
that one: for a fresh held-out set change the seeds in `main`.
"""

import base64
import json
import random
import string
from pathlib import Path

HERE = Path(__file__).parent
ALNUM = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
URLSAFE = ALNUM + "_-"
BASE64 = ALNUM + "+/"
MM = "ybndrfg8ejkmcpqxot1uwisza345h769"  # Mattermost's ids


class Maker:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def of(self, alphabet: str, length: int) -> str:
        return "".join(self.random.choice(alphabet) for _ in range(length))

    def safe(self, length: int) -> str:
        """URL-safe, but with a letter or digit at both ends."""
        return self.of(ALNUM, 1) + self.of(URLSAFE, length - 2) + self.of(ALNUM, 1)

    def uuid(self) -> str:
        return "-".join(self.of(HEX, n) for n in (8, 4, 4, 4, 12))

    def b64(self, length: int) -> str:
        return base64.b64encode(self.random.randbytes(length)).decode()

    def jwt_part(self) -> str:
        claims = {"sub": self.of("0123456789", 10), "name": self.of(ALNUM, 12), "iat": 1700000000}
        return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    def pem(self, lines: int) -> str:
        return "\n".join(self.b64(48) for _ in range(lines))

    def word(self) -> str:
        """A password as people make them."""
        r = self.random
        return r.choice(
            [
                r.choice(["hunter", "Sommer", "correct-horse-", "Tr0ub4dor", "letmein", "S3cure"])
                + self.of("0123456789", 2) + r.choice(["", "!", "#", "x"]),
                self.of(ALNUM, 12),
                self.of(LOWER, 10),
                self.of(ALNUM + "!%^*-_+.", 16),
            ]
        )  # fmt: skip


# Tokens that show what they are: name -> function giving (prefix, random part).
SHAPED = {
    "github classic": lambda m: ("ghp_", m.of(ALNUM, 36)),
    "github fine-grained": lambda m: ("github_pat_", m.of(ALNUM, 22) + "_" + m.of(ALNUM, 59)),
    "github oauth": lambda m: ("gho_", m.of(ALNUM, 36)),
    "github app": lambda m: (m.random.choice(["ghs_", "ghu_"]), m.of(ALNUM, 36)),
    "github refresh": lambda m: ("ghr_", m.of(ALNUM, 76)),
    "gitlab personal": lambda m: ("glpat-", m.safe(20)),
    "gitlab routable": lambda m: ("glpat-", m.safe(27) + "." + m.of(LOWER, 9)),
    "gitlab deploy, runner": lambda m: (m.random.choice(["gldt-", "glrt-", "glsoat-", "glft-"]), m.safe(20)),
    "gitlab trigger": lambda m: ("glptt-", m.of(HEX, 40)),
    "gitlab runner registration": lambda m: ("GR1348941", m.safe(20)),
    "slack bot": lambda m: ("xoxb-", f"{m.of(string.digits, 12)}-{m.of(string.digits, 12)}-{m.of(ALNUM, 24)}"),
    "slack user": lambda m: ("xoxp-", "-".join(m.of(string.digits, 12) for _ in "123") + "-" + m.of(HEX, 32)),
    "slack app": lambda m: ("xapp-1-", f"A{m.of(UPPER, 10)}-{m.of(string.digits, 13)}-{m.of(HEX, 64)}"),
    "slack configuration": lambda m: ("xoxe.xoxp-1-", m.of(UPPER, 163)),
    "slack webhook": lambda m: (
        "https://hooks.slack.com/services/",
        f"T{m.of(UPPER, 10)}/B{m.of(UPPER, 10)}/{m.of(ALNUM, 24)}",
    ),
    "aws access key id": lambda m: (m.random.choice(["AKIA", "ASIA"]), m.of(string.ascii_uppercase + "234567", 16)),
    "aws bedrock": lambda m: ("ABSK", m.b64(99)),
    "google api": lambda m: ("AIza", "Sy" + m.safe(33)),
    "google oauth": lambda m: ("ya29.", "a0" + m.safe(100)),
    "google client secret": lambda m: ("GOCSPX-", m.safe(28)),
    "google refresh": lambda m: ("1//0", m.safe(60)),
    "stripe": lambda m: (m.random.choice(["sk_live_", "rk_live_", "sk_test_"]), m.of(ALNUM, 24)),
    "stripe webhook": lambda m: ("whsec_", m.of(ALNUM, 32)),
    "openai": lambda m: ("sk-", m.of(ALNUM, 20) + "T3BlbkFJ" + m.of(ALNUM, 20)),
    "openai project": lambda m: ("sk-proj-", m.safe(74) + "T3BlbkFJ" + m.safe(74)),
    "anthropic": lambda m: ("sk-ant-api03-", m.safe(93) + "AA"),
    "openrouter": lambda m: ("sk-or-v1-", m.of(HEX, 64)),
    "groq": lambda m: ("gsk_", m.of(ALNUM, 52)),
    "perplexity": lambda m: ("pplx-", m.of(ALNUM, 48)),
    "replicate": lambda m: ("r8_", m.of(ALNUM, 37)),
    "xai": lambda m: ("xai-", m.of(ALNUM, 80)),
    "hugging face": lambda m: ("hf_", m.of(string.ascii_letters, 34)),
    "npm": lambda m: ("npm_", m.of(ALNUM, 36)),
    "pypi": lambda m: ("pypi-AgEIcHlwaS5vcmc", m.safe(80)),
    "rubygems": lambda m: ("rubygems_", m.of(HEX, 48)),
    "docker hub": lambda m: ("dckr_pat_", m.safe(27)),
    "sendgrid": lambda m: ("SG.", m.safe(22) + "." + m.safe(43)),
    "twilio": lambda m: ("SK", m.of(HEX, 32)),
    "mailgun": lambda m: ("key-", m.of(HEX, 32)),
    "mailchimp": lambda m: ("", m.of(HEX, 32) + "-us" + str(m.random.randint(10, 21))),
    "brevo": lambda m: ("xkeysib-", m.of(HEX, 64) + "-" + m.of(ALNUM, 16)),
    "digitalocean": lambda m: (m.random.choice(["dop_v1_", "doo_v1_", "dor_v1_"]), m.of(HEX, 64)),
    "shopify": lambda m: (m.random.choice(["shpat_", "shpca_", "shppa_", "shpss_"]), m.of(HEX, 32)),
    "square": lambda m: (m.random.choice(["sq0atp-", "sq0csp-"]), m.safe(43)),
    "telegram": lambda m: (m.of(string.digits, 10) + ":AA", m.safe(33)),
    "discord bot": lambda m: ("M", m.of(ALNUM, 25) + "." + m.of(ALNUM, 6) + "." + m.safe(38)),
    "discord webhook": lambda m: (
        "https://discord.com/api/webhooks/" + m.of(string.digits, 18) + "/",
        m.safe(68),
    ),
    "teams webhook": lambda m: (
        f"https://contoso.webhook.office.com/webhookb2/{m.uuid()}@{m.uuid()}/IncomingWebhook/",
        m.of(HEX, 32) + "/" + m.uuid(),
    ),
    "azure ad": lambda m: ("", m.of(ALNUM, 3) + "8Q~" + m.safe(34)),
    "azure storage": lambda m: ("DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=", m.b64(64)),
    "azure sas": lambda m: ("https://acme.blob.core.windows.net/c/b.txt?sv=2022-11-02&sp=r&sig=", m.b64(32).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")),
    "aws presigned": lambda m: ("https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=", m.of(HEX, 64)),
    "databricks": lambda m: ("dapi", m.of(HEX, 32)),
    "vault": lambda m: (m.random.choice(["hvs.", "hvb."]), m.safe(95)),
    "vault legacy": lambda m: ("s.", m.of(ALNUM, 24)),
    "terraform cloud": lambda m: ("", m.of(ALNUM, 14) + ".atlasv1." + m.safe(66)),
    "doppler": lambda m: ("dp.pt.", m.of(ALNUM, 43)),
    "linear": lambda m: ("lin_api_", m.of(ALNUM, 40)),
    "notion": lambda m: ("ntn_", m.of(string.digits, 11) + m.of(ALNUM, 35)),
    "postman": lambda m: ("PMAK-", m.of(HEX, 24) + "-" + m.of(HEX, 34)),
    "new relic": lambda m: ("NRAK-", m.of(UPPER, 27)),
    "grafana service account": lambda m: ("glsa_", m.of(ALNUM, 32) + "_" + m.of(HEX, 8)),
    "grafana cloud": lambda m: ("glc_", m.b64(60)),
    "sentry": lambda m: ("sntryu_", m.of(HEX, 64)),
    "atlassian": lambda m: ("ATATT3", m.safe(186)),
    "age": lambda m: ("AGE-SECRET-KEY-1", m.of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)),
    "tailscale": lambda m: ("tskey-auth-", "k" + m.of(ALNUM, 10) + "CNTRL-" + m.of(ALNUM, 32)),
    "fly": lambda m: ("fo1_", m.safe(43)),
    "planetscale": lambda m: (m.random.choice(["pscale_tkn_", "pscale_pw_"]), m.safe(43)),
    "pulumi": lambda m: ("pul-", m.of(HEX, 40)),
    "supabase": lambda m: ("sbp_", m.of(HEX, 40)),
    "figma": lambda m: ("figd_", m.safe(40)),
    "airtable": lambda m: ("pat", m.of(ALNUM, 14) + "." + m.of(HEX, 64)),
    "dropbox": lambda m: ("sl.", m.safe(135)),
    "facebook": lambda m: ("EAAM", m.of(ALNUM, 120)),
    "dynatrace": lambda m: ("dt0c01.", m.of(UPPER, 24) + "." + m.of(UPPER, 64)),
    "1password service account": lambda m: ("ops_eyJ", m.of(BASE64, 260)),
    "sonarqube": lambda m: (m.random.choice(["squ_", "sqp_"]), m.of(HEX, 40)),
    "openshift": lambda m: ("sha256~", m.safe(43)),
    "circleci": lambda m: ("CCIPAT_", m.of(ALNUM, 22) + "_" + m.of(HEX, 40)),
    "contentful": lambda m: ("CFPAT-", m.safe(43)),
    "heroku": lambda m: ("HRKU-AA", m.safe(58)),
    "artifactory": lambda m: ("AKCp", m.of(ALNUM, 69)),
    "json web token": lambda m: ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.", m.jwt_part() + "." + m.safe(43)),
    "unlabelled": lambda m: ("", m.random.choice([m.of(ALNUM, 32), m.of(ALNUM, 40), m.b64(33), m.safe(43), m.b64(48)])),
}
SHAPED_PLACES = [
    "{}",
    "I found {} in the log and will remove it.",
    "VALUE={} ./run.sh",
    "./deploy.sh --env prod {}",
    'curl -s "https://api.example.com/v1/things?x={}&y=2"',
    'git commit -m "add {}"',
    '{{"x": "{}", "n": 3}}',
    "x: '{}'",
    "echo {} | base64 -d",
    "the output was `{}`, as expected",
    "docker run -e X={} -p 80:80 nginx:1.27",
    "ERROR invalid argument <{}> (line 3)",
    "printf '%s' \"{}\" > /tmp/x",
    "sed -i s/AAA/{}/ config.ini",
    "grep -r {} src/",
    "kubectl annotate pod web-7d9c x={}",
]
SHAPED_PLACES_HELD_OUT = [
    "Der Wert {} steht in der Datei.",
    "値は{}です",
    "python -c 'print(\"{}\")'",
    "{{\\\"x\\\":\\\"{}\\\"}}",
    "Traceback: ValueError('bad: {}')",
    "cat > f <<EOF\nx {}\nEOF",
    "foo({}, 1)",
    "a|{}|b",
    "git log -S{} --oneline",
    "1. {}\n2. other",
    "**{}**",
    "wget https://example.com/files/{}/download",
]

# Values that only their surroundings give away: each place takes a password or an opaque value.
NAMED_PLACES = {
    "environment": [
        "export DB_PASSWORD={}",
        "PGPASSWORD={} psql -h db -U app -c 'select 1'",
        "MYSQL_PWD={} mysqldump app",
        "AWS_SECRET_ACCESS_KEY='{}' aws s3 ls",
        'export API_KEY="{}" && make deploy',
        "REDIS_PASS={} ./start.sh",
        "MM_TOKEN={} status-watcher run",
        "env SMTP_PASSWD={} node mail.js",
        "$env:CLIENT_SECRET = '{}'",
        "set DJANGO_SECRET_KEY={}",
    ],
    "docker and kubernetes": [
        "docker run -d -e POSTGRES_PASSWORD={} postgres:16",
        "docker login -u bob -p {} registry.example.com",
        "docker run --env MYSQL_ROOT_PASSWORD={} mysql",
        "kubectl create secret generic db --from-literal=password={}",
        "kubectl create secret docker-registry r --docker-password={} --docker-username=u",
        "helm upgrade app ./chart --set auth.password={},replicas=2",
        "oc login --token={} --server=https://api.example.com:6443",
    ],
    "json": [
        '{{"password": "{}", "user": "bob"}}',
        "{{'api_key': '{}', 'n': 1}}",
        "curl -d '{{\"client_secret\":\"{}\"}}' https://x.example.com/token",
        '{{\\"token\\":\\"{}\\"}}',
        '"accessToken" : "{}",',
        '{{"auths": {{"r.example.com": {{"auth": "{}"}}}}}}',
        '{{"private_key_id": "{}"}}',
    ],
    "yaml, ini, properties": [
        "password: {}",
        "db:\n  user: app\n  password: '{}'\n",
        "secretKey: \"{}\"",
        "spring.datasource.password={}",
        "[client]\nuser=root\npassword={}\n",
        "api-key: {}",
        "aws_secret_access_key = {}",
    ],
    "header": [
        "curl -H 'Authorization: Bearer {}' https://api.example.com",
        'curl -H "X-Api-Key: {}" https://api.example.com',
        "http GET api.example.com Authorization:'Token {}'",
        "PRIVATE-TOKEN: {}",
        "wget --header='X-Auth-Token: {}' https://x.example.com",
        "Proxy-Authorization: Basic {}",
        "> Cookie: session={}; theme=dark",
        "Set-Cookie: sid={}; HttpOnly",
        "headers={{'Authorization': 'Bearer {}'}}",
        "X-Vault-Token: {}",
    ],
    "url": [
        "psql postgres://app:{}@db.example.com:5432/app",
        "git clone https://bob:{}@git.example.com/x.git",
        "redis-cli -u redis://:{}@cache:6379/0",
        "mongosh 'mongodb+srv://root:{}@cluster0.example.net/test'",
        "git remote add o https://oauth2:{}@gitlab.example.com/g/p.git",
        "curl ftp://user:{}@files.example.com/a",
        "amqp://guest:{}@rabbit:5672/vhost",
        "curl 'https://api.example.com/x?access_token={}&z=1'",
        "https://maps.example.com/js?key={}&v=3",
        "pip install --index-url https://u:{}@pypi.example.com/simple x",
        "SQLALCHEMY_DATABASE_URI=mysql+pymysql://u:{}@h/d",
    ],
    "flag": [
        "mysql -h db -u root -p{} app",
        "sshpass -p {} ssh root@host",
        "curl -u bob:{} https://x.example.com",
        "curl --user 'bob:{}' https://x.example.com",
        "mongodump --username u --password {} --db d",
        "gh auth login --with-token {}",
        "vault login token={}",
        "az login --service-principal -u id -p {} --tenant t",
        "openssl enc -aes-256-cbc -k {} -in a -out b",
        "openssl rsa -passin pass:{} -in k.pem",
        "redis-cli -a {} ping",
        "unzip -P {} a.zip",
        "7z x -p{} a.7z",
        "ldapsearch -x -D cn=admin -w {} -b dc=x",
        "twine upload -u __token__ -p {} dist/*",
        "echo {} | docker login --password-stdin -u bob r.example.com",
        "echo '{}' | sudo -S apt-get update",
        "smbclient //h/s -U bob%{}",
        "wget --http-password={} https://x.example.com",
        "npm config set //registry.npmjs.org/:_authToken {}",
        "sqlcmd -S h -U sa -P {} -Q 'select 1'",
        "snowsql --private-key-passphrase {}",
    ],
    "file": [
        "machine api.example.com login bob password {}",
        "//registry.npmjs.org/:_authToken={}",
        "db.example.com:5432:app:bob:{}",
        "<add key=\"Password\" value=\"{}\" />",
        "<password>{}</password>",
        "requirepass {}",
    ],
    "sql": [
        "CREATE USER app WITH PASSWORD '{}';",
        "ALTER USER 'root'@'localhost' IDENTIFIED BY '{}';",
        "Server=db;Database=app;User Id=sa;Password={};Encrypt=true",
        "host=db user=app password={} dbname=app",
        "SET PASSWORD FOR 'bob' = '{}'",
    ],
    "code and prose": [
        'password = "{}"',
        "os.environ['SECRET_TOKEN'] = '{}'",
        "client = Client(api_key='{}')",
        "const apiKey = `{}`;",
        "The password is {}",
        "log in with password `{}` please",
        "Das Passwort lautet: {}",
        "the new token is {}, use it",
        "String secret = \"{}\";",
        "config.auth_token = '{}'",
        "my api key is: {}",
    ],
}
NAMED_PLACES_HELD_OUT = {
    "environment": ["GITEA_TOKEN={} tea login", "export FOO_SECRET='{}'; ./x", "STRIPE_API_KEY={} go run ."],
    "docker and kubernetes": [
        "docker compose run -e ADMIN_PASSWORD={} web",
        "kubectl -n x create secret generic s --from-literal=api-token={}",
        "podman login --username=u --password={} quay.io",
    ],
    "json": ["{{\"refresh_token\": \"{}\"}}", "{{'passphrase': '{}'}}", "data: {{\\\"apiKey\\\": \\\"{}\\\"}}"],
    "yaml, ini, properties": ["  client-secret: {}", "jdbc.password = {}", "auth_token: '{}'"],
    "header": ["'authorization': 'Basic {}'", "-H \"X-Auth-Key: {}\"", "authorization: token {}"],
    "url": [
        "https://{}:x-oauth-basic@github.com/o/r.git",
        "mysql://root:{}@127.0.0.1/db?ssl=1",
        "fatal: unable to access 'https://bob:{}@git.example.com/'",
        "smtp://mail:{}@smtp.example.com:587",
    ],
    "flag": [
        "mysqladmin -uroot -p'{}' status",
        "pg_dump --dbname=postgresql://a:{}@b/c",
        "gitea admin user create --username a --password {}",
        "sshpass -p'{}' scp a b:",
        "curl -sS -u 'admin:{}' http://localhost:9200",
        "restic --password-command 'echo x' --secret {}",
    ],
    "file": ["machine h login l password {} macdef", "*:*:*:postgres:{}", "//npm.example.com/:_password={}"],
    "sql": ["create role r login password '{}'", "Data Source=h;User ID=u;Pwd={}"],
    "code and prose": ["token = '{}'", "self.secret_key: str = \"{}\"", "Password: {}", "use the passphrase \"{}\" here"],
}

PEM_KINDS = ["RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "DSA PRIVATE KEY"]
PEM_PLACES = ["{}", "cat > id <<EOF\n{}\nEOF", '{{"private_key": "{}"}}', "echo '{}' | ssh-add -", "key: |\n{}"]
ONLY_HELD_OUT = 5


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def case(kind: str, place: str, prefix: str, secret: str) -> dict[str, object]:
    before, _, after = place.partition("{}")
    before, after = (part.replace("{{", "{").replace("}}", "}") for part in (before, after))
    return {
        "kind": kind,
        "before": pieces(before, 10),
        "prefix": pieces(prefix, 3),
        "secret": pieces(secret, 7),
        "after": pieces(after, 10),
    }


def value(m: Maker, place: str) -> str:
    if "Basic {}" in place or '"auth": "{}"' in place:
        return base64.b64encode(f"bob:{m.word()}{m.of(ALNUM, 6)}".encode()).decode()
    if "AWS_SECRET" in place.upper():
        return m.of(BASE64, 40)
    if "MM_TOKEN" in place or "new token" in place:
        return m.of(MM, 26)
    # What an unquoted shell word, a URL or a header takes as it is.
    opaque = [m.of(ALNUM, 20), m.of(HEX, 32), m.of(LOWER, 26), m.safe(30), m.uuid(), m.of(string.digits, 8) + "pw"]
    choice = m.random.choice([m.word(), m.word(), *opaque])
    return choice.replace("#", "x").replace("%", "y") if "://" in place or "?" in place else choice


def pem(m: Maker, place: str, kind: str) -> dict[str, object]:
    body = m.pem(m.random.randint(3, 8))
    label = m.random.choice(PEM_KINDS)
    begin, end = f"-----BEGIN {label}-----\n", f"\n-----END {label}-----"
    if "private_key" in place:
        begin, body, end = (part.replace("\n", "\\n") for part in (begin, body, end))
    before, _, after = place.partition("{}")
    made = case(kind, "{}", begin, body)
    made["before"] = pieces(before.replace("{{", "{"), 10)
    made["after"] = pieces(end + after.replace("}}", "}"), 10)
    return made


def pgp(m: Maker, kind: str) -> dict[str, object]:
    made = case(kind, "{}", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n", m.pem(5))
    made["after"] = pieces("\n-----END PGP PRIVATE KEY BLOCK-----", 10)
    return made


def write(name: str, cases: list[dict[str, object]]) -> None:
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in cases)
    (HERE / name).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main() -> None:
    hidden = set(random.Random(90125).sample(sorted(set(SHAPED) - {"unlabelled"}), ONLY_HELD_OUT))
    m = Maker(5150)
    shown = [kind for kind in SHAPED if kind not in hidden]
    cases = [
        case(kind, place, *SHAPED[kind](m))
        for kind in shown
        for place in m.random.sample(SHAPED_PLACES, 5 if kind == "unlabelled" else 2)
    ]
    cases += [case(kind, p, "", value(m, p)) for kind, places in NAMED_PLACES.items() for p in places]
    cases += [pem(m, place, "private key") for place in PEM_PLACES] + [pgp(m, "pgp private key")]
    write("positives.json", cases)

    m = Maker(2112)
    kinds = [*sorted(hidden) * 2, *m.random.sample(shown, 27), "unlabelled", "unlabelled"]
    cases = [case(kind, m.random.choice(SHAPED_PLACES_HELD_OUT), *SHAPED[kind](m)) for kind in kinds]
    cases += [case(kind, p, "", value(m, p)) for kind, places in NAMED_PLACES_HELD_OUT.items() for p in places]
    cases += [pem(m, "k = '''{}'''", "private key"), pem(m, "-i <(echo \"{}\")", "private key"), pgp(m, "pgp private key")]
    write("held_out.json", cases)


if __name__ == "__main__":
    main()
