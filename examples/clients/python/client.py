#!/usr/bin/env python3
"""Streams a WAV file (16-bit PCM) to an Auricle host in real time and prints
what comes back. Needs the websockets package, version 10 or later.

    python3 client.py ../../conversations/budget-meeting/budget-meeting.wav
"""

import asyncio
import json
import sys
import wave

import websockets

FRAME = 0.1  # seconds of sound in one message


async def send(ws, path):
    with wave.open(path, "rb") as wav:
        if wav.getsampwidth() != 2:
            sys.exit(f"{path}: {8 * wav.getsampwidth()}-bit samples; 16-bit PCM is needed")
        rate = wav.getframerate()
        await ws.send(json.dumps({
            "type": "start", "uid": "ana", "language": "en",
            "audio": {"codec": "pcm_s16le", "rate": rate, "channels": wav.getnchannels()},
        }))
        loop = asyncio.get_running_loop()
        due = loop.time()
        while pcm := wav.readframes(int(rate * FRAME)):
            await ws.send(pcm)
            due += FRAME
            await asyncio.sleep(due - loop.time())

    # Speech-to-text is the client's part; here is a line it might have heard.
    await ws.send(json.dumps({"type": "transcript", "seq": 1, "segments": [{
        "id": "1", "speaker": "Ana", "is_user": True, "start": 46.3, "end": 51.8,
        "text": "I'll send the revised budget to Claire by Friday.",
    }]}))
    await ws.send(json.dumps({"type": "end"}))  # complete the conversation and close


async def read(ws):
    async for text in ws:  # ends when the host closes with 1000, else raises
        message = json.loads(text)
        kind = message["type"]
        if kind == "output":
            print(message["app"], "says", json.dumps(message["data"]))
        elif kind == "conversation":
            print("conversation", message["id"], "is", message["state"])
        elif kind in ("error", "gap", "closing"):
            print(kind, message)


async def main():
    if len(sys.argv) < 2:
        sys.exit("usage: client.py FILE.wav [ws://127.0.0.1:7080/v1/stream]")
    url = sys.argv[2] if len(sys.argv) > 2 else "ws://127.0.0.1:7080/v1/stream"
    try:
        async with websockets.connect(url) as ws:
            await asyncio.gather(send(ws, sys.argv[1]), read(ws))
    except (OSError, websockets.WebSocketException) as err:
        sys.exit(f"{url}: {err}")


asyncio.run(main())
