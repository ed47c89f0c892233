// Runs beside the page: sound in blocks of 128 samples becomes messages of 16-bit PCM, 40 ms each.

class Pcm extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = Math.round(sampleRate * 0.04);
    this.chunk = new Int16Array(this.size);
    this.filled = 0;
    this.peak = 0;
    this.open = true;
    this.port.onmessage = () => {  // the end: what is left goes out as well
      this.open = false;
      this.send(this.chunk.slice(0, this.filled));
      this.port.postMessage({ last: true });
    };
  }

  send(samples) {
    this.port.postMessage({ pcm: samples.buffer, peak: this.peak }, [samples.buffer]);
  }

  process([channels]) {
    if (!this.open) return false;
    const frames = channels.length ? channels[0].length : 0;
    for (let i = 0; i < frames; i++) {
      let sample = 0;
      for (const channel of channels) sample += channel[i];
      sample = Math.max(-1, Math.min(1, sample / channels.length));
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.chunk[this.filled++] = Math.round(sample * 32767);
      if (this.filled === this.size) {
        this.send(this.chunk);  // and is gone: its memory goes along
        this.chunk = new Int16Array(this.size);
        this.filled = 0;
        this.peak = 0;
      }
    }
    return true;
  }
}

registerProcessor("pcm", Pcm);
