"""The calls that need no token: is the server there, and what clients are told about it."""

from aiohttp import web

from status_watcher.sandbox.call import Answer, open_endpoint
from status_watcher.sandbox.wire import VERSION


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v4/system/ping", open_endpoint(_ping), allow_head=True),
        web.get("/api/v4/config/client", open_endpoint(_client_config)),
        web.get("/api/v4/license/client", open_endpoint(_client_license)),
    ]


def _ping(request: web.Request) -> Answer:
    payload = {
        "ActiveSearchBackend": "database",
        "AndroidLatestVersion": "",
        "AndroidMinVersion": "",
        "IosLatestVersion": "",
        "IosMinVersion": "",
        "status": "OK",
    }
    if request.query.get("get_server_status") != "true":
        return Answer(payload)
    status = {"database_status": "OK", "filestore_status": "OK", "status": "OK"}
    return Answer(payload | status, headers={name.capitalize(): value for name, value in status.items()})


def _client_config(_request: web.Request) -> Answer:
    """The few settings that a bot's client could ask for, of the hundreds that a browser gets."""
    return Answer(
        {
            "BuildEnterpriseReady": "",
            "BuildNumber": f"{VERSION}-sandbox",
            "DefaultClientLocale": "en",
            "EnableBotAccountCreation": "true",
            "SiteName": "status-watcher sandbox",
            "SiteURL": "",
            "Version": VERSION,
        }
    )


def _client_license(_request: web.Request) -> Answer:
    return Answer({"IsLicensed": "false"})
