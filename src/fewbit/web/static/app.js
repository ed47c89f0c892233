// The page: sound to the server, events to the screen. The protocol is that of docs/reference/web-protocol.md.

const $ = (id) => document.getElementById(id);
const BEHIND_SECONDS = 10;  // of sound that may wait for a slow line

let about = { keywords: false, sample_rate: 16000, tokens: [] };
let listening = null;  // the running stream, one at most

// --- one stream -------------------------------------------------------------------------------------------------

class Listening {
  // `connect(context)` gives the node whose sound is sent; `sampleRate` is what the context should run at, if it can.
  constructor(connect, sampleRate) {
    this.connect = connect;
    this.sampleRate = sampleRate;
    this.ready = this.stopping = false;
    this.early = [];  // what was said before the server was ready
    this.closed = new Promise((resolve) => { this.close = resolve; });
  }

  async start() {
    this.context = this.sampleRate ? new AudioContext({ sampleRate: this.sampleRate }) : new AudioContext();
    await this.context.audioWorklet.addModule("worklet.js");
    this.source = await this.connect(this.context, this);
    this.node = new AudioWorkletNode(this.context, "pcm", { numberOfInputs: 1, numberOfOutputs: 1 });
    this.node.port.onmessage = ({ data }) => this.take(data);
    await this.context.resume();
    this.source.connect(this.node);
    this.node.connect(this.context.destination);  // silent, but some browsers run only what is connected
    await this.open();
    this.ready = true;
    for (const message of this.early.splice(0)) this.take(message);
    this.begin?.();
  }

  open() {
    const address = new URL("stream", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    return new Promise((resolve, reject) => {
      this.socket.onopen = () => {
        const words = about.keywords ? watched.words : [];
        this.send({ type: "start", sample_rate: this.context.sampleRate, keywords: words });
      };
      this.socket.onmessage = ({ data }) => {
        const event = JSON.parse(data);
        if (event.event === "ready") resolve();
        show(event);
      };
      this.socket.onclose = ({ code, reason }) => {
        if (code !== 1000) trouble(reason || "The connection to the server broke.");
        reject(new Error(reason || "The server cannot be reached."));
        this.release();
      };
    });
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  take(message) {
    const { pcm, peak, last } = message;
    if (!this.ready) return this.early.push(message);
    if (last) return this.send({ type: "end" });
    level(peak);
    if (this.socket.readyState !== WebSocket.OPEN) return;
    if (this.socket.bufferedAmount > BEHIND_SECONDS * this.context.sampleRate * 2) {
      trouble("The connection to the server is too slow for live sound.");
      return this.release();
    }
    if (pcm.byteLength) this.socket.send(pcm);
  }

  stop() {  // the last chunk goes out, the server sends its last events and closes
    if (this.stopping) return;
    this.stopping = true;
    this.source?.disconnect();
    this.stopSource?.();
    if (this.node) this.node.port.postMessage("end");
    else this.release();
  }

  release() {
    this.stopSource?.();
    this.socket?.close();
    if (this.context && this.context.state !== "closed") this.context.close();
    this.close();
  }
}

async function microphone(context, stream) {
  const options = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const media = await navigator.mediaDevices.getUserMedia({ audio: options });
  stream.stopSource = () => media.getTracks().forEach((track) => track.stop());
  return context.createMediaStreamSource(media);
}

function soundFile(file) {
  return async (context, stream) => {
    const source = context.createBufferSource();
    source.buffer = await context.decodeAudioData(await file.arrayBuffer());
    source.onended = () => stream.stop();
    source.connect(context.destination);
    stream.begin = () => source.start();
    stream.stopSource = () => { if (source.context.state !== "closed") source.disconnect(); };
    return source;
  };
}

async function listen(connect, sampleRate, label) {
  if (listening) {
    listening.stop();
    await listening.closed;
  }
  trouble("");
  const stream = listening = new Listening(connect, sampleRate);
  state(true, label);
  try {
    await stream.start();
  } catch (error) {
    stream.release();
    if (sampleRate && error.name === "NotSupportedError") {  // a browser that takes the microphone at its own rate only
      listening = null;
      return listen(connect, null, label);
    }
    if ($("trouble").hidden) trouble(explain(error));
  }
  await stream.closed;
  if (listening === stream) {
    listening = null;
    state(false, "Listen");
  }
}

function explain(error) {
  if (!navigator.mediaDevices) return "Browsers allow the microphone only on https pages and on localhost.";
  switch (error.name) {
    case "NotAllowedError": return "Access to the microphone was denied.";
    case "NotFoundError": return "There is no microphone.";
    case "EncodingError": return "The browser cannot read this file as sound.";
    default: return error.message;
  }
}

// --- what is shown ------------------------------------------------------------------------------------------------

function show(event) {
  switch (event.event) {
    case "partial": {
      const letters = Array.from(event.text);  // `stable` counts characters, not their halves
      $("stable").textContent = letters.slice(0, event.stable).join("");
      $("volatile").textContent = letters.slice(event.stable).join("");
      $("live").hidden = false;
      break;
    }
    case "final":
      $("live").hidden = true;
      if (event.text) append(event);
      break;
    case "keyword": watched.light(event.word); break;
    case "stats":
      $("latency").textContent = `${event.latency_ms.toFixed(event.latency_ms < 10 ? 1 : 0)} ms`;
      $("factor").textContent = event.real_time_factor.toFixed(3);
      $("heard").textContent = clock(event.time);
      break;
    case "error": trouble(event.message); break;
  }
  $("empty").hidden = !$("live").hidden || $("finals").childElementCount > 0;
  const text = document.querySelector(".text");
  text.scrollTop = text.scrollHeight;
}

function append({ text, start }) {
  const line = document.createElement("p");
  const time = document.createElement("time");
  time.textContent = clock(start);
  line.append(time, text);
  $("finals").append(line);
  while ($("finals").childElementCount > 200) $("finals").firstChild.remove();
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

function trouble(message) {
  $("trouble").textContent = message;
  $("trouble").hidden = !message;
}

function state(on, label) {
  $("microphone").setAttribute("aria-pressed", on);
  $("microphone-text").textContent = label;
  if (!on) level(0);
}

// --- keywords -----------------------------------------------------------------------------------------------------

// "new york 0.3" is said as "NEW YORK": a word may have a threshold, and the network has its own letters
const plain = (word) => word.replace(/\s+[\d.]+$/, "").toLowerCase();

const watched = {
  words: [],

  restore() {
    try {
      this.words = JSON.parse(localStorage.getItem("keywords")) ?? about.tokens.filter((t) => t.length > 2).slice(0, 3);
    } catch {
      this.words = [];
    }
    this.draw();
  },

  change(words) {
    this.words = words;
    localStorage.setItem("keywords", JSON.stringify(words));
    this.draw();
    listening?.send({ type: "keywords", keywords: words });
  },

  draw() {
    $("lights").replaceChildren(...this.words.map((word) => {
      const item = document.createElement("li");
      const remove = document.createElement("button");
      item.dataset.word = plain(word);
      item.append(word, remove);
      remove.type = "button";
      remove.textContent = "×";
      remove.setAttribute("aria-label", `Remove ${word}`);
      remove.onclick = () => this.change(this.words.filter((other) => other !== word));
      return item;
    }));
  },

  light(word) {
    for (const item of $("lights").children) {
      if (item.dataset.word !== plain(word)) continue;
      item.classList.remove("lit");
      void item.offsetWidth;  // starts the animation anew
      item.classList.add("lit");
    }
  },
};

$("add").onsubmit = (event) => {
  event.preventDefault();
  const added = $("word").value.split(",").map((word) => word.trim()).filter(Boolean);
  if (added.length) watched.change([...new Set([...watched.words, ...added])]);
  $("word").value = "";
};

// --- level meter --------------------------------------------------------------------------------------------------

const levels = [];

function level(peak) {
  levels.push(peak);
  requestAnimationFrame(draw);
}

function draw() {
  const canvas = $("meter"), scale = window.devicePixelRatio || 1;
  const width = canvas.width = canvas.clientWidth * scale, height = canvas.height = canvas.clientHeight * scale;
  const step = 6 * scale, bars = Math.floor(width / step), pen = canvas.getContext("2d");
  levels.splice(0, levels.length - bars);
  pen.fillStyle = getComputedStyle(canvas).color;
  for (let i = 0; i < bars; i++) {
    const peak = levels[levels.length - 1 - i] ?? 0;
    const bar = Math.max(2 * scale, Math.sqrt(peak) * height);  // quiet speech is to be seen as well
    pen.globalAlpha = peak > 0 ? 0.35 + 0.65 * (1 - i / bars) : 0.25;
    pen.beginPath();
    pen.roundRect(width - (i + 1) * step + scale, (height - bar) / 2, 3 * scale, bar, 1.5 * scale);
    pen.fill();
  }
}

// --- doors --------------------------------------------------------------------------------------------------------

$("microphone").onclick = () => {
  if (listening) listening.stop();
  else listen(microphone, Math.max(8000, about.sample_rate), "Stop");
};

function play(file) {
  if (file) listen(soundFile(file), null, "Stop");
}

$("file").onchange = (event) => {
  play(event.target.files[0]);
  event.target.value = "";
};

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  play(event.dataTransfer.files[0]);
});
document.addEventListener("keydown", (event) => {
  const free = event.target === document.body && !event.repeat;
  if (event.code === "Space" && free) {
    event.preventDefault();
    $("microphone").click();
  }
});
window.addEventListener("resize", draw);

async function meet() {
  draw();
  try {
    about = await (await fetch("network")).json();
  } catch {
    return trouble("The server cannot be reached.");
  }
  const words = about.tokens.filter((token) => token.length > 1);
  const hears = words.length && words.length <= 30 ? `, hears ${words.join(" ")}` : "";
  $("network").textContent = `${about.name}${hears}`;
  if (about.bytes) {
    $("size").textContent = `${(about.bytes / 1000).toFixed(1)} kB`;
    $("size").title = `${about.weights.toLocaleString()} weights`;
  }
  $("keywords").hidden = !about.keywords;
  watched.restore();
}

meet();
