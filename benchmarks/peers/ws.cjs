// The peer on Node.js: `ws`, with the broadcast of its documentation, a message a frame.
//
// Prints its port as the first line; ends on SIGTERM.
"use strict";
const { WebSocket, WebSocketServer } = require("ws");

const SUBSCRIBE = 22004;
const UNSENT_LIMIT = 256 * 1024; // bytes of the slowest client that a saturated run waits for
const BATCH = 20; // ticks at a time: more would shut out the sockets when a rate is beyond reach

const given = (name) => Number(process.argv[process.argv.indexOf(name) + 1]);
const codes = Array.from({ length: given("--codes") }, (_, number) => `C${String(number).padStart(3, "0")}`);
const rate = given("--rate");
const wanted = new Map(codes.map((code) => [code, new Set()]));
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, backlog: 1024, perMessageDeflate: false });
const subscribed = new Set();
let next = 0;

server.on("listening", () => console.log(server.address().port));
server.on("connection", (client) => {
  client.on("error", () => client.terminate());
  client.on("message", (text) => {
    const message = JSON.parse(text);
    if (message.cmd_id !== SUBSCRIBE) return;
    for (const { code } of message.data.symbol_list) wanted.get(code).add(client);
    subscribed.add(client);
  });
  client.on("close", () => {
    subscribed.delete(client);
    for (const clients of wanted.values()) clients.delete(client);
  });
});

function tick() {
  const code = codes[next];
  next = (next + 1) % codes.length;
  const stamp = String(process.hrtime.bigint() / 1000n).padStart(13, "0");
  const text =
    `{"cmd_id":22998,"data":{"code":"${code}","seq":1788530574453,"tick_time":1788530573000,` +
    `"price":"4415.320000","volume":"${stamp}","turnover":"35322.560000","trade_direction":1}}`;
  const data = Buffer.from(text);
  for (const client of wanted.get(code)) {
    if (client.readyState === WebSocket.OPEN) client.send(data, { binary: false });
  }
}

const seconds = () => Number(process.hrtime.bigint()) / 1e9;
let due = seconds();

function runAtRate() {
  for (let made = 0; made < BATCH && due <= seconds(); made++) {
    tick();
    due += 1 / rate;
  }
  const ahead = (due - seconds()) * 1000;
  if (ahead > 0) setTimeout(runAtRate, ahead);
  else setImmediate(runAtRate);
}

function runSaturated() {
  let unsent = subscribed.size ? 0 : UNSENT_LIMIT + 1;
  for (const client of subscribed) unsent = Math.max(unsent, client.bufferedAmount);
  if (unsent <= UNSENT_LIMIT) for (let made = 0; made < BATCH; made++) tick();
  setImmediate(runSaturated);
}

(rate ? runAtRate : runSaturated)();
