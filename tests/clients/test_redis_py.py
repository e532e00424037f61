"""What users' programs do all day, through redis-py: states, snapshots, caches, channels, queues, rankings.

REDIS_URL names the server, which is emptied before each test. The names of the tests are the patterns of
trading and web platforms; nothing here knows which server it talks to.
"""

import asyncio
import faulthandler
import json
import os
import threading
import time
import unittest

import redis
import redis.asyncio

URL = os.environ["REDIS_URL"]
OPTIONS = {"decode_responses": True, "socket_connect_timeout": 5, "socket_keepalive": True}
# How long anything may take that should happen at once.
PATIENCE = 10


def connect(**options):
    return redis.from_url(URL, **{**OPTIONS, **options})


def until(condition):
    """Waits for a condition, bounded."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def messages(pubsub, count):
    """The next messages of a subscriber, confirmations left out."""
    received = []
    deadline = time.monotonic() + PATIENCE
    while len(received) < count:
        assert time.monotonic() < deadline, f"{len(received)} of {count} messages"
        message = pubsub.get_message(ignore_subscribe_messages=True, timeout=1)
        if message is not None:
            received.append(message)
    return received


def state(symbol, tick):
    return {
        "symbol": symbol,
        "timestamp": 1700000000 + tick,
        "price": 100.25 + tick,
        "velocity": 0.5,
        "acceleration": -0.125,
        "volume": tick * 10,
        "regime": "trending",
    }


class Patterns(unittest.TestCase):
    protocol = 2

    def setUp(self):
        self.r = connect(protocol=self.protocol)
        self.r.flushall()

    def tearDown(self):
        self.r.close()

    def subscriber(self, *channels, patterns=()):
        pubsub = connect(protocol=self.protocol).pubsub()
        if channels:
            pubsub.subscribe(*channels)
        if patterns:
            pubsub.psubscribe(*patterns)
        for _ in range(len(channels) + len(patterns)):
            self.assertIn(pubsub.get_message(timeout=PATIENCE)["type"], ("subscribe", "psubscribe"))
        self.addCleanup(pubsub.close)
        return pubsub

    def test_states_are_written_by_one_and_read_by_several(self):
        symbols = [f"SYM{n}" for n in range(20)]
        readers = [connect(protocol=self.protocol) for _ in range(3)]
        for tick in range(50):
            with self.r.pipeline(transaction=False) as pipe:
                for symbol in symbols:
                    pipe.set(f"physics:state:{symbol}", json.dumps(state(symbol, tick)))
                self.assertEqual(pipe.execute(), [True] * len(symbols))
            for reader in readers:
                for symbol in symbols[:5]:
                    read = json.loads(reader.get(f"physics:state:{symbol}"))
                    self.assertEqual(read, state(symbol, tick))
        keys = sorted(self.r.keys("physics:state:*"))
        self.assertEqual(keys, sorted(f"physics:state:{symbol}" for symbol in symbols))
        self.assertEqual(sorted(self.r.scan_iter("physics:state:*", count=7)), keys)
        for reader in readers:
            reader.close()

    def test_snapshots_are_hashes_that_grow_stale(self):
        snapshot = {"price": "100.5", "volume": "10", "bid": "100.4", "ask": "100.6", "timestamp": "1"}
        with self.r.pipeline(transaction=False) as pipe:
            pipe.hset("market:snapshot:AAPL", mapping=snapshot)
            pipe.expire("market:snapshot:AAPL", 60)
            self.assertEqual(pipe.execute(), [5, True])
        self.assertEqual(self.r.hgetall("market:snapshot:AAPL"), snapshot)
        self.assertIn(self.r.ttl("market:snapshot:AAPL"), (59, 60))
        self.assertEqual(self.r.hmget("market:snapshot:AAPL", "bid", "missing"), ["100.4", None])
        self.r.pexpire("market:snapshot:AAPL", 1)
        until(lambda: self.r.hgetall("market:snapshot:AAPL") == {})

    def test_agents_remember_for_an_hour(self):
        memory = {"id": 7, "notes": ["a", "b"], "text": "grüße €"}
        self.assertTrue(self.r.set("agent:state:7", json.dumps(memory, ensure_ascii=False), ex=3600))
        self.assertEqual(json.loads(self.r.get("agent:state:7")), memory)
        self.assertIn(self.r.ttl("agent:state:7"), (3599, 3600))

    def test_signals_reach_all_subscribers_in_order(self):
        subscribers = [self.subscriber("trade_signals") for _ in range(2)]
        audit = self.subscriber(patterns=("trade_*",))
        signals = [json.dumps({"event": "buy", "number": n}) for n in range(200)]
        for signal in signals:
            self.assertEqual(self.r.publish("trade_signals", signal), 3)
        for subscriber in subscribers:
            self.assertEqual([m["data"] for m in messages(subscriber, 200)], signals)
        heard = messages(audit, 200)
        self.assertEqual([m["data"] for m in heard], signals)
        self.assertEqual({(m["type"], m["channel"], m["pattern"]) for m in heard},
                         {("pmessage", "trade_signals", "trade_*")})
        self.assertEqual(self.r.pubsub_channels(), ["trade_signals"])
        self.assertEqual(self.r.pubsub_numsub("trade_signals"), [("trade_signals", 2)])
        self.assertEqual(self.r.pubsub_numpat(), 1)

    def test_an_asyncio_bridge_feeds_its_sockets_and_delays_nobody(self):
        updates = [json.dumps({"event": "state_update", "symbol": "X", "data": n}) for n in range(300)]

        async def bridge(ready, sockets):
            client = redis.asyncio.from_url(URL, protocol=self.protocol, **OPTIONS)
            async with client.pubsub() as pubsub:
                await pubsub.subscribe("state_update")
                async for message in pubsub.listen():
                    if message["type"] == "subscribe":
                        ready.set()
                        continue
                    for socket in sockets:
                        await socket.put(message["data"])
                    if message["data"] == updates[-1]:
                        break
            await client.aclose()

        async def run():
            ready = asyncio.Event()
            sockets = [asyncio.Queue() for _ in range(5)]
            task = asyncio.create_task(bridge(ready, sockets))
            await asyncio.wait_for(ready.wait(), PATIENCE)
            publisher = redis.asyncio.from_url(URL, protocol=self.protocol, **OPTIONS)
            for update in updates:
                self.assertEqual(await publisher.publish("state_update", update), 1)
            await asyncio.wait_for(task, PATIENCE)
            await publisher.aclose()
            for socket in sockets:
                self.assertEqual([socket.get_nowait() for _ in updates], updates)

        asyncio.run(run())

    def test_a_queue_is_worked_off_by_several_consumers(self):
        done, threads = [], []

        def work():
            client = connect(protocol=self.protocol)
            while (task := client.brpop("queue:tasks", timeout=1)) is not None:
                self.assertEqual(task[0], "queue:tasks")
                done.append(int(task[1]))
            client.close()

        for _ in range(4):
            threads.append(threading.Thread(target=work))
            threads[-1].start()
        for number in range(500):
            self.r.lpush("queue:tasks", number)
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(sorted(done), list(range(500)))
        self.assertEqual(self.r.llen("queue:tasks"), 0)
        self.r.lpush("queue:tasks", "first", "second")
        self.assertEqual(self.r.brpop(["none", "queue:tasks"], timeout=1), self.pair("queue:tasks", "first"))
        self.assertEqual(self.r.lrange("queue:tasks", 0, -1), ["second"])

    def pair(self, *items):
        """redis-py gives a tuple in version 2 of the protocol and a list in version 3."""
        return tuple(items) if self.protocol == 2 else list(items)

    def test_strategies_are_ranked(self):
        self.r.zadd("leaderboard:strategies", {"momentum": 1.5, "mean": 0.75, "pairs": 2.25, "noise": -0.5})
        self.r.zadd("leaderboard:strategies", {"mean": 1.75})
        self.r.zadd("leaderboard:strategies", {"carry": 1.0, "value": 1.25})
        top = self.r.zrevrange("leaderboard:strategies", 0, 4, withscores=True)
        self.assertEqual([tuple(entry) for entry in top],
                         [("pairs", 2.25), ("mean", 1.75), ("momentum", 1.5), ("value", 1.25), ("carry", 1.0)])
        self.assertEqual(self.r.zscore("leaderboard:strategies", "noise"), -0.5)
        self.assertIsNone(self.r.zscore("leaderboard:strategies", "missing"))

    def test_features_are_cached_until_they_expire(self):
        key = "features:AAPL:2024-01-02"
        self.assertIsNone(self.r.get(key))
        self.r.set(key, json.dumps([1, 2, 3]), px=30)
        until(lambda: self.r.get(key) is None)
        with self.assertRaises(redis.DataError):
            self.r.set(key, {"a": 1})
        self.assertFalse(self.r.exists(key))

    def test_sessions_live_as_long_as_they_are_used(self):
        self.r.set("session:abc", "user-1", ex=100)
        self.assertEqual(self.r.get("session:abc"), "user-1")
        self.assertEqual(self.r.getex("session:abc", ex=1000), "user-1")
        self.assertGreater(self.r.ttl("session:abc"), 900)
        self.assertTrue(self.r.expire("session:abc", 10))
        self.assertFalse(self.r.expire("session:none", 10))
        self.assertEqual(self.r.delete("session:abc", "session:none"), 1)
        self.assertIsNone(self.r.getex("session:abc", ex=1000))
        self.assertTrue(self.r.set("csrf:1", "token", ex=60, nx=True))
        self.assertIsNone(self.r.set("csrf:1", "other", ex=60, nx=True))
        self.assertEqual(self.r.getdel("csrf:1"), "token")

    def test_requests_are_counted_per_minute(self):
        for expected in range(1, 6):
            with self.r.pipeline(transaction=False) as pipe:
                pipe.incr("rate:user-1")
                pipe.expire("rate:user-1", 60, nx=True)
                count, first = pipe.execute()
            self.assertEqual((count, first), (expected, expected == 1))

    def test_a_failing_command_in_a_pipeline_does_not_hide_the_others(self):
        self.r.rpush("list", "a")
        with self.r.pipeline(transaction=False) as pipe:
            pipe.set("k", "1").incr("list").incr("k")
            results = pipe.execute(raise_on_error=False)
        self.assertEqual((results[0], results[2]), (True, 2))
        self.assertIsInstance(results[1], redis.ResponseError)
        self.assertIn("WRONGTYPE", str(results[1]))

    def test_bytes_stay_bytes_without_decoding(self):
        raw = connect(protocol=self.protocol, decode_responses=False)
        value = bytes(range(256)) * 400
        raw.set(b"binary\x00key", value)
        self.assertEqual(raw.get(b"binary\x00key"), value)
        self.assertEqual(raw.hset("h", mapping={b"\xff": b"\x00"}), 1)
        self.assertEqual(raw.hgetall("h"), {b"\xff": b"\x00"})
        raw.close()

    def test_many_threads_share_a_pool(self):
        pool = redis.BlockingConnectionPool.from_url(
            URL, max_connections=8, timeout=PATIENCE, protocol=self.protocol, **OPTIONS)
        client, failures = redis.Redis(connection_pool=pool), []

        def work(number):
            try:
                for count in range(100):
                    client.set(f"t:{number}", count)
                    assert client.get(f"t:{number}") == str(count)
                    client.incr("total")
            except Exception as error:  # a thread has nobody else to tell
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(failures, [])
        self.assertEqual(self.r.get("total"), "2000")
        pool.disconnect()

    def test_databases_are_apart(self):
        other = redis.from_url(URL.replace("/0", "/5"), protocol=self.protocol, **OPTIONS)
        other.set("k", "five")
        self.assertIsNone(self.r.get("k"))
        self.assertEqual(other.get("k"), "five")
        self.assertEqual(self.r.info("keyspace"), {"db5": {"keys": 1, "expires": 0, "avg_ttl": 0}})
        other.close()

    def test_what_operators_ask(self):
        self.assertTrue(self.r.ping())
        self.assertTrue(self.r.info("server")["redis_version"].startswith("7."))
        info = self.r.info()
        for name in ("total_commands_processed", "instantaneous_ops_per_sec", "used_memory_human",
                     "connected_clients", "maxmemory_policy", "role", "aof_enabled"):
            self.assertIn(name, info)
        self.assertTrue(self.r.config_set("slowlog-log-slower-than", 0))
        self.r.get("anything")
        self.r.config_set("slowlog-log-slower-than", 10000)
        self.assertIn(b"GET anything", [entry["command"] for entry in self.slowlog()])
        self.assertEqual(self.r.config_get("slowlog-log-slower-than"), {"slowlog-log-slower-than": "10000"})
        self.assertTrue(self.r.client_setname("operator"))
        self.assertIn("operator", [client["name"] for client in self.r.client_list()])
        self.assertIn("get", self.r.command())
        self.assertEqual(self.r.command_getkeys("MSET", "a", 1, "b", 2), ["a", "b"])
        seconds, _ = self.r.time()
        self.assertLess(abs(seconds - time.time()), 5)
        self.assertEqual(self.r.dbsize(), 0)

    def slowlog(self):
        entries = self.r.slowlog_get(50)
        for entry in entries:
            if isinstance(entry["command"], str):
                entry["command"] = entry["command"].encode()
        return entries

    def test_a_monitor_sees_commands(self):
        with connect(protocol=self.protocol).monitor() as monitor:
            self.r.set("k", "v 1")
            command = monitor.next_command()
            while not command["command"].startswith("SET"):
                command = monitor.next_command()
        self.assertEqual(command["command"], "SET k v 1")


class PatternsInResp3(Patterns):
    """The same again in version 3 of the protocol."""

    protocol = 3


if __name__ == "__main__":
    # Nothing here takes minutes; what hangs is shown and ended.
    faulthandler.dump_traceback_later(120, exit=True)
    unittest.main()
