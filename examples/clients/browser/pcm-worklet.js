"use strict";

// Collects 100 ms of the microphone's first channel and posts it as signed
// 16-bit little-endian PCM, with the loudest sample (0 to 1) for the meter.
class PCM extends AudioWorkletProcessor {
  constructor() {
    super();
    this.reset();
  }

  reset() {
    this.samples = new DataView(new ArrayBuffer(2 * Math.round(sampleRate / 10)));
    this.bytes = 0;
    this.peak = 0;
  }

  process([input]) {
    for (const sample of input[0] ?? []) { // no channel while nothing is connected
      const s = Math.max(-1, Math.min(1, sample));
      this.peak = Math.max(this.peak, Math.abs(s));
      this.samples.setInt16(this.bytes, Math.round(s * 32767), true);
      this.bytes += 2;
      if (this.bytes === this.samples.byteLength) {
        this.port.postMessage({ samples: this.samples.buffer, peak: this.peak }, [this.samples.buffer]);
        this.reset();
      }
    }
    return true;
  }
}

registerProcessor("pcm", PCM);
