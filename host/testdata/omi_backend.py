#!/usr/bin/env python3
"""Speaks to /v1/trigger/listen in the way of Omi's listen service: one socket a
client, heartbeats, audio and transcripts flushed on a timer, reconnects with
back-off, requests to process a conversation that stay pending until they are
answered and are sent again after a reconnect. Its intervals are Omi's divided
by SPEED.

    omi_backend.py URL UID SAMPLE_RATE

It takes commands from stdin and tells what happens on stdout, a JSON object a
line each. Needs the websockets package, version 10 or later.
"""

import asyncio
import json
import random
import struct
import sys
import time

import websockets
from websockets.exceptions import ConnectionClosed

SPEED = 20
HEARTBEAT = 20 / SPEED
FLUSH = 1 / SPEED
ANSWER = 120 / SPEED
RETRIES = 3
PENDING = 100
CONNECTS = 6


def tell(**event):
    print(json.dumps(event), flush=True)


class Pusher:
    def __init__(self, url, uid, rate):
        self.url = f"{url}/v1/trigger/listen?uid={uid}&sample_rate={rate}"
        self.rate = rate
        self.ws = None
        self.connected = False
        self.lock = asyncio.Lock()
        self.active = True
        self.conversation = None
        self.synced = None  # Omi names a conversation once, also when it reconnects
        self.segments = []
        self.audio = bytearray()
        self.audio_at = None
        self.pending = {}  # conversation -> [when it was sent, how often]
        self.queue = []  # other frames, in order

    async def connect(self):
        async with self.lock:
            if self.connected or not self.active:
                return
            if self.ws is not None:
                await self.ws.close()
                self.ws = None
            for attempt in range(CONNECTS):
                try:
                    self.ws = await websockets.connect(self.url, ping_interval=30, ping_timeout=60, close_timeout=3)
                    break
                except Exception as e:
                    tell(event="refused", attempt=attempt, error=str(e))
                    if attempt == CONNECTS - 1:
                        tell(event="degraded")
                        self.active = False
                        return
                    await asyncio.sleep(min(2**attempt + random.random(), 15) / SPEED)
            self.connected = True
            tell(event="connected")
            for conversation in self.pending:
                await self.send_process(conversation)

    async def send(self, kind, body):
        """Sends a frame. Reports whether it went out."""
        if not self.connected:
            return False
        try:
            await self.ws.send(struct.pack("I", kind) + body)
            return True
        except ConnectionClosed as e:
            self.lost(e)
            return False

    def lost(self, e):
        if self.connected:
            tell(event="disconnected", code=e.code)
        self.connected = False

    async def send_process(self, conversation):
        entry = self.pending[conversation]
        entry[0] = time.monotonic()
        body = json.dumps({"conversation_id": conversation, "language": "en"})
        if await self.send(104, body.encode()):
            entry[1] += 1

    async def flush(self):
        while self.active:
            await asyncio.sleep(FLUSH)
            if not self.connected:
                await self.connect()
                continue
            if self.conversation and self.conversation != self.synced and self.audio:
                if await self.send(103, self.conversation.encode()):
                    self.synced = self.conversation
            if self.audio:
                at = (self.audio_at or time.time()) - len(self.audio) / (self.rate * 2)
                body, self.audio = bytes(self.audio), bytearray()
                await self.send(101, struct.pack("d", at) + body)
            if self.segments:
                batch, self.segments = self.segments, []
                body = json.dumps({"segments": batch, "memory_id": self.conversation})
                if not await self.send(102, body.encode()):
                    self.segments = batch + self.segments
            while self.queue and await self.send(*self.queue[0]):
                self.queue.pop(0)

    async def heartbeats(self):
        while self.active:
            await asyncio.sleep(HEARTBEAT)
            await self.send(100, b"")

    async def receive(self):
        while self.active:
            if not self.connected:
                await asyncio.sleep(FLUSH)
                continue
            try:
                message = await asyncio.wait_for(self.ws.recv(), timeout=5 / SPEED)
            except asyncio.TimeoutError:
                continue
            except ConnectionClosed as e:
                self.lost(e)
                continue
            if not message or len(message) < 4:
                continue
            kind = struct.unpack("<I", message[:4])[0]
            result = json.loads(message[4:].decode("utf-8"))
            if kind == 201:
                self.pending.pop(result["conversation_id"], None)
                tell(event="processed", id=result["conversation_id"],
                     success=result.get("success", False), error=result.get("error", ""))
            else:
                tell(event="frame", kind=kind, **result)

    async def retries(self):
        while self.active:
            await asyncio.sleep(ANSWER / 10)
            for conversation, (sent, tries) in list(self.pending.items()):
                if time.monotonic() - sent < ANSWER:
                    continue
                if tries > RETRIES:
                    self.pending.pop(conversation)
                    tell(event="unanswered", id=conversation)
                else:
                    await self.send_process(conversation)

    async def command(self, c):
        do = c["do"]
        if do == "conversation":
            self.conversation = c["id"]
        elif do == "say":
            self.segments.append({
                "id": c["id"], "text": c["text"], "speaker": "SPEAKER_01", "speaker_id": 1, "is_user": False,
                "person_id": None, "start": c["at"], "end": c["at"] + 1.0, "translations": [],
                "speech_profile_processed": True, "stt_provider": "deepgram",
            })
        elif do == "audio":
            self.audio.extend(bytes(2 * self.rate * c["ms"] // 1000))
            self.audio_at = time.time()
        elif do == "process":
            if len(self.pending) >= PENDING:
                tell(event="full")
                return
            self.pending[c["id"]] = [time.monotonic(), 0]
            await self.send_process(c["id"])
        elif do == "speaker":
            body = {"person_id": c["person"], "conversation_id": self.conversation, "segment_ids": c["ids"]}
            self.queue.append((105, json.dumps(body).encode()))
        elif do == "quit":
            self.active = False

    async def run(self):
        loop = asyncio.get_running_loop()
        stdin = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
        await self.connect()
        tasks = [asyncio.create_task(t()) for t in (self.flush, self.heartbeats, self.receive, self.retries)]
        while self.active and (line := await stdin.readline()):
            await self.command(json.loads(line))
        self.active = False
        await asyncio.gather(*tasks)
        if self.ws is not None:
            await self.ws.close()


asyncio.run(Pusher(sys.argv[1], sys.argv[2], int(sys.argv[3])).run())
