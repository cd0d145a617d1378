// gateway_peer - what bench/gateway measures beside necpnet-server: a JSON-RPC server as one writes it with the `ws` package, with the
// three methods that the bench calls. Prints its port.
import { WebSocketServer } from "../tests/e2e/node_modules/ws/wrapper.mjs";

const topics = new Map();
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false, handleProtocols: () => "jsonrpc2.necpnet" });
server.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("message", (data) => {
        const { id, method, params } = JSON.parse(data);
        let result = {};
        if (method === "topic.subscribe") {
            if (!topics.has(params.topic)) topics.set(params.topic, new Set());
            topics.get(params.topic).add(socket);
        } else if (method === "event.publish") {
            const event = { type: params.type, version: 1, category: "game", time: Date.now(), from: "x", data: params.data };
            const text = JSON.stringify({ jsonrpc: "2.0", method: "topic.message", params: { topic: params.topic, epoch: 1, offset: 1, event } });
            for (const one of topics.get(params.topic) ?? []) one.send(text);
            result = { epoch: 1, offset: 1 };
        }
        if (id !== undefined) socket.send(JSON.stringify({ jsonrpc: "2.0", result, id }));
    });
});
server.on("listening", () => console.log(server.address().port));
