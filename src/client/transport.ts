/**
 * What carries messages between the client and a node: a WebSocket by default,
 * anything with this shape if the application brings its own (a device attached
 * inside the node's process, a proxy, a test's script).
 */

/** One connection. The client sets the three handlers before it returns to the event loop. */
export interface TransportSocket {
  onopen: (() => void) | undefined;
  /** One whole message. Nobody may write to these bytes afterwards: payloads are views of them. */
  onmessage: ((bytes: Uint8Array) => void) | undefined;
  /** Exactly once per socket, also when it never opened; nothing is called after it. */
  onclose: ((code: number, reason: string) => void) | undefined;
  /** One whole message. The transport must not change the bytes, and may keep them until they are written. */
  send(bytes: Uint8Array): void;
  close(code: number, reason: string): void;
  /** Bytes given to `send` that have not left yet. */
  readonly bufferedAmount: number;
}

export interface Transport {
  /** Begins to connect. Throws only for a URL that can never work. */
  connect(url: string, subprotocol: string): TransportSocket;
}

/** The platform's own WebSocket: browsers, Node 22 and later. */
export const webSocketTransport: Transport = {
  connect(url, subprotocol) {
    const webSocket = new WebSocket(url, subprotocol);
    webSocket.binaryType = "arraybuffer";
    const socket: TransportSocket = {
      onopen: undefined,
      onmessage: undefined,
      onclose: undefined,
      send: (bytes) => webSocket.send(bytes as Uint8Array<ArrayBuffer>),
      close: (code, reason) => webSocket.close(code, reason),
      get bufferedAmount() {
        return webSocket.bufferedAmount;
      },
    };
    webSocket.onopen = () => socket.onopen?.();
    // A text message is no frame of ours: the byte that msgpack never uses fails the decoder in its place.
    webSocket.onmessage = ({ data }) =>
      socket.onmessage?.(data instanceof ArrayBuffer ? new Uint8Array(data) : Uint8Array.of(0xc1));
    // Once: Node 22 tells a failed attempt by `error` alone, browsers by `error` and then `close`.
    let isClosed = false;
    const closeOnce = (code: number, reason: string): void => {
      if (isClosed) return;
      isClosed = true;
      socket.onclose?.(code, reason);
    };
    webSocket.onclose = ({ code, reason }) => closeOnce(code, reason);
    webSocket.onerror = () => {
      if (webSocket.readyState === WebSocket.CONNECTING) closeOnce(1006, "");
    };
    return socket;
  },
};
