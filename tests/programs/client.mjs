// A program of AllTick's users in Node.js.
const token = "testtoken";
const query = JSON.stringify({ trace: "node", data: { symbol_list: [{ code: "BTCUSDT" }] } });
const answer = await fetch(
  `https://quote.alltick.co/quote-b-api/trade-tick?token=${token}&query=${encodeURIComponent(query)}`,
);
console.log("http", (await answer.json()).ret);

const ws = new WebSocket(`wss://quote.alltick.co/quote-b-ws-api?token=${token}`);
ws.onopen = () =>
  ws.send(
    JSON.stringify({ cmd_id: 22004, seq_id: 1, trace: "node", data: { symbol_list: [{ code: "BTCUSDT" }] } }),
  );
ws.onmessage = ({ data }) => {
  if (JSON.parse(data).cmd_id === 22998) {
    console.log("push", data);
    ws.close();
  }
};
ws.onerror = ({ message }) => console.log("error", message);
