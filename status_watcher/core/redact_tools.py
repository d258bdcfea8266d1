"""Where the tools that agents use take secrets, from the tools' manuals: the table behind `redact_commands`.

A row is a number of tools and a number of forms. In a form

- `!` is the secret, in a word of its own or behind what stands before it (`*:!` is that of `user:pw`),
  `#` a secret that was made by a machine;
- a word that begins with `-` or `/` is an option: `-p !` has the secret in the next word, behind `=` or glued
  to the letter if something stands before it (`-u *:!`), `-p!` only glued; words before it must occur;
- `-b-` at the beginning wants that letter among the options, `-passwd` that option;
- other words stand in this order among the words that are no options, `*` for any, `~` for one that ends
  in the name of a secret; `...` lets the secret be any of all that follow.
"""

from typing import Final

TOOLS: Final[tuple[tuple[str, str], ...]] = (
    # Passwords behind an option.
    ("mysql mysqladmin mysqldump mysqlimport mysqlshow mysqlcheck mariadb mariadb-dump mariadb-admin", "-p!"),
    ("mysqladmin", "password !"),
    ("7z 7za 7zr 7zz rar unrar", "-p! | -hp!"),
    ("sshpass", "-p! | -p !"),
    ("zip unzip zipcloak sqlcmd bcp", "-P! | -P !"),
    ("redis-cli valkey-cli", "-a ! | AUTH ! | CONFIG SET requirepass ! | CONFIG SET masterauth !"),
    (
        "docker podman nerdctl buildah skopeo helm oras crane az cf oc npm gitea tea twine kubectl glab",
        "login -p ! | upload -p ! | login --password ! | --creds *:! | --src-creds *:! | --dest-creds *:!",
    ),
    ("az", "-u -p ! | secret --value !"),
    ("ldapsearch ldapmodify ldapadd ldapdelete ldappasswd ldapwhoami", "-w! | -w ! | -s ! | -a !"),
    ("openssl", "-k ! | -K ! | -hmac ! | passwd ... !"),
    ("ssh-keygen", "-N ! | -P !"),
    ("snmpwalk snmpget snmpset snmpbulkwalk snmptrap", "-c ! | -A ! | -X !"),
    ("curl", "-u *:! | -U *:! | --user *:! | --proxy-user *:! | -b *=! | --cookie *=!"),
    ("http https xh", "-a *:! | --auth *:!"),
    ("jenkins-cli", "-auth *:!"),
    ("etcdctl", "--user *:!"),
    ("lftp", "-u *,!"),
    ("usermod useradd", "-p ! | --password !"),
    ("security", "-w ! | -p ! | -P !"),
    ("veracrypt truecrypt hdiutil", "-p ! | -passphrase !"),
    ("signtool", "/p !"),
    ("schtasks", "/rp !"),
    ("cmdkey", "/pass:!"),
    ("xfreerdp wfreerdp", "/p:!"),
    ("qpdf", "--encrypt ! | --owner-password !"),
    ("dotnet", "push -k !"),
    ("doctl", "init -t #"),
    ("gh", "secret -b! | secret -b ! | secret --body !"),
    ("aws", "--secret-string ! | put-parameter --value !"),
    ("kubectl oc", "--from-literal *=!"),
    ("caddy", "--plaintext !"),
    ("sonar-scanner mvn gradle", "-Dsonar.login=!"),
    ("convertto-securestring", "-String ! | -AsPlainText ! | !"),
    ("swaks", "-ap ! | --auth-password !"),
    ("impacket-secretsdump impacket-psexec impacket-wmiexec secretsdump", "*:!@"),
    # Passwords by their place.
    ("htpasswd", "-b- * * ... ! | -n- * ... !"),
    ("mosquitto_passwd", "-b- * * ... !"),
    ("mc", "alias set * * * ! | config host add * * * ! | admin user add * * !"),
    ("rabbitmqctl", "add_user * ! | change_password * ! | authenticate_user * !"),
    ("net", "user * ! | use * * !"),
    ("rclone", "obscure ! | reveal ! | pass ! | ~ !"),
    ("bw", "unlock ! | login * !"),
    ("dscl", "-passwd * * !"),
    ("drush", "user:password * ! | upwd * !"),
    ("wpa_passphrase radtest", "* !"),
    ("nmcli", "~ !"),
    ("pdftk", "user_pw ! | owner_pw ! | input_pw !"),
    ("sqlplus sqlldr expdp impdp rman", "*/!@"),
    ("vault bao", "login # | unseal # | kv put ... *=! | write ... ~=!"),
    ("cargo ngrok nuget", "login # | authtoken # | add-authtoken # | setapikey #"),
    ("ansible-vault", "encrypt_string !"),
    ("poetry composer", "config http-basic.* * ! | config *-token.* ! | config *-oauth.* !"),
    ("bundle", "config set * *:! | config * *:!"),
    ("heroku fly flyctl supabase", "config:set ... *=! | secrets set ... *=!"),
    ("bitcoin-cli", "importprivkey !"),
    ("oathtool", "... #"),
    ("neo4j-admin grafana-cli grafana", "~ !"),
    ("snmp-server", "community !"),
    # Settings whose name says that they are secret.
    (
        "aws npm pnpm yarn consul etcdctl pulumi dotnet wp occ pip kubectl vault redis-cli helm snap",
        "set ~ ! | put ~ !",
    ),
    ("git", "config ~ !"),
    ("setx crudini", "~ !"),
)

ENGLISH: Final = frozenset({"net", "security", "zip", "http", "https", "bundle", "fly", "cargo", "composer"})
"""Tools that are words too: only at the beginning of a command."""
