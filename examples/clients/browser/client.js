"use strict";

// The host takes signed 16-bit PCM. The browser resamples the microphone to
// this rate, because the AudioContext is made with it.
const RATE = 16000;

const $ = (id) => document.getElementById(id);
let stop = () => {};

$("form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  $("start").disabled = true;
  try {
    await start($("url").value);
  } catch (err) {
    show("error", err.message);
    stop();
    idle("Not connected.");
  }
});

async function start(url) {
  const microphone = await navigator.mediaDevices.getUserMedia({
    audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true },
  });
  stop = () => microphone.getTracks().forEach((track) => track.stop());
  const context = new AudioContext({ sampleRate: RATE });
  stop = () => {
    microphone.getTracks().forEach((track) => track.stop());
    if (context.state !== "closed") context.close();
  };
  await context.audioWorklet.addModule("pcm-worklet.js");
  const pcm = new AudioWorkletNode(context, "pcm");
  context.createMediaStreamSource(microphone).connect(pcm);

  const ws = new WebSocket(url);
  ws.addEventListener("open", () => {
    ws.send(JSON.stringify({
      type: "start", uid: "browser", language: navigator.language, source: "browser",
      audio: { codec: "pcm_s16le", rate: RATE, channels: 1 },
    }));
    pcm.port.onmessage = ({ data }) => { // { samples: ArrayBuffer, peak }
      $("level").value = data.peak;
      if (ws.readyState === WebSocket.OPEN) ws.send(data.samples);
    };
    $("finish").disabled = $("stop").disabled = false;
    $("finish").onclick = () => ws.send(JSON.stringify({ type: "finish" }));
    $("stop").onclick = () => { // completes the conversation; the host then closes
      pcm.port.onmessage = null; // nothing may follow the end
      stop();
      $("finish").disabled = $("stop").disabled = true;
      ws.send(JSON.stringify({ type: "end" }));
      $("state").textContent = "Ending…";
    };
  });
  ws.addEventListener("message", ({ data }) => receive(JSON.parse(data)));
  ws.addEventListener("close", ({ code, reason }) => {
    stop();
    idle(code === 1000 ? "Ended." : `Closed: ${code} ${reason}`);
    if (code === 1006) show("error", `No answer from ${url}. Is the host running, and was this page served from localhost?`);
  });
}

function receive(message) {
  switch (message.type) {
    case "ready":
      $("state").textContent = `Connected; audio is ${message.audio}.`;
      show("", "apps: " + (message.apps.map((app) => app.name).join(", ") || "none"));
      break;
    case "output":
      if (message.kind === "notification") show("notification", `${message.app}: ${message.data.text}`);
      else show("output", `${message.app}: ${JSON.stringify(message.data)}`);
      break;
    case "conversation":
      show("", `conversation ${message.id} is ${message.state}`);
      break;
    case "gap":
    case "error":
    case "closing":
      show("error", JSON.stringify(message));
      break;
  }
}

// show adds a line at the top, as text: what apps say is never HTML.
function show(kind, text) {
  const li = document.createElement("li");
  li.className = kind;
  li.textContent = text;
  $("log").prepend(li);
  while ($("log").childElementCount > 500) $("log").lastChild.remove();
}

function idle(state) {
  $("start").disabled = false;
  $("finish").disabled = $("stop").disabled = true;
  $("level").value = 0;
  $("state").textContent = state;
}
