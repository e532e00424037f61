"""A publisher that lives through a restart of its server: it spills events while the server is away and
replays them in order when it is back; meanwhile another thread writes on, with retries.

Talks to its parent by lines: says `ready` when it has begun, `away` when it has noticed that the server is
gone, is told `restarted` when the server is back, says `done` when all checks hold.
"""

import faulthandler
import os
import sys
import threading

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

URL = os.environ["REDIS_URL"]
PATIENCE = 30
SPILLED = 50


def say(word):
    print(word, flush=True)


class Writer(threading.Thread):
    """Counts up a key, whatever happens to the server."""

    def __init__(self):
        super().__init__(daemon=True)
        self.client = redis.from_url(
            URL, decode_responses=True, socket_connect_timeout=5,
            retry=Retry(ExponentialBackoff(cap=0.1, base=0.01), 10 * PATIENCE),
            retry_on_error=[redis.ConnectionError, redis.TimeoutError])
        self.acknowledged = 0
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            try:
                self.client.set("last", self.acknowledged + 1)
            except redis.ConnectionError:
                # The library retries commands, but not the greeting of a new connection that the leaving server cuts.
                continue
            self.acknowledged += 1

    def end(self):
        self.ending.set()
        self.join(PATIENCE)
        assert not self.is_alive(), "the writer is answered again"
        assert int(self.client.get("last")) == self.acknowledged


def publish_or_spill(client, spilled, event):
    """Publishes what was spilled before, then the event; what cannot be sent stays spilled."""
    spilled.append(event)
    try:
        while spilled:
            client.publish("events", spilled[0])
            spilled.pop(0)
    except redis.ConnectionError:
        return False
    return True


def main():
    faulthandler.dump_traceback_later(2 * PATIENCE, exit=True)
    writer = Writer()
    writer.start()
    publisher = redis.from_url(URL, decode_responses=True, socket_connect_timeout=5)
    publisher.publish("events", "first")
    say("ready")

    spilled = []
    while publish_or_spill(publisher, spilled, "early"):
        pass
    spilled = []
    events = [f"event {number}" for number in range(SPILLED)]
    for event in events:
        assert not publish_or_spill(publisher, spilled, event), "the server is away"
    say("away")
    assert sys.stdin.readline().strip() == "restarted"

    subscriber = redis.from_url(URL, decode_responses=True).pubsub()
    subscriber.subscribe("events")
    assert subscriber.get_message(timeout=PATIENCE)["type"] == "subscribe"
    assert publish_or_spill(publisher, spilled, "newest") and not spilled
    for expected in [*events, "newest"]:
        message = subscriber.get_message(timeout=PATIENCE)
        assert message is not None and message["data"] == expected, (message, expected)
    before = writer.acknowledged
    while writer.acknowledged <= before + 100:
        assert writer.is_alive(), "the writer survives"
    writer.end()
    say("done")


main()
