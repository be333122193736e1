// A proxy per browser that can stop: bytes are held back and nothing is closed, as when a cable is pulled.
//
// Browsers go through it by their proxy setting, so the page's origin, the Host header and cookies stay the server's own.
import { connect, createServer } from "node:net";

export async function network() {
  const pairs = new Set();
  const held = new Set();
  let cut = false;
  const server = createServer((client) => {
    client.on("error", () => {});
    if (cut) return held.add(client.pause());
    client.once("data", (first) => open(client, first));
  });
  function open(client, first) {
    const line = first.toString("latin1").split("\r\n", 1)[0];
    const [, method, target] = /^(\S+) (\S+)/.exec(line) ?? [];
    const { hostname, port } = method === "CONNECT" ? new URL(`http://${target}`) : new URL(target);
    const upstream = connect(Number(port || 80), hostname, () => {
      if (method === "CONNECT") client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      // Plain HTTP: the path alone, and one request per connection.
      else upstream.write(Buffer.from(first.toString("latin1").replace(target, new URL(target).pathname + new URL(target).search).replace(/proxy-connection: .*\r\n/i, "connection: close\r\n"), "latin1"));
      client.pipe(upstream);
      upstream.pipe(client);
    });
    const pair = [client, upstream];
    pairs.add(pair);
    for (const side of pair) {
      side.on("error", () => side.destroy());
      side.on("close", () => {
        pairs.delete(pair);
        if (!cut) for (const other of pair) other.destroy();
      });
    }
  }
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Holds back every byte in both directions; new connections get no answer. */
    cut() {
      cut = true;
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream);
        upstream.unpipe(client);
        client.pause();
        upstream.pause();
      }
    },
    /** The network is back: connections from before are gone, as after a long loss; those that were begun meanwhile are made. */
    restore() {
      cut = false;
      for (const client of held) client.once("data", (first) => open(client, first)).resume();
      held.clear();
      for (const pair of pairs) for (const side of pair) side.destroy();
      pairs.clear();
    },
    close: () => (server.close(), [...pairs, ...held].flat().forEach((side) => side.destroy())),
  };
}
