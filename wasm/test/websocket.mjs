/* websocket - the browser's WebSocket class, as much of it as the client uses, over Node's net: RFC 6455 for tests. */
import { createHash, randomBytes } from "node:crypto";
import { connect } from "node:net";

function frame(opcode, payload) {
  const mask = randomBytes(4);
  const size = payload.length < 126 ? Buffer.from([0x80 | payload.length]) : Buffer.alloc(payload.length < 65536 ? 3 : 9);
  if (size.length === 3) {
    size[0] = 0x80 | 126;
    size.writeUInt16BE(payload.length, 1);
  } else if (size.length === 9) {
    size[0] = 0x80 | 127;
    size.writeBigUInt64BE(BigInt(payload.length), 1);
  }
  const masked = Buffer.from(payload);
  for (let i = 0; i < masked.length; i++) masked[i] ^= mask[i & 3];
  return Buffer.concat([Buffer.from([0x80 | opcode]), size, mask, masked]);
}

export class WebSocket {
  constructor(url, protocols) {
    const { protocol, hostname, port, pathname, search } = new URL(url);
    if (protocol !== "ws:") throw new SyntaxError("ws: alone");
    this.protocol = "";
    this.bufferedAmount = 0;
    this.rest = Buffer.alloc(0);
    this.isOpen = false;
    this.isOver = false;
    this.code = 1006;
    const key = randomBytes(16).toString("base64");
    this.accept = createHash("sha1").update(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
    this.socket = connect(Number(port || 80), hostname.replace(/^\[|\]$/g, ""), () => this.socket.write(
      `GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n` +
      (protocols.length ? `Sec-WebSocket-Protocol: ${protocols.join(", ")}\r\n` : "") + "\r\n"));
    this.socket.setNoDelay(true);
    this.socket.on("error", () => {});
    this.socket.on("data", (data) => this.take(data));
    this.socket.on("close", () => this.end());
  }

  end() {
    if (this.isOver) return;
    this.isOver = true;
    this.socket.destroy();
    this.onclose?.({ code: this.code, reason: "" });
  }

  take(data) {
    this.rest = Buffer.concat([this.rest, data]);
    if (!this.isOpen) {
      const end = this.rest.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = this.rest.subarray(0, end).toString();
      this.rest = this.rest.subarray(end + 4);
      if (!head.startsWith("HTTP/1.1 101") || !head.includes(this.accept)) {
        this.end();
        return;
      }
      this.protocol = /^sec-websocket-protocol:\s*(\S+)/im.exec(head)?.[1] ?? "";
      this.isOpen = true;
      this.onopen?.({});
    }
    while (this.takeFrame());
  }

  takeFrame() {
    const { rest } = this;
    if (rest.length < 2 || this.isOver) return false;
    let [bytes, at] = [rest[1] & 127, 2];
    if (bytes === 126) [bytes, at] = rest.length < 4 ? [Infinity, 4] : [rest.readUInt16BE(2), 4];
    else if (bytes === 127) [bytes, at] = rest.length < 10 ? [Infinity, 10] : [Number(rest.readBigUInt64BE(2)), 10];
    if (rest.length < at + bytes) return false;
    const opcode = rest[0] & 15;
    const payload = rest.subarray(at, at + bytes);
    this.rest = rest.subarray(at + bytes);
    if (opcode === 2) this.onmessage?.({ data: new Uint8Array(payload).buffer });
    else if (opcode === 1) this.onmessage?.({ data: payload.toString() });
    else if (opcode === 9) this.socket.write(frame(10, payload));
    else if (opcode === 8) {
      this.code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      this.socket.end(frame(8, payload));
    }
    return true;
  }

  send(data) {
    if (!this.isOpen) throw new Error("InvalidStateError");
    if (!this.isOver) this.socket.write(frame(2, data));
  }

  close(code = 1000) {
    if (this.isOver) return;
    if (!this.isOpen) {
      this.end();
      return;
    }
    this.code = code;
    this.socket.end(frame(8, Buffer.from([code >> 8, code & 255])));
  }
}
