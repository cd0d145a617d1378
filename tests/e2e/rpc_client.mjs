// rpc_client - a client of JSON-RPC over WebSocket for tests.
import assert from "node:assert/strict";
import WebSocket from "ws";

// A JSON-RPC client: call(method, params) gives the whole answer; told(method) those notifications.
export class Client {
    constructor(socket) {
        this.socket = socket;
        this.answers = new Map();
        this.notifications = [];
        this.others = [];
        this.last = 0;
        this.closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve({ code, reason: String(reason) })));
        socket.on("message", (data, binary) => {
            assert.equal(binary, false);
            const message = JSON.parse(String(data));
            if (message.method) this.notifications.push(message);
            else if (this.answers.has(message.id)) this.answers.get(message.id)(message);
            else this.others.push(message);
        });
    }

    ask(method, params) {
        const id = ++this.last;
        const answer = new Promise((resolve) => this.answers.set(id, resolve));
        this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
        return answer;
    }

    async call(method, params) {
        const answer = await this.ask(method, params);
        assert.equal(answer.error, undefined, JSON.stringify(answer.error));
        return answer.result;
    }

    async fails(code, method, params) {
        const answer = await this.ask(method, params);
        assert.equal(answer.error?.code, code, JSON.stringify(answer));
        return answer.error;
    }

    raw(text) {
        this.socket.send(text);
    }

    told(method) {
        return this.notifications.filter((one) => one.method === method).map((one) => one.params);
    }
}

// open - a connected client of a server that server_process started.
export function open(query = "", { at, protocols = "jsonrpc2.necpnet", ...options } = {}) {
    return new Promise((resolve, reject) => {
        const socket = new WebSocket(`ws://127.0.0.1:${at.port}/ws?${query}`, protocols, { perMessageDeflate: false, ...options });
        const client = new Client(socket);
        socket.on("open", () => resolve(client));
        socket.on("error", reject);
        socket.on("unexpected-response", (request, response) => {
            let body = "";
            response.on("data", (data) => (body += data));
            response.on("end", () => reject(Object.assign(new Error(body), { status: response.statusCode })));
        });
    });
}
