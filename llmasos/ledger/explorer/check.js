// Checks proofs as check.py does: hashes, RLP, tries, trees and signatures, with nothing but this file.
"use strict";

class Forged extends Error {}
const demand = (condition, problem) => {
  if (!condition) throw new Forged(problem);
};
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const utf8 = (text) => new TextEncoder().encode(text);
const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);
const big = (bytes) => BigInt("0x0" + hex(bytes));
const word = (value) => unhex(BigInt(value).toString(16).padStart(64, "0"));

function join(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function unbase64(text, size) {
  const raw = atob(text);
  demand(btoa(raw) === text && (size === undefined || raw.length === size), "base64 is not canonical, or has the wrong length");
  return Uint8Array.from(raw, (char) => char.charCodeAt(0));
}

// The first 32 bits of the fractions of the cube and square roots of the first primes.
const PRIMES = [];
for (let n = 2; PRIMES.length < 64; n++) if (PRIMES.every((prime) => n % prime)) PRIMES.push(n);
const fraction = (value) => ((value - Math.floor(value)) * 2 ** 32) | 0;
const SHA_ROUNDS = PRIMES.map((prime) => fraction(Math.cbrt(prime)));
const SHA_START = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

function sha256(data) {
  const padded = new Uint8Array(((data.length + 8) >> 6) * 64 + 64);
  padded.set(data);
  padded[data.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(data.length / 2 ** 29));
  view.setUint32(padded.length - 4, data.length << 3);
  const turn = (value, by) => (value >>> by) | (value << (32 - by));
  const state = [...SHA_START];
  const w = new Int32Array(64);
  for (let start = 0; start < padded.length; start += 64) {
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      if (i < 16) w[i] = view.getInt32(start + 4 * i);
      else {
        const x = w[i - 15];
        const y = w[i - 2];
        w[i] = w[i - 16] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + w[i - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
      }
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + SHA_ROUNDS[i] + w[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] = (state[i] + value) | 0));
  }
  const out = new DataView(new ArrayBuffer(32));
  state.forEach((value, i) => out.setInt32(4 * i, value));
  return new Uint8Array(out.buffer);
}

// Where Keccak's step "pi" moves each lane, how far "rho" turns it, and what "iota" adds; lanes are two halves.
const MOVES = [];
for (let step = 1, x = 1, y = 0; step <= 24; step++) {
  [x, y] = [y, (2 * x + 3 * y) % 5];
  MOVES.push([2 * (x + 5 * y), ((step * (step + 1)) / 2) % 64]);
}
const IOTA = [];
for (let round = 0, register = 1; round < 24; round++) {
  const halves = [0, 0];
  for (let bit = 0; bit < 7; bit++) {
    register = ((register << 1) ^ ((register >> 7) * 0x71)) & 0xff;
    const at = (1 << bit) - 1;
    if (register & 2) halves[at >> 5] |= 1 << (at & 31);
  }
  IOTA.push(halves);
}

function permute(s) {
  const c = new Uint32Array(10);
  const row = new Uint32Array(10);
  for (const [iotaLow, iotaHigh] of IOTA) {
    for (let i = 0; i < 10; i++) c[i] = s[i] ^ s[i + 10] ^ s[i + 20] ^ s[i + 30] ^ s[i + 40];
    for (let x = 0; x < 10; x += 2) {
      const low = c[(x + 2) % 10];
      const high = c[(x + 2) % 10 + 1];
      const mixLow = c[(x + 8) % 10] ^ ((low << 1) | (high >>> 31));
      const mixHigh = c[(x + 8) % 10 + 1] ^ ((high << 1) | (low >>> 31));
      for (let y = x; y < 50; y += 10) {
        s[y] ^= mixLow;
        s[y + 1] ^= mixHigh;
      }
    }
    let low = s[2];
    let high = s[3];
    for (const [to, by] of MOVES) {
      if (by >= 32) [low, high] = [high, low];
      const turn = by & 31;
      const turned = turn ? [(low << turn) | (high >>> (32 - turn)), (high << turn) | (low >>> (32 - turn))] : [low, high];
      [low, high] = [s[to], s[to + 1]];
      [s[to], s[to + 1]] = turned;
    }
    for (let y = 0; y < 50; y += 10) {
      for (let i = 0; i < 10; i++) row[i] = s[y + i];
      for (let i = 0; i < 10; i++) s[y + i] = row[i] ^ (~row[(i + 2) % 10] & row[(i + 4) % 10]);
    }
    s[0] ^= iotaLow;
    s[1] ^= iotaHigh;
  }
}

function keccak(data) {
  const padded = new Uint8Array((Math.floor(data.length / 136) + 1) * 136);
  padded.set(data);
  padded[data.length] ^= 1;
  padded[padded.length - 1] ^= 0x80;
  const view = new DataView(padded.buffer);
  const state = new Uint32Array(50);
  for (let start = 0; start < padded.length; start += 136) {
    for (let i = 0; i < 34; i++) state[i] ^= view.getUint32(start + 4 * i, true);
    permute(state);
  }
  const out = new DataView(new ArrayBuffer(32));
  for (let i = 0; i < 8; i++) out.setUint32(4 * i, state[i], true);
  return new Uint8Array(out.buffer);
}

// The curve secp256k1, in Jacobian coordinates; a point whose z is 0 is the one at infinity.
const P = 2n ** 256n - 2n ** 32n - 977n;
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const G = [
  0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
  1n,
];
const mod = (value, by = P) => ((value % by) + by) % by;

function power(base, exponent, by) {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % by;
    if (bit === "1") result = (result * base) % by;
  }
  return result;
}

function twice([x, y, z]) {
  const yy = (y * y) % P;
  const s = (4n * x * yy) % P;
  const m = (3n * x * x) % P;
  const newX = mod(m * m - 2n * s);
  return [newX, mod(m * (s - newX) - 8n * yy * yy), (2n * y * z) % P];
}

function add(a, b) {
  if (!a[2]) return b;
  if (!b[2]) return a;
  const aa = (a[2] * a[2]) % P;
  const bb = (b[2] * b[2]) % P;
  const u = (a[0] * bb) % P;
  const s = (a[1] * bb * b[2]) % P;
  const h = mod(b[0] * aa - u);
  const r = mod(b[1] * aa * a[2] - s);
  if (!h) return r ? [0n, 1n, 0n] : twice(a);
  const hh = (h * h) % P;
  const v = (u * hh) % P;
  const x = mod(r * r - hh * h - 2n * v);
  return [x, mod(r * (v - x) - s * hh * h), (h * a[2] * b[2]) % P];
}

function recover(digest, parity, r, s) {
  const square = mod(r ** 3n + 7n);
  const y = power(square, (P + 1n) / 4n, P);
  demand((y * y) % P === square, "the transaction's signature is not valid");
  const point = [r, Number(y & 1n) === parity ? y : P - y, 1n];
  const inverse = power(r, N - 2n, N);
  const bits = [mod(-big(digest) * inverse, N), mod(s * inverse, N)].map((n) => n.toString(2).padStart(256, "0"));
  const choices = [null, G, point, add(G, point)];
  let key = [0n, 1n, 0n];
  for (let bit = 0; bit < 256; bit++) {
    key = twice(key);
    const choice = choices[Number(bits[0][bit]) + 2 * Number(bits[1][bit])];
    if (choice) key = add(key, choice);
  }
  demand(key[2], "the transaction's signature is not valid");
  const z = power(key[2], P - 2n, P);
  return join(word(mod(key[0] * z * z)), word(mod(key[1] * z * z * z)));
}

function rlpItems(data, depth = 8) {
  const items = [];
  let at = 0;
  while (at < data.length) {
    const first = data[at++];
    if (first < 0x80) {
      items.push(data.subarray(at - 1, at));
      continue;
    }
    let size = first - (first < 0xc0 ? 0x80 : 0xc0);
    if (size > 55) {
      const written = data.subarray(at, (at += size - 55));
      size = Number(big(written));
      demand(written[0] && size > 55, "RLP has a length that is not canonical");
    }
    const body = data.subarray(at, (at += size));
    demand(body.length === size && depth && (first !== 0x81 || body[0] >= 0x80), "RLP ends early or is not canonical");
    items.push(first < 0xc0 ? body : rlpItems(body, depth - 1));
  }
  return items;
}

function rlpDecode(data) {
  const items = rlpItems(data);
  demand(items.length === 1, "RLP is not one item");
  return items[0];
}

function rlpEncode(item) {
  if (!Array.isArray(item) && item.length === 1 && item[0] < 0x80) return item;
  const [base, body] = Array.isArray(item) ? [0xc0, join(...item.map(rlpEncode))] : [0x80, item];
  if (body.length < 56) return join([base + body.length], body);
  const digits = body.length.toString(16);
  const size = unhex(digits.padStart(digits.length + (digits.length % 2), "0"));
  return join([base + 55 + size.length], size, body);
}

function parts(item, ...sizes) {
  const good = Array.isArray(item) && item.length === sizes.length;
  const fit = good && sizes.every((size, i) => size === null || (!Array.isArray(item[i]) && item[i].length === size));
  demand(fit, "something does not have the parts that it must have");
  return item;
}

function number(item) {
  demand(!Array.isArray(item) && item.length <= 32 && item[0] !== 0, "a number is not canonical");
  return big(item);
}

function trieKey(index) {
  const digits = index ? index.toString(16) : "";
  return rlpEncode(unhex(digits.padStart(digits.length + (digits.length % 2), "0")));
}

function trieValue(root, key, nodes) {
  let path = hex(key);
  for (const [place, node] of nodes.entries()) {
    demand(same(keccak(node), root), "a node of a trie is not the one that its parent names");
    const items = rlpDecode(node);
    let leaf = false;
    if (items.length === 17 && path) {
      root = parts(items, ...Array(17).fill(null))[parseInt(path[0], 16)];
      path = path.slice(1);
    } else {
      parts(items, items[0]?.length ?? 0, null);
      const whole = hex(items[0]);
      demand(/^(1|3|00|20)/.test(whole), "a node of a trie has a malformed path");
      leaf = "23".includes(whole[0]);
      const part = whole.slice("13".includes(whole[0]) ? 1 : 2);
      demand(path.startsWith(part) && (leaf || part), "a path through a trie leads elsewhere");
      path = path.slice(part.length);
      root = items[1];
    }
    demand(!Array.isArray(root) && (leaf || root.length === 32), "a trie holds nothing there");
    if (leaf && !path && place === nodes.length - 1) return root;
  }
  throw new Forged("a path through a trie does not end where it should");
}

function siblings(path) {
  demand(path.length % 32 === 0, "the path in the tree has the wrong length");
  return Array.from({ length: path.length / 32 }, (_, place) => path.subarray(32 * place, 32 * place + 32));
}

function treeRoot(digest, index, count, path) {
  demand(Number.isSafeInteger(index) && index >= 0 && index < count, "the record is outside its tree");
  let last = count - 1;
  let root = sha256(join([0], digest));
  for (const sibling of path) {
    demand(last, "the path in the tree is too long");
    const left = index % 2 === 1 || index === last;
    while (left && index % 2 === 0) [index, last] = [index / 2, Math.floor(last / 2)];
    [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
    root = sha256(left ? join([1], sibling, root) : join([1], root, sibling));
  }
  demand(last === 0, "the path in the tree is too short");
  return root;
}

function recordDigest(record) {
  if ("body" in record) {
    const body = join(utf8("llmasos.body.v2\0"), unbase64(record.body_salt, 16), utf8(record.body));
    demand(hex(sha256(body)) === record.body_digest, "the body is not what was recorded");
  }
  const { action, at, body_digest: body, kind, number, seq, session, tool } = record;
  const flat = JSON.stringify({ action, at, body, kind, number, seq, session, tool });
  return sha256(join(utf8("llmasos.record.v2\0"), unbase64(record.salt, 16), utf8(flat)));
}

function header(data) {
  const items = rlpDecode(data);
  parts(items, 32, 32, 20, 32, 32, 32, 256, ...Array(Math.max(0, items.length - 7)).fill(null));
  const [number_, time] = [number(items[8]), number(items[11])].map(Number);
  return { hash: keccak(data), parent: items[0], transaction: items[4], receipt: items[5], number: number_, time };
}

function sender(transaction, chainId, contract) {
  const items = parts(rlpDecode(transaction.subarray(1)), ...Array(12).fill(null));
  demand(transaction[0] === 2 && number(items[0]) === BigInt(chainId), "the transaction is for another chain");
  demand(hex(items[5]) === contract.slice(2), "the transaction is for another contract");
  const [parity, r, s] = items.slice(9).map(number);
  demand(parity < 2n && r > 0n && r < N && s > 0n && s <= N / 2n, "the transaction's signature is out of range");
  const digest = keccak(join([2], rlpEncode(items.slice(0, 9))));
  return "0x" + hex(keccak(recover(digest, Number(parity), r, s)).subarray(12));
}

const TREE_KEY = sha256(utf8("llmasos.tree.v1"));
const APPENDED = keccak(utf8("Appended(bytes32,uint64,bytes32,uint8,bytes32)"));
const ANCHORED = keccak(utf8("Anchored(bytes32,uint64,uint64,bytes32,bytes32)"));

// What a document's proofs have in common: its nodes, and its blocks, of which the last must be confirmed.
function open(file) {
  const nodes = file.nodes.map((node) => {
    try {
      return unbase64(node);
    } catch {
      return new Uint8Array();
    }
  });
  const places = file.headers ?? [file.proofs[0].block];
  const blocks = new Map();
  let broken = "";
  let last = null;
  for (const place of [...places].reverse()) {
    try {
      const block = header(nodes[place]);
      const linked = !last || (same(block.hash, last.parent) && block.number + 1 === last.number);
      if (!broken && !linked) broken = `block ${last.number} does not follow from the one before it`;
      block.broken = broken;
      blocks.set(place, block);
      last = block;
    } catch {
      broken ||= "the header of a block is malformed";
    }
  }
  const newest = blocks.get(places.at(-1)) ?? null;
  return { file, nodes, blocks, newest, broken };
}

// Returns what one proof proves once the newest block is confirmed.
function prove({ file, nodes, blocks, broken }, proof) {
  const { record } = proof;
  const digest = recordDigest(record);
  const block = blocks.get(proof.block);
  demand(block, broken || "its block is missing");
  demand(!block.broken, block.broken);
  const take = (name) => trieValue(block[name], trieKey(proof.index), proof[name].map((at) => nodes[at]));
  const [transaction, receipt] = [take("transaction"), take("receipt")];
  const account = sender(transaction, file.chain_id, file.contract);
  const [status, , , logs] = parts(rlpDecode(receipt.subarray(1)), null, null, 256, null);
  demand(receipt[0] === 2 && hex(status) === "01", "the contract refused the transaction");
  demand(logs[proof.log], "the transaction has no such event");
  const [address, topics, data] = parts(logs[proof.log], 20, null, 96);
  const [kind, key, place] = parts(topics, 32, 32, 32);
  demand(hex(address) === file.contract.slice(2), "the event is another contract's");
  let leaf = null;
  if (proof.tree) {
    const path = siblings(unbase64(proof.tree.path));
    const root = treeRoot(digest, proof.tree.index, Number(big(data.subarray(0, 32))), path);
    demand(same(kind, ANCHORED) && same(key, TREE_KEY) && same(data.subarray(32, 64), root), "the tree's root is another one");
    leaf = Number(big(place)) + proof.tree.index;
  } else {
    const session = sha256(utf8(record.session));
    const said = join(digest, word(proof.kind_number));
    const head = keccak(join(session, word(record.seq), unbase64(proof.prev, 32), said));
    const event = join(kind, key, place, data);
    demand(same(event, join(APPENDED, session, word(record.seq), said, head)), "the event is not that of this record");
  }
  return { account, block: block.number, time: block.time, hash: "0x" + hex(keccak(transaction)), leaf, digest: hex(digest) };
}
