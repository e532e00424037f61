#!/usr/bin/env python3
"""Records how a Redis server reads, adds and prints floating-point numbers, for tests/numbers.rs.

    record.py HOST PORT doubles COUNT SEED > doubles.txt   # a number, tab, the score ZADD made of it or `error`
    record.py HOST PORT sums COUNT SEED > sums.txt         # two numbers, tabs, what INCRBYFLOAT made of them or `error`

Record from Redis 7.2 on x86-64: 7.0 prints scores in another form, other machines have another long double.
The key `record` is overwritten.
"""

import random
import socket
import struct
import sys


class Redis:
    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port))
        self.input = self.socket.makefile("rb")

    def send(self, *args):
        parts = [b"*%d\r\n" % len(args)]
        for arg in args:
            arg = arg.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
        self.socket.sendall(b"".join(parts))

    def reply(self):
        line = self.input.readline().rstrip(b"\r\n")
        if line.startswith(b"$"):
            return self.input.read(int(line[1:]) + 2)[:-2].decode()
        return "error" if line.startswith(b"-") else line[1:].decode()

    def call(self, *args):
        self.send(*args)
        return self.reply()


def decimal(rng, digit_max, exponent_max):
    """A decimal number of any precision and size, sometimes with odd syntax."""
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, digit_max)))
    if rng.random() < 0.3:
        digits = digits[: len(digits) // 3] + rng.choice("09") * (len(digits) // 2)
    point = rng.randint(0, len(digits))
    text = rng.choice(["", "", "-", "+"]) + digits[:point] + rng.choice([".", "." + digits[point:]])
    if rng.random() < 0.4:
        text += rng.choice("eE") + rng.choice(["", "-", "+"]) + str(rng.randint(0, exponent_max))
    return text


def hexadecimal(rng, exponent_max):
    digits = "".join(rng.choice("0123456789abcdefABCDEF") for _ in range(rng.randint(1, 36)))
    point = rng.randint(0, len(digits))
    text = rng.choice(["", "-"]) + rng.choice(["0x", "0X"]) + digits[:point] + "." + digits[point:]
    if rng.random() < 0.7:
        text += rng.choice("pP") + rng.choice(["", "-", "+"]) + str(rng.randint(0, exponent_max))
    return text


def near_a_tie(rng):
    """Exactly, or nearly, half way between two doubles or two long doubles."""
    bits = rng.choice([53, 64])
    value = 2 * rng.getrandbits(bits) + 1
    text = str(value << rng.randint(0, 12))
    return text + rng.choice(["", ".0", "." + "0" * rng.randint(1, 30) + "1"])


ODD = """0 -0 +0 00 0.0 -0.0 . .. 1. .5 -.5 +.5 e 1e 1e+ 1e- .e1 1e1e1 inf -inf +inf INF infinity Infinity infinit infx
nan NaN -nan nan() nan(1) 0x 0x. 0x.p1 0x1 0x1p 0x1p+ 0x1p1 -0x1P-1 0x.8 0x8. 0xg 0x1g 1x 1f 1d 1L 1_0 1,0 -- -+1 +-1 #1
0b1 0o7 1e309 -1e309 1e-324 3e-324 2e-324 5e-324 2.4703282292062327e-324 2.4703282292062328e-324 1e-400 0x1p-1074
0x1p-1075 0x1.8p-1075 0x1p-1076 0x1p1023 0x1p1024 0x1.fffffffffffffp1023 0x1.fffffffffffff8p1023
0x1.fffffffffffff7fp1023 1e4932 -1e4932 1.18973149535723176502e4932 1.2e4932 1e4933 3.7e-4951 3.6e-4951 1.8e-4951
1.9e-4951 1e-4951 1e-4960 1e-5000 0x1p16383 0x1p16384 0x1p-16445 0x1p-16446 0x1.8p-16446 0x1p-16447 0e99999 0e-99999
1e99999999999999999999 1e-99999999999999999999 0e99999999999999999999 9007199254740993 9223372036854775807
-9223372036854775808 9223372036854775808 18446744073709551615 18446744073709551616 4611686018427387904
4611686018427388416 4611686018427388928 4611686018427389952 1e15 1e16 1e17 1e18 1e19 1e20 1e21 1e22 1e23 123456789e14
12345678e14 0.1 0.2 0.3 0.7 1.1 3.3 100.001 0.001 0.0001 0.00001 0.000001 0.0000001 0.00000012345 123456.0000001
1e-5 1e-6 1e-7 1.5e-6 1.5e-7 0.00001234567890123456 5e-17 5e-18 4.9e-18 1e-17 1e-18 0.5e-17 1.5e-17 2.5e-17
0.00000000000000001 99999999999999999 0.99999999999999999 0.999999999999999999 0.9999999999999999999""".split()


def number(rng, kind):
    is_double = kind == "doubles"
    choice = rng.random()
    if is_double and choice < 0.35:
        return repr(struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0])
    if choice < 0.5:
        return "%.*f" % (rng.randint(0, 18), rng.uniform(-1, 1) * 10 ** rng.randint(-6, 12))
    if choice < 0.75:
        exponent_max = rng.choice([8, 30, 330] if is_double else [8, 30] * 10 + [4970])
        return decimal(rng, rng.choice([6, 20, 60]), exponent_max)
    if choice < 0.85:
        return hexadecimal(rng, rng.choice([10, 1100] if is_double else [10] * 20 + [16500]))
    if choice < 0.92:
        return near_a_tie(rng)
    return rng.choice(ODD)


def main():
    host, port, kind, count, seed = sys.argv[1:]
    redis = Redis(host, int(port))
    rng = random.Random(int(seed))
    if kind == "doubles":
        texts = ODD + [number(rng, kind) for _ in range(int(count))]
        for text in texts:
            redis.call("DEL", "record")
            # The score as computed: a listpack would store -0 as the integer 0.
            print(text, redis.call("ZADD", "record", "INCR", text, "member"), sep="\t")
    else:
        pairs = [(text, "0") for text in ODD]
        pairs += [(number(rng, kind), number(rng, kind)) for _ in range(int(count))]
        redis.call("DEL", "record")
        for a, b in pairs:
            redis.call("SET", "record", a)
            print(a, b, redis.call("INCRBYFLOAT", "record", b), sep="\t")


main()
