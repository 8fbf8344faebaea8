// SPDX-License-Identifier: Apache-2.0
// The protocol on Node's own crypto and TLS, written from docs/protocol.md alone: a peer to test against,
// which shares no code with the C libraries. Not for production (it wipes nothing).
'use strict';
const crypto = require('crypto');

const HASHES = { 'SHA-256': [4, 'sha256', 32], 'SHA-384': [5, 'sha384', 48], 'SHA-512': [6, 'sha512', 64] };
const b64url = (bytes) => Buffer.from(bytes).toString('base64url');
const u32 = (x) => { const b = Buffer.alloc(4); b.writeUInt32BE(x); return b; };
const u64 = (x) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(x)); return b; };
const same = (a, b) => a.length === b.length && crypto.timingSafeEqual(a, b);
const hmac = (hash, key, ...parts) => {
    const h = crypto.createHmac(HASHES[hash][1], key);
    for (const part of parts) h.update(part);
    return h.digest();
};

// Section 2.2; one block is enough for all that the protocol derives.
function kdf(hash, key, label, context, bits) {
    return hmac(hash, key, u32(1), label, Buffer.from([0]), context, u32(bits)).subarray(0, bits / 8);
}

function unB64url(text) {
    const bytes = Buffer.from(text, 'base64url');
    if (b64url(bytes) !== text) throw new Error('not base64url');
    return bytes;
}

// What both ends know of one channel. exporter is socket.exportKeyingMaterial, bound.
function v1(exporter, key, id, hash) {
    const [number, , size] = HASHES[hash];
    const length = Buffer.alloc(2);
    length.writeUInt16BE(id.length);
    const context = Buffer.concat([Buffer.from([1, number]), length, id]);
    const exported = exporter(size + 16, 'EXPERIMENTAL-ekmotp-v1', context);
    const secret = kdf(hash, key, 'ekmotp v1 channel', exported.subarray(0, size), 8 * size);
    return {
        check: exported.subarray(size),
        clientProof: (n) => kdf(hash, secret, 'ekmotp v1 client proof', u64(n), 256),
        serverProof: (n) => kdf(hash, secret, 'ekmotp v1 server proof', u64(n), 256),
        jwsKey: kdf(hash, secret, 'ekmotp v1 jws', '', 8 * size),
        jweKey: kdf(hash, secret, 'ekmotp v1 jwe', '', 256),
    };
}

function compatKey(exporter, key, profile, id) {
    const ekm = exporter(32, 'EXPORTER-my_label', id);
    return profile === 'compat-apikey' ? hmac('SHA-256', key, u32(0), ekm, u32(256)) : hmac('SHA-256', key, ekm);
}

function compatJwt(exporter, key) {
    const of = (context) => hmac('SHA-256', key, exporter(32, 'EXPORTER-Channel-Binding', Buffer.from(context)));
    return { jwsKey: of('sig_key'), jweKey: of('enc_key') };
}

function signJws(hash, key, header, claims) {
    const head = b64url(header) + '.' + b64url(claims);
    return head + '.' + b64url(hmac(hash, key, head));
}

function sealJwe(key, header, plain) {
    const iv = crypto.randomBytes(12);
    const c = crypto.createCipheriv('aes-256-gcm', key, iv);
    c.setAAD(Buffer.from(b64url(header)));
    const sealed = Buffer.concat([c.update(plain), c.final()]);
    return [b64url(header), '', b64url(iv), b64url(sealed), b64url(c.getAuthTag())].join('.');
}

// The header fields of a request. profile: v1, v1-jws, v1-jwe or a compat profile.
function credentials(exporter, { key, id, hash, profile }, n) {
    const text = id.toString();
    const alg = 'HS' + hash.slice(4);
    if (profile === 'v1') {
        const c = v1(exporter, key, id, hash);
        return { Authorization: `EKMOTP k=${b64url(id)}, n=${n}, p=${b64url(c.clientProof(n))}, v=${b64url(c.check)}` };
    }
    if (profile.startsWith('compat-apikey'))
        return { client: text, apikey: compatKey(exporter, key, profile, id).toString('base64') };
    const mine = profile.startsWith('v1');
    const keys = mine ? v1(exporter, key, id, hash) : compatJwt(exporter, key);
    const claims = mine ? { n: Number(n), sub: text } : { iss: 'issuer', sub: 'subject' };
    let token = signJws(mine ? hash : 'SHA-256', keys.jwsKey, JSON.stringify(mine ? { alg, kid: text, typ: 'JWT' }
        : { alg: 'HS256' }), JSON.stringify(claims));
    if (profile.endsWith('jwe'))
        token = sealJwe(keys.jweKey, JSON.stringify({ alg: 'dir', cty: 'JWT', enc: 'A256GCM',
            kid: mine ? text : 'client_1', typ: 'JWT' }), token);
    return { Authorization: 'Bearer ' + token };
}

// Section 2.3, as much of RFC 9110 as a test peer needs: parameters with commas between.
function parse(value) {
    const [, scheme, rest] = /^([!-~]+) +(.*)$/.exec(value);
    if (scheme.toLowerCase() !== 'ekmotp') throw new Error('another scheme');
    const found = {};
    for (const part of rest.split(',')) {
        const [, name, , token, quoted] = /^\s*([a-z]+)\s*=\s*((?:([\w!#$%&'*+.^`|~-]+))|"([^"\\]*)")\s*$/i.exec(part);
        if (name in found) throw new Error('twice: ' + name);
        found[name.toLowerCase()] = token ?? quoted;
    }
    if (Object.keys(found).sort().join() !== 'k,n,p,v') throw new Error('parameters');
    if (!/^[1-9][0-9]{0,19}$/.test(found.n)) throw new Error('n');
    return { k: unB64url(found.k), n: BigInt(found.n), p: unB64url(found.p), v: unB64url(found.v) };
}

function openJws(hash, key, token) {
    const parts = token.split('.');
    if (parts.length !== 3) throw new Error('not a JWS');
    const header = JSON.parse(unB64url(parts[0]));
    if (header.alg !== 'HS' + hash.slice(4)) throw new Error('alg');
    if (!same(hmac(hash, key, parts[0] + '.' + parts[1]), unB64url(parts[2]))) throw new Error('signature');
    return { header, claims: JSON.parse(unB64url(parts[1])) };
}

function openJwe(key, token) {
    const [head, none, iv, sealed, tag] = token.split('.');
    const header = JSON.parse(unB64url(head));
    if (none !== '' || header.alg !== 'dir' || header.enc !== 'A256GCM') throw new Error('JWE header');
    const c = crypto.createDecipheriv('aes-256-gcm', key, unB64url(iv));
    c.setAAD(Buffer.from(head));
    c.setAuthTag(unB64url(tag));
    return Buffer.concat([c.update(unB64url(sealed)), c.final()]).toString();
}

// A server's check of one request; state belongs to the connection. Throws the reason; returns the value of
// Authentication-Info, or '' in the compat profiles. Each n is taken once (without a window: see section 2.4).
function verify(exporter, client, headers, state) {
    const { key, id, hash, profile } = client;
    let n;
    if (profile.startsWith('compat-apikey')) {
        const wanted = compatKey(exporter, key, profile, id);
        if (headers.client !== id.toString()) throw new Error('unknown client');
        if (!same(wanted, Buffer.from(headers.apikey ?? '', 'base64'))) throw new Error('wrong proof');
        return '';
    }
    if (profile.startsWith('compat-jw')) {
        const keys = compatJwt(exporter, key);
        let token = (headers.authorization ?? '').replace(/^Bearer +/, '');
        if (profile === 'compat-jwe') token = openJwe(keys.jweKey, token);
        openJws('SHA-256', keys.jwsKey, token);
        return '';
    }
    const c = v1(exporter, key, id, hash);
    if (profile === 'v1') {
        const r = parse(headers.authorization ?? '');
        if (!r.k.equals(id)) throw new Error('unknown client');
        if (!same(r.v, c.check)) throw new Error('another session');
        if (!same(r.p, c.clientProof(r.n))) throw new Error('wrong proof');
        n = r.n;
    } else {
        let token = (headers.authorization ?? '').replace(/^Bearer +/, '');
        if (profile === 'v1-jwe') token = openJwe(c.jweKey, token);
        const { header, claims } = openJws(hash, c.jwsKey, token);
        if (header.kid !== id.toString() || claims.sub !== id.toString()) throw new Error('claims');
        n = BigInt(claims.n);
    }
    state.seen ??= new Set();
    if (state.seen.has(n)) throw new Error('replay');
    state.seen.add(n);
    return 'p=' + b64url(c.serverProof(n));
}

// As OpenSSL, and with it Node, names them.
const CIPHERS = {
    1.3: { aes128: 'TLS_AES_128_GCM_SHA256', aes256: 'TLS_AES_256_GCM_SHA384',
        chacha20: 'TLS_CHACHA20_POLY1305_SHA256' },
    1.2: { aes128: 'ECDHE+AESGCM+AES128', aes256: 'ECDHE+AESGCM+AES256', chacha20: 'ECDHE+CHACHA20' },
};

// "--name value ..." into { name: value }.
function options(argv) {
    const o = { hash: 'SHA-256', profile: 'v1', id: 'client1' };
    for (let i = 0; i < argv.length; i += 2) o[argv[i].replace(/^--/, '')] = argv[i + 1];
    o.ciphers = CIPHERS[o.tls]?.[o.cipher];
    o.tls = o.tls ? 'TLSv' + o.tls : undefined;
    o.client = { key: require('fs').readFileSync(o['client-key']), id: Buffer.from(o.id), hash: o.hash, profile: o.profile };
    return o;
}

module.exports = { credentials, options, same, unB64url, v1, verify };
