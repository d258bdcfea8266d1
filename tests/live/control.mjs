// One call to a gateway as an administrator's client: node control.mjs URL TOKEN METHOD PARAMS
// Prints the payload of the answer. The gateway's own `gateway call` may not abort what others have started.
// Protocol as spoken by 2026.7.1 and 2026.9.6 (versions 3 to 4): a challenge, a signed `connect`, then requests.
import { createHash, generateKeyPairSync, sign } from "node:crypto";

const [url, token, method, params] = process.argv.slice(2);
const CONNECT = "connect";
const CALL = "call";
const scopes = ["operator.admin", "operator.read", "operator.write"];
const client = { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" };
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);

function introduction(nonce) {
  const deviceId = createHash("sha256").update(raw).digest("hex");
  const signedAt = Date.now();
  const signed = ["v2", deviceId, client.id, client.mode, "operator", scopes.join(","), signedAt, token, nonce].join("|");
  const signature = sign(null, Buffer.from(signed), privateKey).toString("base64url");
  return {
    minProtocol: 3,
    maxProtocol: 4,
    client,
    role: "operator",
    scopes,
    auth: { token },
    device: { id: deviceId, publicKey: raw.toString("base64url"), signature, signedAt, nonce },
  };
}

function fail(why) {
  console.error(typeof why === "string" ? why : JSON.stringify(why));
  process.exit(1);
}

const socket = new WebSocket(url);
const request = (id, name, content) => socket.send(JSON.stringify({ type: "req", id, method: name, params: content }));
socket.onerror = () => fail("no connection");
socket.onclose = (event) => fail(`closed: ${event.code} ${event.reason}`);
socket.onmessage = ({ data }) => {
  const frame = JSON.parse(data);
  if (frame.event === "connect.challenge") return request(CONNECT, "connect", introduction(frame.payload.nonce));
  if (frame.type !== "res") return undefined;
  if (!frame.ok) return fail(frame.error);
  if (frame.id === CONNECT) return request(CALL, method, JSON.parse(params));
  console.log(JSON.stringify(frame.payload));
  return process.exit(0);
};
