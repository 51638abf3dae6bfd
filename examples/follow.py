"""Prints the messages of a topic, comes back after a break, and goes on where it was.

python3 examples/follow.py localhost 8081 events
"""
import json, socket, sys, time

host, port, topic = sys.argv[1], int(sys.argv[2]), sys.argv[3]
at = None  # the last message that was had, by the process that accepted it


def frames(connection):
    rest = b""
    while chunk := connection.recv(65536):
        *whole, rest = (rest + chunk).split(b"\x01")
        yield from whole


def follow(connection):
    global at
    resume = {} if at is None else {"at": at}
    subscribe = {"action": "subscribe", "data": topic, "resume": resume}
    connection.sendall(json.dumps(subscribe).encode() + b"\0")
    origin = None
    for text in frames(connection):
        if text in (b"ACK", b"PING"):
            connection.sendall(b"PONG\0" if text == b"PING" else b"")
            continue
        frame = json.loads(text)
        if "topic" in frame:
            mega, seconds, micros = frame["timestamp"]
            at[origin] = (mega * 1000000 + seconds) * 1000000 + micros
            print(json.dumps(frame.get("data"), ensure_ascii=False), flush=True)
        elif "from" in frame:
            origin = frame["from"]["origin"]
        elif "resume" in frame:
            at, reason = frame["resume"]["at"], frame["resume"]["reason"]
            print("subscribed:", reason, file=sys.stderr, flush=True)


while True:
    try:
        with socket.create_connection((host, port), timeout=60) as connection:
            follow(connection)
    except OSError as error:
        print("lost:", error, file=sys.stderr, flush=True)
    time.sleep(1)
