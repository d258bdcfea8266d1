"""The sandbox as a process of its own: prints its address and tokens as one line of JSON, then serves."""

import asyncio
import signal

import click
import orjson

from status_watcher.sandbox import page
from status_watcher.sandbox.server import RateLimit, Sandbox, ServerSettings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, help="Port to listen on; 0 takes a free one.")
@click.option("--rate-limit", nargs=2, type=int, help="Requests a second, and how many more at once.")
@click.option(
    "--edit-time-limit", default=-1, show_default=True, help="Seconds for which a post may be edited."
)
def main(host: str, port: int, rate_limit: tuple[int, int] | None, edit_time_limit: int) -> None:
    """Serve a Mattermost-compatible server, its page at `/`, until SIGTERM or SIGINT."""
    settings = ServerSettings(
        rate_limit=RateLimit(*rate_limit) if rate_limit else None, edit_time_limit_s=edit_time_limit
    )
    asyncio.run(_serve(Sandbox(host=host, port=port, settings=settings, extra_routes=page.routes)))


async def _serve(sandbox: Sandbox) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with sandbox:
        where = {
            "url": sandbox.url,
            "bot_token": sandbox.bot_token,
            "bot_id": sandbox.bot.id,
            "bot_username": sandbox.bot.username,
            "person_token": sandbox.person_token,
            "person_id": sandbox.person.id,
            "team": sandbox.team.name,
            "channel_id": sandbox.channel.id,
        }
        click.echo(orjson.dumps(where).decode())
        await stop.wait()


if __name__ == "__main__":
    main()
