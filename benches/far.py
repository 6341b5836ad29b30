"""A slow link to a server: every byte arrives 100 ms late, either way, and no connection carries more than 4
MB a second. It is a proxy on loopback, since not every kernel can delay packets."""

import asyncio
import sys
import threading

DELAY = 0.1
RATE = 4_000_000
PIECE = 64 << 10


async def carry(reader, writer, rate: float | None) -> None:
    """Passes bytes on, each DELAY late, at most `rate` a second."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue = asyncio.Queue(maxsize=int(2 * DELAY * RATE / PIECE) + 8)

    async def send() -> None:
        free = loop.time()
        while (item := await queue.get()) is not None:
            due, piece = item
            free = max(free, due) + (len(piece) / rate if rate else 0)
            await asyncio.sleep(max(0, free - loop.time()))
            writer.write(piece)
            await writer.drain()
        writer.close()

    sending = asyncio.create_task(send())
    try:
        while piece := await reader.read(PIECE):
            await queue.put((loop.time() + DELAY, piece))
        await queue.put(None)
        await sending
    except (ConnectionError, asyncio.CancelledError):
        sending.cancel()
        writer.close()


class Far:
    """Runs the proxy in its own thread."""

    def __init__(self, host: str, port: int):
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def connection(reader, writer) -> None:
            there = await asyncio.open_connection(host, port, limit=PIECE)
            await asyncio.gather(
                carry(reader, there[1], None), carry(there[0], writer, RATE), return_exceptions=True
            )

        async def serve() -> None:
            server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=PIECE)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await server.serve_forever()

        threading.Thread(target=lambda: self.loop.run_until_complete(serve()), daemon=True).start()
        ready.wait()
        self.url = f"http://127.0.0.1:{self.port}"


if __name__ == "__main__":
    host, port = sys.argv[1].removeprefix("http://").rstrip("/").split(":")
    print(Far(host, int(port)).url, flush=True)
    threading.Event().wait()
